"""After a restore the rows of sectors that were moved since the backup name the store that has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from apps.core.clock import now as time_now
from apps.messages.services.recovery.detect import restore_check
from apps.miners.models import Miner
from apps.sectors.models import JobEvent, Sector, Store, StoreAttachment, StoreMove
from poolsite.wire.hosts import StoredNumbers
from poolsite.wire.stores import StoreCondition
from tests import factories
from tests.unit.apps.sectors.moves import told
from tests.unit.apps.sectors.readback import recover, restored
from tests.unit.apps.sectors.sealing import NOON, host

pytestmark = pytest.mark.django_db


@pytest.fixture
def miner() -> Miner:
    """A miner with the sectors 1, 2 and 3 in the store a, as the backup has it."""
    made = factories.miner(worker=factories.wallet().address)
    restore_check(now=NOON)
    for number in (1, 2, 3):
        factories.sector(made, number=number, state="PROVING", store="a", comm_r=bytes(32))
    restored()
    return made


def reports(miner: Miner, uid: str = "u1", away: Sequence[str] = (), **stored: tuple[int, ...]) -> Any:
    """A host registers and tells which numbers lie in which of its stores, as runs."""
    found = tuple(
        StoredNumbers(miner_id=miner.actor_id or 0, runs=runs, store=name) for name, runs in stored.items()
    )
    attached = [told(name, StoreCondition.AWAY if name in away else StoreCondition.READY) for name in "ab"]
    return host(uid, attached=tuple(attached), stored=found)


def places() -> dict[int, str]:
    return dict(Sector.objects.order_by("number").values_list("number", "store"))


def test_a_sector_moved_since_the_backup_is_found_in_its_new_store(miner: Miner) -> None:
    reports(miner, a=(1, 1, 1, 1), b=(2, 1))

    recover()

    assert places() == {1: "a", 2: "b", 3: "a"}
    notes = JobEvent.objects.filter(job__sector__number=2).values_list("note", flat=True)
    assert list(notes)[-1] == "read back after a restore: its files are in b, not in a"


def test_a_store_that_everything_left_is_known_to_be_empty(miner: Miner) -> None:
    reports(miner, b=(1, 3))

    recover()

    assert set(places().values()) == {"b"}


def test_where_both_stores_have_it_the_row_stays(miner: Miner) -> None:
    reports(miner, a=(1, 3), b=(1, 3))

    recover()

    assert set(places().values()) == {"a"}


def test_a_store_that_was_not_looked_into_has_lost_nothing(miner: Miner) -> None:
    reports(miner, away=("a",), b=(1, 3))
    recover()
    assert set(places().values()) == {"a"}

    StoreAttachment.objects.filter(store__name="a").update(
        condition=StoreCondition.READY, since=NOON + timedelta(seconds=1)
    )
    reports(miner, "u2", away=("a",), b=(1, 3))
    recover()
    assert set(places().values()) == {"a"}, "it came back after the host had told"


def test_a_move_since_the_restore_is_newer_than_what_hosts_told(miner: Miner) -> None:
    worker = reports(miner, a=(1, 3))
    recover()
    row = Sector.objects.get(number=2)
    Sector.objects.filter(pk=row.pk).update(store="b")
    one, other = (Store.objects.get(name=name) for name in "ab")
    StoreMove.objects.create(
        sector=row, worker=worker, from_store=one, to_store=other, state="MOVED", updated_at=time_now()
    )
    reports(miner, "u2", b=())
    recover()

    assert places() == {1: "a", 2: "b", 3: "a"}


def test_a_name_that_two_marks_share_renames_nothing(miner: Miner) -> None:
    Sector.objects.filter(number=3).update(store="a fresh000")
    Store.objects.create(tenant=miner.tenant, uid="fresh000-1", name="a fresh000")
    other = replace(told("a"), uid="fresh000-1", path="/other")
    here = StoredNumbers(miner_id=miner.actor_id or 0, runs=(1, 2), store="a")
    host("u1", attached=(told("a"),), stored=(here,))
    there = StoredNumbers(miner_id=miner.actor_id or 0, runs=(3, 1), store="a")
    host("u2", attached=(other,), stored=(there,))

    recover()

    assert places() == {1: "a", 2: "a", 3: "a fresh000"}


def test_by_their_identities_stores_of_one_name_are_told_apart(miner: Miner) -> None:
    Store.objects.create(tenant=miner.tenant, uid="fresh000-1", name="a fresh000")
    other = replace(told("a"), uid="fresh000-1", path="/other")
    actor = miner.actor_id or 0
    here = StoredNumbers(miner_id=actor, runs=(1, 2), store="a", uid="uid-a")
    there = StoredNumbers(miner_id=actor, runs=(3, 1), store="a", uid="fresh000-1")
    host("u1", attached=(told("a"),), stored=(here,))
    host("u2", attached=(other,), stored=(there,))

    recover()

    assert places() == {1: "a", 2: "a", 3: "a fresh000"}


@pytest.mark.parametrize("same_host", [False, True])
def test_a_mark_renamed_to_a_taken_name_renames_nothing(miner: Miner, same_host: bool) -> None:
    Sector.objects.filter(number=3).update(store="old")
    Store.objects.create(tenant=miner.tenant, uid="uid-a", name="a")
    Store.objects.create(tenant=miner.tenant, uid="older", name="old")
    other = replace(told("a"), uid="older", path="/other")
    here = StoredNumbers(miner_id=miner.actor_id or 0, runs=(1, 2), store="a")
    there = StoredNumbers(miner_id=miner.actor_id or 0, runs=(3, 1), store="a")
    if same_host:
        host("u1", attached=(told("a"), other), stored=(here, there))
    else:
        host("u1", attached=(told("a"),), stored=(here,))
        host("u2", attached=(other,), stored=(there,))

    recover()

    assert places() == {1: "a", 2: "a", 3: "old"}
