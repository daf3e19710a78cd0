"""Sector numbers for sealers of others: leased, reserved by name, exported; none is given twice."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from apps.core import clock
from apps.core.errors import BadValue, NotAllowed, WrongState
from apps.messages.services.recovery.detect import recovery_begin
from apps.miners.errors import RoleFenced
from apps.miners.models import Miner
from apps.miners.states import RoleKind
from apps.sectors.errors.numbers import NumbersElsewhere, NumbersTaken, ReservationUnknown
from apps.sectors.errors.pledges import KeyReused
from apps.sectors.models import NumberReservation
from apps.sectors.services.numbers import RESTORE_SKIP, numbers_allocate
from apps.sectors.services.reservations import (
    AHEAD_MAX,
    NumberRequest,
    leases_expire,
    numbers_format,
    numbers_parse,
    numbers_reserve,
    reservation_end,
    sectorid_export,
    sectorid_import,
)
from apps.sectors.services.roles.assignments import host_roles_renew
from apps.sectors.states import ReservationState
from apps.users.models import AuditEntry
from poolsite.filecoin.bitfield import bitfield_of_runs
from tests import factories, people
from tests.unit.apps.sectors.roles import fail_over, give, later
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db


def reserve(miner: Miner, name: str = "sealer-1", **data: Any) -> list[int]:
    request = NumberRequest(name=name, **data)
    row = numbers_reserve(miner, request=request, principal=people.principal(), now=NOON)
    return list(bitfield_of_runs(row.runs))


@pytest.mark.parametrize(
    "text", ["9" * 5000, f"1-{'9' * 5000}", str(2**63)], ids=["digits", "range", "large"]
)
def test_numbers_beyond_the_largest_are_refused(text: str) -> None:
    with pytest.raises(BadValue, match="not a valid range"):
        numbers_parse(text)


def test_leases_reservations_and_pledges_never_share_a_number() -> None:
    miner = factories.miner()

    given = [
        *reserve(miner, count=3, ttl_s=60),
        *numbers_allocate(miner, count=2, now=NOON, allocated=[]),
        *reserve(miner, "lotus", numbers=numbers_parse("8-9")),
        *reserve(miner, "next", count=2),
        *numbers_allocate(miner, count=3, now=NOON, allocated=[]),
    ]

    assert given == [0, 1, 2, 3, 4, 8, 9, 5, 6, 7, 10, 11]


def test_a_program_with_a_range_of_its_own_still_gets_leases() -> None:
    miner = factories.miner()
    assert reserve(miner, "sealer-b", numbers=numbers_parse("2-3")) == [2, 3]

    assert reserve(miner, "sealer-b", count=3, ttl_s=60) == [0, 1, 4]
    with pytest.raises(NumbersTaken, match="sealer-b already has numbers reserved"):
        reserve(miner, "sealer-b", count=1)


@pytest.mark.parametrize("end", ["USE", "RELEASE"])
def test_numbers_that_were_used_or_released_are_given_to_nobody(end: str) -> None:
    miner = factories.miner()
    reserve(miner, "lotus", numbers=numbers_parse("2-3"))
    row = NumberReservation.objects.get()

    reservation_end(miner, uuid=str(row.uuid), event=end, principal=people.principal(), now=NOON)

    assert numbers_allocate(miner, count=4, now=NOON, allocated=[]) == [0, 1, 4, 5]
    with pytest.raises(WrongState):
        reservation_end(miner, uuid=str(row.uuid), event=end, principal=people.principal(), now=NOON)
    with pytest.raises(ReservationUnknown):
        reservation_end(
            factories.miner(), uuid=str(row.uuid), event=end, principal=people.principal(), now=NOON
        )


def test_lease_that_ran_out_burns_its_numbers() -> None:
    miner = factories.miner()
    reserve(miner, count=2, ttl_s=60)

    assert leases_expire(now=NOON + timedelta(seconds=59)) == 0
    assert leases_expire(now=NOON + timedelta(seconds=61)) == 1

    assert NumberReservation.objects.get().state == ReservationState.BURNED
    assert numbers_allocate(miner, count=1, now=NOON, allocated=[]) == [2]


def test_named_numbers_must_be_free_and_not_too_far_ahead() -> None:
    miner = factories.miner()
    numbers_allocate(miner, count=5, now=NOON, allocated=[])
    factories.sector(miner, number=20)

    with pytest.raises(NumbersTaken, match="below 5 were already assigned"):
        reserve(miner, numbers=numbers_parse("4-8"))
    with pytest.raises(NumbersTaken, match=r"already taken \(.*\): 20$"):
        reserve(miner, numbers=numbers_parse("18-22"))
    with pytest.raises(NumbersTaken, match=r"already taken \(.*\): 30-31$"):
        reserve(miner, numbers=numbers_parse("28-40"), allocated=[range(30, 32)])
    with pytest.raises(BadValue, match=f"must be at most {AHEAD_MAX + 4}"):
        reserve(miner, numbers=numbers_parse(f"{AHEAD_MAX + 5}"))
    assert reserve(miner, numbers=numbers_parse("5,7-8")) == [5, 7, 8]
    with pytest.raises(NumbersTaken, match="already has numbers reserved"):
        reserve(miner, numbers=numbers_parse("10"))


def test_same_key_is_the_same_reservation() -> None:
    miner = factories.miner()

    assert reserve(miner, count=2, key="k") == reserve(miner, count=2, key="k") == [0, 1]
    with pytest.raises(KeyReused):
        reserve(miner, count=3, key="k")


def test_restored_pool_passes_over_what_was_reserved_after_the_backup() -> None:
    lost, kept = factories.miner(), factories.miner()
    numbers_allocate(lost, count=3, now=NOON, allocated=[])
    numbers_allocate(kept, count=3, now=NOON, allocated=[])
    ahead = reserve(kept, numbers=numbers_parse(str(3 + AHEAD_MAX - 1)))
    leased = reserve(kept, "b", count=50, ttl_s=60)
    # `lost` is `kept` as a backup has it that was made before the reservations.

    recovery_begin("restored", now=clock.now())

    (after,) = numbers_allocate(lost, count=1, now=NOON, allocated=[])
    assert after == 3 + RESTORE_SKIP
    assert after > max(ahead + leased)


def test_sectorid_goes_out_and_comes_back_without_giving_a_number_twice() -> None:
    miner = factories.miner()
    person = people.principal()
    numbers_allocate(miner, count=3, now=NOON, allocated=[])
    reserve(miner, numbers=numbers_parse("10-11"))

    out = sectorid_export(miner, principal=person, now=NOON, allocated=[range(20, 25)])

    assert out == 25, "greater than every number given, reserved or on the chain"
    assert sectorid_export(miner, principal=person, now=NOON) == 25
    assert sectorid_export(miner, principal=person, now=NOON, allocated=[range(31)]) == 31, (
        "the chain went on"
    )
    for attempt in (
        lambda: numbers_allocate(miner, count=1, now=NOON, allocated=[]),
        lambda: reserve(miner, count=1),
    ):
        with pytest.raises(NumbersElsewhere, match="import its sectorid file first"):
            attempt()
    assert sectorid_import(miner, number=31, principal=person) == 32
    assert numbers_allocate(miner, count=1, now=NOON, allocated=[]) == [32]
    assert sectorid_import(miner, number=7, principal=person) == 33, "it never goes back"


def test_sectorid_of_a_restored_pool_passes_over_what_the_backup_lacks() -> None:
    miner, person = factories.miner(), people.principal()
    out = sectorid_export(miner, principal=person, now=NOON)
    # As the backup has it: in what is lost it was imported again, and numbers were given.

    recovery_begin("restored", now=clock.now())

    for _ in range(2):
        assert sectorid_export(miner, principal=person, now=NOON) == out + RESTORE_SKIP


def test_allocator_that_lost_its_role_gives_no_number() -> None:
    miner = factories.miner()
    for name in "ab":
        give(miner, name, RoleKind.ALLOCATOR)
        host_roles_renew(miner.tenant_id, host=name, kinds=[RoleKind.ALLOCATOR], now=NOON)
    assert reserve(miner, count=1, allocator=("a", 1)) == [0]

    fail_over(miner, RoleKind.ALLOCATOR, to="b", at=later(1))

    with pytest.raises(RoleFenced, match="b holds allocator since"):
        reserve(miner, count=1, allocator=("a", 1))
    assert reserve(miner, "x", count=1, allocator=("b", 2)) == [1]


def test_each_act_is_in_the_audit_log() -> None:
    miner, person = factories.miner(), people.principal()
    reserve(miner, count=1)
    row = NumberReservation.objects.get()
    reservation_end(miner, uuid=str(row.uuid), event="USE", principal=person, now=NOON)
    reserve(miner, "other", count=1)
    row = NumberReservation.objects.get(name="other")
    reservation_end(miner, uuid=str(row.uuid), event="RELEASE", principal=person, now=NOON)
    sectorid_export(miner, principal=person, now=NOON)
    sectorid_import(miner, number=5, principal=person)

    lines = AuditEntry.objects.order_by("pk").values_list("action", flat=True)

    acts = ("reserve", "use", "reserve", "release", "export", "import")
    assert list(lines) == [f"sector.numbers-{act}" for act in acts]


def test_reading_permission_reserves_nothing() -> None:
    with pytest.raises(NotAllowed):
        numbers_reserve(
            factories.miner(),
            request=NumberRequest(name="x", count=1),
            principal=people.principal(perm="write"),
            now=NOON,
        )


@pytest.mark.parametrize("text", ["", "x", "5-3", "1,,2", "-1", "9" * 30])
def test_what_is_no_list_of_numbers_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        numbers_parse(text)


def test_numbers_are_written_as_they_are_read() -> None:
    assert numbers_format(numbers_parse("12, 5-9,10")) == "5-10,12"


@pytest.mark.django_db(transaction=True)
def test_leases_reservations_and_pledges_at_once_share_no_number() -> None:
    miner = factories.miner()
    person = people.principal()
    given: list[int] = []
    gate = threading.Barrier(4)

    def ask(place: int) -> None:
        gate.wait()
        for turn in range(3):
            if place % 2:
                given.extend(numbers_allocate(miner, count=4, now=NOON, allocated=[]))
            else:
                request = NumberRequest(name=f"{place}-{turn}", count=4, ttl_s=60 * (place // 2))
                row = numbers_reserve(miner, request=request, principal=person, now=NOON)
                given.extend(bitfield_of_runs(row.runs))
        connection.close()

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(given) == list(range(48))
