"""A scan tells where files and rows differ; what was found is adopted or removed, nothing by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.sectors.errors.stores import StoreRefused
from apps.sectors.models import (
    JobEvent,
    Sector,
    SectorCopy,
    Store,
    StoreEvent,
    StoreFinding,
    StoreScan,
    Worker,
)
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.hosts.retirement import worker_retire
from apps.sectors.services.stores import scan_comparison
from apps.sectors.services.stores.finding_adoptions import findings_adopt
from apps.sectors.services.stores.leftover_removals import leftovers_remove
from apps.sectors.services.stores.scan_comparison import scans_compare
from apps.sectors.services.stores.scans import scan_begin, scan_cancel, scans_renew
from apps.users.models import AuditEntry
from poolsite.wire.commands import Operation
from poolsite.wire.hosts import Heartbeat
from poolsite.wire.jobs import JobKind
from poolsite.wire.store_checks import (
    FileState,
    ScannedSectors,
    ScannedStore,
)
from tests.people import principal
from tests.unit.apps.sectors.sealing import NOON, host
from tests.unit.apps.sectors.store_scans import beat, checked, findings, scanned, uuids, work, worker

__all__ = ["worker"]

pytestmark = pytest.mark.django_db


def test_a_scan_lists_where_files_and_rows_differ_and_changes_nothing(worker: Worker) -> None:
    before = list(Sector.objects.order_by("pk").values_list("store", "state"))
    store = scanned(worker)

    scan = StoreScan.objects.get()
    assert (scan.state, scan.known) == ("DONE", 1)
    assert findings() == sorted(
        [
            ("s-t01000-2", "MISSING"),
            ("s-t01000-3", "ELSEWHERE"),
            ("s-t01000-5", "ELSEWHERE"),
            ("s-t01000-8", "UNKNOWN"),
            ("s-t01000-9", "UNKNOWN"),
            ("s-t01000-4", "HALF"),
            ("s-t01000-10", "HALF"),
            ("s-t05555-9", "UNKNOWN"),
            ("cache/strange", "OTHER"),
        ]
    ), "not of 6, which is being sealed"
    assert scan.counts == {"ELSEWHERE": 2, "MISSING": 1, "UNKNOWN": 3, "HALF": 2, "OTHER": 1}
    half = StoreFinding.objects.get(name="s-t01000-10")
    assert (half.size, half.kinds) == (100, "cache unsealed")
    assert list(Sector.objects.order_by("pk").values_list("store", "state")) == before
    assert store.events.filter(event="SCANNED").count() == 1
    assert worker.commands.count() == 0

    scanned(worker, ScannedStore(command="", miners=(ScannedSectors(miner_id=1000, whole=(1, 2)),)))
    assert findings() == [], "a later scan drops what is as it should be"


def test_what_was_lost_is_adopted_once_its_comm_r_was_seen(worker: Worker) -> None:
    store = scanned(worker)
    Sector.objects.filter(number=5).update(files_lost_at=NOON, lost_uid="gone")

    plan = findings_adopt(store, uuids=None, now=NOON, by=principal())
    assert {one.finding.number: bool(one.refusal) for one in plan} == {3: True, 5: False}
    order = worker.commands.get()
    assert (order.op, order.args["comm_r"], order.args["quick"]) == ("check_sector", "00" * 32, "yes")
    assert Sector.objects.get(number=5).store == "", "not before its host has looked"
    beat(worker)

    row = Sector.objects.get(number=5)
    assert (row.store, row.files_lost_at, row.lost_uid) == ("a", None, "")
    assert JobEvent.objects.get(event="ADOPTED").note == "its files are in a"
    assert StoreFinding.objects.get(number=5).state == "ADOPTED"
    assert AuditEntry.objects.filter(action="store.adopt").count() == 1


@pytest.mark.parametrize("state", [FileState.WRONG_COMM_R, FileState.WRONG_SIZE, FileState.MISSING])
def test_nothing_is_adopted_whose_files_are_not_the_sectors(worker: Worker, state: FileState) -> None:
    store = scanned(worker)
    findings_adopt(store, uuids=uuids("s-t01000-5"), now=NOON, by=principal())
    beat(worker, state=state)

    found = StoreFinding.objects.get(number=5)
    assert (found.state, found.error) == ("REFUSED", f"cache/x/p_aux: {state.replace('_', ' ').lower()}")
    assert Sector.objects.get(number=5).store == ""


def test_a_second_copy_is_not_adopted_unless_the_first_is_bad_or_gone(worker: Worker) -> None:
    store = scanned(worker)
    with pytest.raises(StoreRefused, match="a second copy: b, where it is recorded, can be read"):
        findings_adopt(store, uuids=uuids("s-t01000-3"), now=NOON, by=principal())

    row, other = Sector.objects.get(number=3), Store.objects.get(name="b")
    SectorCopy.objects.create(sector=row, store=other, condition="BAD", found_at=NOON)
    findings_adopt(store, uuids=uuids("s-t01000-3"), now=NOON, by=principal())
    beat(worker)

    row.refresh_from_db()
    assert row.store == "a"
    assert not SectorCopy.objects.exists(), "what was found of the other files is of no more meaning"


def test_a_sector_that_changed_meanwhile_is_not_adopted(worker: Worker) -> None:
    store = scanned(worker)
    findings_adopt(store, uuids=uuids("s-t01000-5"), now=NOON, by=principal())
    Sector.objects.filter(number=5).update(comm_r=bytes(31) + b"\1")
    beat(worker)

    assert StoreFinding.objects.get(number=5).error == "the sector changed in the meantime: scan again"
    assert Sector.objects.get(number=5).store == ""


def test_leftovers_go_if_the_chain_does_not_have_them(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = scanned(worker)
    names = uuids("s-t01000-8", "s-t01000-10", "s-t01000-4", "s-t01000-3", "s-t05555-9", "s-t01000-9")
    at_work = work(monkeypatch, live=[8])
    plan = leftovers_remove(store, uuids=names, by=principal(), work=at_work, reason="full")

    refused = {one.finding.name: one.refusal for one in plan}
    assert refused == {
        "s-t01000-8": "the sector is on chain",
        "s-t01000-10": "",
        "s-t01000-9": "",
        "s-t01000-4": "it is recorded in b, where its files have not been checked: check them there first",
        "s-t01000-3": "it is recorded in b, where its files have not been checked: check them there first",
        "s-t05555-9": "f05555 is not a miner of alice: remove it on the host",
    }
    told_now = {one.args["number"]: "whole" in one.args for one in worker.commands.filter(done_at=None)}
    assert told_now == {"10": False, "9": True}
    beat(worker)
    assert StoreFinding.objects.get(number=10).state == "REMOVED"
    assert store.events.filter(event="LEFTOVER_REMOVED").count() == 2

    sector = Sector.objects.get(number=3)
    checked(sector)
    again = {"uuids": uuids("s-t01000-3"), "by": principal(), "work": work(monkeypatch, live=[3])}
    with pytest.raises(StoreRefused, match="now applies to 1 leftover, not 2"):
        leftovers_remove(store, **again, count=2)
    leftovers_remove(store, **again, count=1)
    beat(worker, errors=[Operation.REMOVE_LEFTOVER])
    found = StoreFinding.objects.get(number=3)
    assert (found.state, found.error) == ("FOUND", "the disk refuses")


def test_a_precommitted_sector_is_no_leftover(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    store = scanned(worker)
    with pytest.raises(StoreRefused, match="the sector is on chain"):
        leftovers_remove(
            store,
            uuids=uuids("s-t01000-8"),
            by=principal(),
            work=work(monkeypatch, precommitted=[8]),
        )


def test_a_scan_that_fails_or_whose_host_dies_is_named_and_begun_again(worker: Worker) -> None:
    store = Store.objects.get(name="a")
    scan = scan_begin(store, now=NOON, by=principal())
    assert scan_begin(store, now=NOON, by=principal()).pk == scan.pk, "a second click"
    beat(worker, errors=[Operation.SCAN_STORE])
    scan.refresh_from_db()
    assert (scan.state, scan.error) == ("FAILED", "the disk refuses")

    second = scan_begin(store, now=NOON, by=principal())
    later = NOON + timedelta(hours=1)
    other = host("u2", kinds=(JobKind.SEAL,), at=later)
    beat(other, at=later)
    third = scan_begin(store, now=later, by=principal())
    second.refresh_from_db()
    assert (second.state, second.error) == ("FAILED", f"{worker.name} is offline")
    assert (third.worker, worker.commands.count()) == (other, 0)

    worker_retire(other, now=later)
    third.refresh_from_db()
    assert (third.state, third.error) == ("FAILED", "its host was retired")


def test_a_retired_host_leaves_no_finding_under_way(worker: Worker) -> None:
    store = scanned(worker)
    findings_adopt(store, uuids=uuids("s-t01000-5"), now=NOON, by=principal())
    worker_retire(worker, now=NOON)

    assert StoreFinding.objects.get(number=5).error == "its host was retired"
    assert worker.commands.filter(done_at=None).count() == 0


def test_a_scan_reads_rows_of_those_alone_that_it_lists(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_comparison, "FINDINGS_MAX", 3)
    monkeypatch.setattr(scan_comparison, "READ_AT_ONCE", 2)

    def reads(many: int) -> int:
        sector = ScannedSectors(miner_id=1000, whole=(100, many), half=(100 + many, many))
        with CaptureQueriesContext(connection) as asked:
            scanned(worker, ScannedStore(command="", miners=(sector,)))
        return sum('FROM "sectors_sector"' in one["sql"] for one in asked.captured_queries)

    assert reads(5) == reads(500)
    scan = StoreScan.objects.latest("pk")
    assert (scan.counts["UNKNOWN"], scan.counts["HALF"]) == (500, 500)
    assert findings("UNKNOWN") == [(f"s-t01000-{number}", "UNKNOWN") for number in (100, 101, 102)]
    assert len(findings("HALF")) == 3


def test_a_scan_is_compared_by_a_head_and_not_by_the_heartbeat(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before_head:
        before_head.setattr("tests.unit.apps.sectors.store_scans.scans_compare", lambda **_: None)
        store = scanned(worker)

    scan = store.scans.get()
    assert (scan.state, scan.report is not None, store.findings.count()) == ("RUNNING", True, 0)
    with monkeypatch.context() as killed:
        killed.setattr(scan_comparison, "event_write", None)
        with pytest.raises(TypeError):
            scan_comparison._report_compare(scan.pk, now=NOON)
    scan.refresh_from_db()
    assert (scan.report is not None, store.findings.count()) == (True, 0), "nothing of it is lost"
    assert scan_begin(store, now=NOON + timedelta(days=1), by=principal()) == scan, "its host has told all"

    scans_compare(now=NOON)
    scan.refresh_from_db()
    assert (scan.state, scan.report) == ("DONE", None)
    assert store.findings.exists()


def test_a_cancelled_scan_lists_nothing_whatever_its_host_tells(worker: Worker) -> None:
    store = scanned(worker)
    before = findings()
    scan = scan_begin(store, now=NOON, by=principal())
    order = worker.commands.get(done_at=None)
    scan_cancel(scan, now=NOON, by=principal())
    assert AuditEntry.objects.get(action="store.scan_cancel").before == {"host": worker.name}
    told_all = ScannedStore(command=str(order.uuid), miners=())
    worker_heartbeat(
        worker,
        heartbeat=Heartbeat(boot_id=worker.boot_id, done_commands=(str(order.uuid),), scanned=(told_all,)),
        now=NOON,
    )
    scans_compare(now=NOON)

    scan.refresh_from_db()
    assert (scan.state, scan.report, worker.commands.count()) == ("CANCELLED", None, 0)
    assert findings() == before, "what the scan before found stays"
    with pytest.raises(StoreRefused, match="the scan has already ended"):
        scan_cancel(scan, now=NOON, by=principal())
    assert scan_begin(store, now=NOON, by=principal()) != scan, "another may begin at once"


def test_a_scan_that_is_told_and_not_compared_yet_can_be_cancelled(worker: Worker) -> None:
    store = Store.objects.get(name="a")
    scan = scan_begin(store, now=NOON, by=principal())
    StoreScan.objects.filter(pk=scan.pk).update(report={"command": "", "miners": []})
    scan_cancel(scan, now=NOON, by=principal())
    scans_compare(now=NOON)

    scan.refresh_from_db()
    assert (scan.state, scan.report, store.findings.count()) == ("CANCELLED", None, 0)


def test_parts_are_scanned_again_once_their_other_store_is_attached(worker: Worker) -> None:
    """Their rest may lie there: lotus-miner's storage paths are attached one after the other."""
    a, b = scanned(worker), Store.objects.get(name="b")
    StoreEvent.objects.all().delete()
    assert a.findings.filter(kind="HALF").exists()
    made = a.scans.get()

    def renewed(at: Any) -> int:
        StoreScan.objects.filter(pk=made.pk).update(created_at=NOON)
        event = StoreEvent.objects.create(store=b, at=at, event="ATTACHED", actor=worker.name)
        scans_renew(now=NOON)
        event.delete()
        return StoreScan.objects.exclude(pk=made.pk).count()

    assert renewed(NOON - timedelta(seconds=1)) == 0
    elsewhere = host("elsewhere", kinds=(JobKind.SEAL,))
    b.attachments.update(worker=elsewhere)
    assert renewed(NOON + timedelta(seconds=1)) == 0, "another host cannot put them together"
    b.attachments.update(worker=worker)
    a.findings.update(state="REFUSED")
    assert renewed(NOON + timedelta(seconds=1)) == 0
    a.findings.update(state="FOUND")
    assert renewed(NOON + timedelta(seconds=1)) == 1
    again = StoreScan.objects.exclude(pk=made.pk).get()
    assert (again.store, again.state, again.actor) == (a, "RUNNING", "console")
    assert renewed(NOON + timedelta(seconds=1)) == 1
    for state in ("FAILED", "CANCELLED", "DONE"):
        StoreScan.objects.filter(pk=again.pk).update(state=state)
        assert renewed(NOON + timedelta(seconds=1)) == 1, "not at each head, nor against who cancelled it"
