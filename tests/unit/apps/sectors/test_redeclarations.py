"""A store is declared again: rows follow what its host finds twice, and drop what it misses twice."""

from __future__ import annotations

import pytest

from apps.core.errors import BadValue, NotAllowed
from apps.sectors.errors.stores import StoreRefused
from apps.sectors.models import JobEvent, Sector, Store, StoreFinding, StoreScan, Worker
from apps.sectors.reasons import NOTHING_FOUND, OTHER_SCAN, SCAN_CANCELLED
from apps.sectors.services.stores import finding_adoptions, redeclarations, scan_comparison
from apps.sectors.services.stores.finding_adoptions import findings_adopt
from apps.sectors.services.stores.findings import FINDINGS_AT_ONCE
from apps.sectors.services.stores.redeclarations import (
    redeclaration_begin,
    redeclaration_plan,
    redeclarations_follow,
)
from apps.sectors.services.stores.scans import scan_begin, scan_cancel
from apps.users.models import AuditEntry
from poolsite.wire.store_checks import FileState, ScannedSectors, ScannedStore
from tests import factories
from tests.people import principal
from tests.unit.apps.sectors import store_scans as scan_steps
from tests.unit.apps.sectors.sealing import NOON
from tests.unit.apps.sectors.store_scans import FOUND, beat

pytestmark = pytest.mark.django_db
worker = scan_steps.worker


def begun(*, drops: bool) -> Store:
    store = Store.objects.get(name="a")
    redeclaration_begin(store, drops_missing=drops, confirm=store.name, now=NOON, by=principal())
    return store


def heads(worker: Worker, *, state: FileState = FileState.NOT_READ) -> StoreScan:
    """Heads come and the host does what it is told, until nothing is left of the redeclaration."""
    for _ in range(20):
        redeclarations_follow(now=NOON)
        newest = StoreScan.objects.order_by("-pk")[0]
        if newest.settled_at is not None:
            return newest
        beat(worker, FOUND, state=state)
    raise AssertionError("it does not end")


def stores() -> dict[int, str]:
    return dict(Sector.objects.filter(state="PROVING").values_list("number", "store"))


def test_rows_follow_what_is_found_and_keep_what_is_missing(worker: Worker) -> None:
    store = begun(drops=False)
    beat(worker, FOUND)

    scan = heads(worker)

    assert stores() == {1: "a", 2: "a", 3: "b", 4: "b", 5: "a"}, "3 lies in b too, which is read"
    assert (scan.state, scan.redeclares, scan.error) == ("DONE", True, "")
    assert StoreFinding.objects.get(store=store, number=2).state == "FOUND"
    entry = AuditEntry.objects.get(action="store.redeclare")
    assert (entry.target, entry.after) == ("a", {"host": worker.name, "drop_missing": False})
    assert not AuditEntry.objects.filter(action="store.scan").exists()


def test_missing_sectors_are_dropped_once_their_host_missed_them_again(worker: Worker) -> None:
    begun(drops=True)
    beat(worker, FOUND)
    redeclarations_follow(now=NOON)
    beat(worker)  # 5 is there
    redeclarations_follow(now=NOON)
    assert stores()[2] == "a", "not before its host has looked once more"

    scan = heads(worker, state=FileState.MISSING)

    row = Sector.objects.get(number=2)
    assert (row.store, row.files_lost_at, row.lost_uid) == ("", NOON, "")
    assert row.is_without_files
    assert StoreFinding.objects.get(number=2).state == "DROPPED"
    event = JobEvent.objects.get(job__sector=row, event="FILES_MISSING")
    assert event.note == "missing in a"
    assert scan.store.events.filter(event="FILES_MISSING").count() == 1
    entry = AuditEntry.objects.get(action="store.drop_missing")
    assert entry.actor == principal().actor == scan.actor
    assert entry.after == {"host": worker.name, "sectors": ["s-t01000-2"]}


def test_a_missing_sector_that_is_there_after_all_is_kept(worker: Worker) -> None:
    begun(drops=True)
    beat(worker, FOUND)

    heads(worker)

    assert stores()[2] == "a"
    finding = StoreFinding.objects.get(number=2)
    assert (finding.state, finding.error) == ("REFUSED", "its files are there: scan again")


def test_a_sector_that_changed_meanwhile_is_kept(worker: Worker) -> None:
    store = begun(drops=True)
    beat(worker, FOUND)
    redeclarations_follow(now=NOON)
    beat(worker)
    redeclarations_follow(now=NOON)
    Sector.objects.filter(number=2).update(store="b")

    heads(worker, state=FileState.MISSING)

    assert stores()[2] == "b"
    assert StoreFinding.objects.get(store=store, number=2).state == "REFUSED"


