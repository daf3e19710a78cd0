"""Pledges: numbers, rows and jobs together, once for each key."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from apps.core.disk import DiskFull
from apps.core.errors import DomainError
from apps.miners.errors import MinerNotReady
from apps.miners.states import MinerState
from apps.sectors.errors.pledges import BadCount, KeyReused
from apps.sectors.models import Job, Sector
from apps.sectors.services.sealing.pledge import pledge_create
from apps.sectors.states import JobState
from apps.users.models import AuditEntry
from tests import factories
from tests.people import principal
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db


def test_a_pledge_makes_sectors_with_jobs() -> None:
    miner = factories.miner()

    pledge_create(miner, count=2, actor="ann", now=NOON)

    assert list(Sector.objects.order_by("number").values_list("number", "state")) == [
        (0, "ALLOCATED"),
        (1, "ALLOCATED"),
    ]
    assert list(Job.objects.values_list("state", "stage")) == [(JobState.READY, "ADD_PIECE")] * 2


def test_the_same_key_gives_the_same_sectors() -> None:
    miner = factories.miner()

    first = pledge_create(miner, count=2, actor="ann", now=NOON, key="k")
    again = pledge_create(miner, count=2, actor="ann", now=NOON, key="k")

    assert first == again
    assert Sector.objects.count() == 2


def test_a_key_is_for_one_request() -> None:
    miner = factories.miner()
    pledge_create(miner, count=2, actor="ann", now=NOON, key="k")

    with pytest.raises(KeyReused):
        pledge_create(miner, count=3, actor="ann", now=NOON, key="k")


def test_keys_of_two_tenants_do_not_meet() -> None:
    pledge_create(factories.miner(), count=1, actor="ann", now=NOON, key="k")
    pledge_create(factories.miner(of="bob"), count=1, actor="bo", now=NOON, key="k")

    assert Sector.objects.count() == 2


@pytest.mark.parametrize("count", [0, -1, 1001])
def test_a_count_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(BadCount) as caught:
        pledge_create(factories.miner(), count=count, actor="ann", now=NOON)

    assert caught.value.field == "count"


def test_a_miner_that_does_not_exist_yet_takes_no_sectors() -> None:
    miner = factories.miner(state=MinerState.CREATING)

    with pytest.raises(MinerNotReady):
        pledge_create(miner, count=1, actor="ann", now=NOON)


def test_a_refused_pledge_leaves_nothing() -> None:
    miner = factories.miner()

    with pytest.raises(DomainError):
        pledge_create(miner, count=0, actor="ann", now=NOON)

    assert not Sector.objects.exists()
    assert numbers_next(miner) == 0


def numbers_next(miner: object) -> int:
    """The number that the next sector would get."""
    pledge_create(miner, count=1, actor="ann", now=NOON)  # type: ignore[arg-type]  # a Miner
    return Sector.objects.get().number


def test_nothing_is_pledged_on_a_full_disk(settings: Any) -> None:
    miner = factories.miner()
    settings.DISK_RESERVE_BYTES = 1 << 62

    with pytest.raises(DiskFull, match="free up space"):
        pledge_create(miner, count=1, actor="ann", now=NOON)

    assert not Sector.objects.exists()


def test_a_pledge_by_somebody_leaves_one_line_in_the_log():
    miner = factories.miner()
    for _ in range(2):  # the same key again is the same pledge
        pledge_create(miner, count=2, actor="ann", now=NOON, key="k", by=principal())

    line = AuditEntry.objects.get(action="sector.pledge")
    assert (line.target, (line.after or {})["count"]) == (str(miner), "2 sectors")


def test_an_upgrade_moves_what_no_host_has_begun_off_v1() -> None:
    miner, host = factories.miner(), factories.worker()
    pledged = factories.sector(miner, seal_proof=3)
    given = factories.sector(miner, seal_proof=3)
    Job.objects.filter(sector=given).update(state=JobState.LEASED)
    others = [
        factories.sector(miner, seal_proof=8),
        given,
        factories.sector(miner, seal_proof=3, held_by=host),
        factories.sector(miner, seal_proof=3, state="PROVING"),
    ]

    import_module("apps.sectors.migrations.0019_seal_proofs_in_use").proofs_replace(apps, None)

    assert Sector.objects.get(pk=pledged.pk).seal_proof == 8
    assert [Sector.objects.get(pk=one.pk).seal_proof for one in others] == [8, 3, 3, 3]
