"""A leftover goes only while its sector is good elsewhere, and nothing changes the sector meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.dashboard.pages.storage.scans import scan_card
from apps.sectors.errors.runs import RunUnderWay
from apps.sectors.errors.stores import StoreRefused
from apps.sectors.models import Sector, Store, StoreAttachment, StoreFinding, StoreMove, StoreScan, Worker
from apps.sectors.selectors.store_scans import counts_list
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.stores import finding_adoptions, findings, leftover_removals
from apps.sectors.services.stores.finding_adoptions import findings_adopt
from apps.sectors.services.stores.leftover_removals import (
    leftovers_plan,
    leftovers_remove,
    removable_leftovers_list,
)
from apps.sectors.services.stores.move_steps import moves_continue
from apps.sectors.services.stores.moves import moves_begin, unchanged_lock
from poolsite.wire.commands import Operation
from poolsite.wire.hosts import Heartbeat
from tests import factories
from tests.people import principal
from tests.unit.apps.sectors import store_scans as scan_steps
from tests.unit.apps.sectors.sealing import NOON
from tests.unit.apps.sectors.store_scans import beat, checked, scanned, uuids, work

pytestmark = pytest.mark.django_db
worker = scan_steps.worker
COPY = "s-t01000-3"
"""Whole in a; its row names b."""


def refusal(store: Store, at_work: Any) -> str:
    [planned] = leftovers_plan([store.findings.get(name=COPY)], work=at_work)
    return planned.refusal


def removed(store: Store, at_work: Any, *names: str, **more: Any) -> Any:
    return leftovers_remove(store, uuids=uuids(*(names or (COPY,))), by=principal(), work=at_work, **more)


def test_a_second_copy_stays_unless_its_own_is_checked_read_and_there(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, at_work = scanned(worker), work(monkeypatch, live=[3])
    sector, own = Sector.objects.get(number=3), Store.objects.get(name="b")
    assert "have not been checked: check them there first" in refusal(store, at_work)
    checked(sector, condition="BAD")
    assert "have not been checked: check them there first" in refusal(store, at_work)
    checked(sector, condition="NOTED")
    assert "were read only once, to record their checksums: check them there again" in refusal(store, at_work)
    checked(sector)
    assert refusal(store, at_work) == ""

    checked(sector, checked_at=NOON - timedelta(days=31))
    assert "for 30 days" in refusal(store, at_work)
    checked(sector)
    lost = StoreFinding.objects.create(store=own, kind="MISSING", name=COPY, sector=sector)
    assert refusal(store, at_work) == "it is missing in b, where it is recorded"
    lost.delete()
    scan = StoreScan.objects.create(store=own, worker=worker, state="DONE")
    StoreScan.objects.filter(pk=scan.pk).update(updated_at=NOON + timedelta(minutes=1))
    assert "since the store was scanned" in refusal(store, at_work)
    checked(sector, checked_at=NOON + timedelta(minutes=2))
    assert refusal(store, at_work) == ""
    StoreAttachment.objects.filter(store=own).update(condition="AWAY")
    assert refusal(store, at_work) == "no online host can read b, where it is recorded"


def test_a_second_copy_stays_where_the_chain_has_another_replica(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = scanned(worker)
    checked(Sector.objects.get(number=3))
    at_work = work(monkeypatch, live=[3], comm_r=b"\x11" * 31 + b"\0")

    with pytest.raises(StoreRefused, match="was updated by another program"):
        removed(store, at_work)
    assert not worker.commands.filter(done_at=None).exists()


def test_nothing_changes_a_sector_of_which_a_leftover_is_being_removed(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = scanned(worker)
    sector, own = Sector.objects.get(number=3), Store.objects.get(name="b")
    checked(sector)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        removed(store, work(monkeypatch, live=[3]))
    locks = [one["sql"] for one in asked.captured_queries if "FOR UPDATE" in one["sql"]]
    assert any('FROM "sectors_sector"' in sql for sql in locks), "what changes it waits"

    with pytest.raises(RunUnderWay, match="has yet to remove a leftover"):
        unchanged_lock(sector)
    [move] = moves_begin(own, target=store, numbers=[str(sector.uuid)], now=NOON, by=principal())
    moves_continue(worker, now=NOON)
    move.refresh_from_db()
    assert (move.state, worker.commands.filter(op=Operation.COPY_SECTOR).exists()) == ("QUEUED", False)
    worker.commands.filter(op=Operation.REMOVE_LEFTOVER).update(done_at=NOON)
    moves_continue(worker, now=NOON)
    move.refresh_from_db()
    assert move.state == "COPYING"


def test_a_removal_is_withdrawn_once_its_sectors_own_files_are_found_bad(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = scanned(worker)
    sector = Sector.objects.get(number=3)
    checked(sector)
    removed(store, work(monkeypatch, live=[3]))
    quiet = Heartbeat(boot_id=worker.boot_id)  # it has done nothing yet
    [told] = worker_heartbeat(worker, heartbeat=quiet, now=NOON).commands
    assert told.op == Operation.REMOVE_LEFTOVER

    checked(sector, condition="BAD")

    assert worker_heartbeat(worker, heartbeat=quiet, now=NOON).commands == ()
    finding = store.findings.get(name=COPY)
    assert finding.state == "FOUND"
    assert finding.error.startswith("withdrawn: it is recorded in b, where its files have not been checked")
    assert not worker.commands.filter(done_at=None).exists()
    unchanged_lock(sector)


@pytest.mark.parametrize(("name", "number"), [("s-t01000-8", 8), ("s-t01000-10", 10)])
def test_a_removal_is_withdrawn_once_the_pool_has_a_sector_of_the_number(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    store = scanned(worker)
    removed(store, work(monkeypatch), name, "s-t01000-9")
    miner = Sector.objects.get(number=3).miner
    factories.sector(miner, number=number, state="PROVING", store=store.name, comm_r=bytes(32))

    [told] = worker_heartbeat(worker, heartbeat=Heartbeat(boot_id=worker.boot_id), now=NOON).commands

    assert told.args["number"] == "9"
    finding = store.findings.get(name=name)
    assert finding.state == "FOUND"
    assert finding.error == "withdrawn: the pool has a record of it by now: scan again"


def test_a_removal_of_another_tenants_number_holds_nothing_back(worker: Worker) -> None:
    sector = Sector.objects.get(number=3)
    args = {"uid": "u", "miner_id": "5555", "number": "3"}
    worker.commands.create(op=Operation.REMOVE_LEFTOVER, args=args)
    unchanged_lock(sector)


def test_a_sector_that_is_moved_meanwhile_is_told_of_and_not_counted(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, at_work = scanned(worker), work(monkeypatch)
    sector = Sector.objects.get(number=3)
    checked(sector)
    real = leftover_removals.leftovers_plan

    def planned_then_moved(*args: Any, **more: Any) -> Any:
        plan = real(*args, **more)
        facts = {"from_store": Store.objects.get(name="b"), "to_store": store, "worker": worker}
        StoreMove.objects.get_or_create(sector=sector, defaults=facts)
        return plan

    monkeypatch.setattr(leftover_removals, "leftovers_plan", planned_then_moved)
    with pytest.raises(StoreRefused, match="now applies to 1 leftover, not 2"):
        removed(store, at_work, COPY, "s-t01000-9", count=2)
    assert not worker.commands.filter(done_at=None).exists()
    StoreMove.objects.all().delete()
    told = {one.finding.name: one.refusal for one in removed(store, at_work, COPY, "s-t01000-9", count=1)}
    assert told == {COPY: "it is being moved to another store: try again once it is there", "s-t01000-9": ""}


def test_all_that_can_be_is_adopted_past_what_cannot_as_many_as_fit(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (findings, finding_adoptions):
        monkeypatch.setattr(module, "FINDINGS_AT_ONCE", 1)
    store = scanned(worker)
    Sector.objects.filter(number=4).update(store="", comm_r=bytes(32))
    StoreFinding.objects.filter(number=4).update(kind="ELSEWHERE")
    plan = findings_adopt(store, uuids=None, now=NOON, by=principal())
    refused = {one.finding.number or 0: one.refusal.partition(":")[0] for one in plan}
    assert sorted(refused) == [3, 4, 5]
    assert refused[3] == "a second copy"
    assert sorted(refused[number] for number in (4, 5)) == ["", "u1 handles 1 findings at a time"]
    assert worker.commands.filter(done_at=None).count() == 1
    with pytest.raises(StoreRefused, match="handles 1 findings at a time"):
        findings_adopt(store, uuids=None, now=NOON, by=principal())
    beat(worker)
    findings_adopt(store, uuids=None, now=NOON, by=principal())


def test_what_can_go_is_found_behind_what_stays_and_what_has_gone(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftover_removals, "FINDINGS_AT_ONCE", 2)
    store, at_work = scanned(worker), work(monkeypatch, live=[8])
    plan = removable_leftovers_list(store, work=at_work)
    going = {one.finding.name for one in plan if not one.refusal}
    assert going == {"s-t01000-9", "s-t01000-10"}
    removed(store, at_work, *going, count=2)
    beat(worker)
    assert not [one for one in removable_leftovers_list(store, work=at_work) if not one.refusal]

    store.findings.all().delete()
    gone = (
        StoreFinding(store=store, kind="HALF", name=f"x{number}", state="REMOVED") for number in range(60)
    )
    StoreFinding.objects.bulk_create(gone)
    assert scan_card(store)["may_remove"] is False
    StoreFinding.objects.create(store=store, kind="HALF", name="s-t01000-700", miner_id=1000, number=700)
    assert scan_card(store)["may_remove"] is True
    [planned] = removable_leftovers_list(store, work=at_work)
    assert (planned.finding.number, planned.refusal) == (700, "")


def test_what_a_scan_found_is_told_in_words_of_its_kinds() -> None:
    counts = {"ELSEWHERE": 2, "MISSING": 1, "UNKNOWN": 1, "HALF": 1, "OTHER": 5}
    assert ", ".join(counts_list(counts)) == (
        "2 listed in another store, 1 missing, 1 unknown, 1 incomplete sector, 5 other files"
    )