def test_a_store_in_which_nothing_lies_drops_nothing(worker: Worker) -> None:
    begun(drops=True)
    beat(worker, ScannedStore(command="", miners=()))

    scan = heads(worker, state=FileState.MISSING)

    assert stores()[1] == stores()[2] == "a"
    assert scan.error == NOTHING_FOUND()


def test_more_than_a_scan_lists_is_scanned_again(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (scan_comparison, redeclarations):
        monkeypatch.setattr(module, "FINDINGS_MAX", 1)
    miner = Sector.objects.get(number=5).miner
    Sector.objects.filter(number=3).update(store="a")
    factories.sector(miner, number=8, state="PROVING", store="", comm_r=bytes(32))
    begun(drops=False)
    beat(worker, FOUND)

    heads(worker)

    assert (stores()[5], stores()[8]) == ("a", "a")
    assert StoreScan.objects.filter(redeclares=True).count() == 2, "the second lists what the first did not"


def test_a_scan_that_runs_is_the_redeclaration_and_a_second_one_ends_it(worker: Worker) -> None:
    store = Store.objects.get(name="a")
    plain = scan_begin(store, now=NOON, by=principal())
    assert begun(drops=False) == store
    assert begun(drops=True) == store
    scan = StoreScan.objects.get()
    assert (scan.pk, scan.redeclares, scan.drops_missing) == (plain.pk, True, True)
    beat(worker, FOUND)

    scan_begin(store, now=NOON, by=principal())
    redeclarations_follow(now=NOON)

    scan.refresh_from_db()
    assert scan.error == OTHER_SCAN()
    assert stores()[5] == ""


def test_what_is_under_way_is_waited_for(worker: Worker) -> None:
    store = begun(drops=False)
    beat(worker, FOUND)
    findings_adopt(store, uuids=None, now=NOON, by=principal())
    redeclarations_follow(now=NOON)
    assert StoreScan.objects.get().settled_at is None
    heads(worker)
    assert JobEvent.objects.filter(event="ADOPTED").count() == 1


def test_a_host_that_is_told_of_another_stores_findings_is_waited_for(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = begun(drops=False)
    beat(worker, FOUND)
    monkeypatch.setattr(finding_adoptions, "orders_open", lambda _host: FINDINGS_AT_ONCE)

    redeclarations_follow(now=NOON)

    assert not store.findings.filter(state="CHECKING").exists()
    assert StoreScan.objects.get().settled_at is None
    monkeypatch.undo()
    assert heads(worker).error == ""
    assert stores()[3] == "b"
    assert JobEvent.objects.filter(event="ADOPTED").count() == 1


def test_who_may_not_and_what_cannot_be_is_refused(worker: Worker) -> None:
    store = Store.objects.get(name="a")
    plan = redeclaration_plan(store, now=NOON)
    assert (plan.host, plan.sectors, plan.missing) == (worker.name, 2, None)
    with pytest.raises(NotAllowed):
        redeclaration_begin(store, drops_missing=False, confirm="", now=NOON, by=principal("eve", "write"))
    with pytest.raises(BadValue, match="type a to confirm"):
        redeclaration_begin(store, drops_missing=True, confirm="", now=NOON, by=principal())
    store.attachments.all().delete()
    with pytest.raises(StoreRefused):
        redeclaration_begin(store, drops_missing=False, confirm="", now=NOON, by=principal())
    assert not StoreScan.objects.exists()


def test_findings_of_an_unread_store_are_left(worker: Worker) -> None:
    begun(drops=False)
    whole = ScannedSectors(miner_id=1000, whole=(1, 2, 2, 1))
    beat(worker, ScannedStore(command="", miners=(whole,)))
    Store.objects.get(name="a").attachments.all().delete()

    redeclarations_follow(now=NOON)

    assert "no online host can read a" in StoreScan.objects.get().error


def test_a_redeclaration_ends_with_its_cancelled_scan(worker: Worker) -> None:
    before = stores()
    store = begun(drops=True)
    scan_cancel(store.scans.get(), now=NOON, by=principal())

    redeclarations_follow(now=NOON)

    scan = store.scans.get()
    assert (scan.state, scan.settled_at, scan.error) == ("CANCELLED", NOON, SCAN_CANCELLED())
    assert stores() == before
