"""Forgetting a lost store: refused while it is read, named before, and its sectors are marked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.core.clock import now
from apps.core.errors import BadValue
from apps.sectors.errors.stores import StoreRefused
from apps.sectors.models import Job, JobEvent, Sector, Store, StoreMove, Worker, WorkerCommand
from apps.sectors.selectors.run_hosts import hosts_of_run
from apps.sectors.services.stores.lost import LOST_AFTER, lost_store, store_forget
from apps.users.models import AuditEntry
from poolsite.wire.commands import Operation
from poolsite.wire.job_reports import StageOutputs
from poolsite.wire.jobs import JobKind
from poolsite.wire.stores import StoreCondition
from tests import factories
from tests.page_client import signed_in, text_of
from tests.people import bearer, person, principal, token
from tests.unit.apps.sectors.sealing import claim, host, report
from tests.unit.apps.sectors.stores import beat, told

pytestmark = pytest.mark.django_db


def lost(**worker: Any) -> Store:
    """Make a store whose host is silent, with two proving sectors, one under way and one that has ended."""
    host = factories.worker(
        "alpha", kinds=[str(JobKind.REBUILD)], seen_at=now() - timedelta(days=1), **worker
    )
    store = factories.store(host, "disk", told_at=now() - timedelta(days=1))
    miner = factories.miner(2001)
    for number, state in ((1, "PROVING"), (2, "PROVING"), (3, "PRECOMMIT_SENT"), (4, "TERMINATED")):
        factories.sector(miner, number=number, state=state, store="disk", initial_pledge=5)
    factories.sector(miner, number=9, state="PROVING", store="other")
    return store


def test_what_is_lost_is_named_first():
    found = lost_store(lost(), now=now())

    assert (found.refusal, found.proving, found.under_way, found.pledge) == ("", 2, 1, 10)
    assert found.size == 2 * factories.SECTOR_BYTES
    assert [one.number for one in found.named] == [1, 2, 3]


def test_a_page_counts_no_more_than_it_shows():
    store = lost()

    some, whole = lost_store(store, now=now(), most=1), lost_store(store, now=now(), most=5)

    assert (some.proving, some.is_more) == (2, True)
    assert (whole.proving, whole.under_way, whole.pledge, whole.is_more) == (2, 1, 10, False)
    assert [one.number for one in whole.named] == [1, 2, 3]


def test_a_forgotten_stores_sectors_are_marked_in_their_timelines():
    store = lost()

    store_forget(store, confirm="disk", now=now(), by=principal())

    assert not Store.objects.filter(name="disk").exists()
    marked = Sector.objects.exclude(files_lost_at=None).order_by("number")
    assert [(one.number, one.store) for one in marked] == [(1, ""), (2, "")]
    assert Sector.objects.get(number=9).store == "other"
    assert Sector.objects.get(number=4).files_lost_at is None
    notes = JobEvent.objects.filter(event="FILES_LOST").values_list("job__sector__number", "note")
    assert sorted(notes) == [(number, "its store disk was lost") for number in (1, 2)]
    entry = AuditEntry.objects.get(action="store.forget")
    assert entry.target == "disk"
    assert entry.before is not None
    assert entry.before["proving"] == "2 sectors"


def test_a_sector_under_way_is_not_lost_and_finalizing_names_its_new_store():
    store, sealer = lost(), beat(host("u1"), told("second", uid="uid-new"))
    sector = factories.sector(
        factories.miner(2002), number=7, state="COMMIT_LANDED", store="disk", held_by=sealer
    )
    Job.objects.filter(sector=sector).update(state="READY", worker=None)

    store_forget(store, confirm="disk", now=now(), by=principal())

    sector.refresh_from_db()
    assert (sector.store, sector.is_without_files) == ("", False)
    assert [one.event for one in sector.job.events.all()] == ["STORE_FORGOTTEN"]
    [job] = claim(sealer)
    named = StageOutputs(store="told", store_uid="uid-new")
    report(job, "FINALIZE", state="COMMIT_LANDED", outputs=named)
    sector.refresh_from_db()
    assert (sector.state, sector.store, sector.is_without_files) == ("PROVING", "second", False)


def test_a_lost_sector_can_be_made_again_anywhere():
    store = lost()
    store_forget(store, confirm="disk", now=now(), by=principal())

    sector = Sector.objects.get(number=1)

    assert sector.is_without_files
    assert hosts_of_run(sector, kind=JobKind.REBUILD)
    Sector.objects.filter(pk=sector.pk).update(store="new")
    sector.refresh_from_db()
    assert not sector.is_without_files


def test_a_store_that_a_host_reads_is_not_lost():
    host = factories.worker("alpha")
    store = factories.store(host, "disk")

    assert "alpha can read it" in lost_store(store, now=now()).refusal
    with pytest.raises(StoreRefused):
        store_forget(store, confirm="disk", now=now(), by=principal())
    with pytest.raises(BadValue) as wrong:
        store_forget(store, confirm="disc", now=now(), by=principal())
    assert wrong.value.field == "confirm"
    assert Store.objects.filter(name="disk").exists()


@pytest.mark.parametrize("is_detached", [False, True])
def test_a_store_is_kept_for_hours_after_it_was_read(is_detached: bool) -> None:
    """A reboot or a cut line is no loss."""
    store, read_at = lost(), now() - timedelta(minutes=90)
    if is_detached:
        store.attachments.all().delete()
        Store.objects.update(told_at=read_at)
    else:
        Worker.objects.update(seen_at=read_at)
    store.refresh_from_db()

    until = f"{read_at + LOST_AFTER:%Y-%m-%d %H:%M} UTC"
    assert f"cannot be forgotten before {until}" in lost_store(store, now=now()).refusal
    with pytest.raises(StoreRefused):
        store_forget(store, confirm="disk", now=now(), by=principal())
    assert not lost_store(store, now=read_at + LOST_AFTER).refusal


def test_a_store_that_is_read_again_has_its_sectors_again():
    store = lost()
    store_forget(store, confirm="disk", now=now(), by=principal())
    Sector.objects.filter(number=2).update(store="new")  # it was made again
    stranger = factories.sector(factories.miner(of="bob"), number=8, state="PROVING", lost_uid="uid-disk")

    beat(Worker.objects.get(name="alpha"), told("platter", uid="uid-disk"), at=now())

    found = Sector.objects.exclude(pk=stranger.pk).order_by("number").values_list("number", "store")
    assert list(found) == [(1, "platter"), (2, "new"), (3, "platter"), (4, "platter"), (9, "other")]
    one = Sector.objects.get(number=1)
    assert (one.files_lost_at, one.lost_uid, one.is_without_files) == (None, "", False)
    notes = JobEvent.objects.filter(event="FILES_FOUND").values_list("job__sector__number", "note")
    assert sorted(notes) == [(1, "in platter"), (3, "in platter")]
    assert "with 2 sectors" in Store.objects.get().events.get(event="CHANGED").note
    stranger.refresh_from_db()
    assert stranger.store == ""


def test_a_dead_disk_on_a_living_host_stays_forgotten():
    store = lost()
    worker = beat(Worker.objects.get(), told(condition=StoreCondition.AWAY, reason="it is dead"), at=now())
    store_forget(store, confirm="disk", now=now(), by=principal())

    beat(worker, told(condition=StoreCondition.AWAY, reason="it is dead"), told("good"), at=now())
    assert [one.name for one in Store.objects.all()] == ["good"]
    assert worker.attachments.get().path == "/mnt/good"
    Sector.objects.exclude(number=1).update(store="good")  # made again
    broken = told("new", condition=StoreCondition.AWAY)
    beat(worker, told(condition=StoreCondition.AWAY), told("good"), broken, at=now())
    assert [one.name for one in Store.objects.all()] == ["good", "new"]

    beat(worker, told(), told("good"), at=now())
    assert Sector.objects.get(number=1).store == "disk"
    assert not Sector.objects.exclude(lost_uid="").exists()


def test_a_host_detaches_a_dead_disk_once_its_store_is_forgotten():
    """Away, it keeps the host from removing and finalizing anything."""
    worker, dead = host("u1"), told(condition=StoreCondition.AWAY)
    store = lost()
    store_forget(store, confirm="disk", now=now(), by=principal())
    orders = WorkerCommand.objects.filter(op=Operation.DETACH, args__uid="uid-disk", worker=worker)

    beat(worker, dead, at=worker.registered_at + timedelta(minutes=9))
    assert not orders.exists(), "its disks may be mounted yet"
    for minutes in (10, 11):
        beat(worker, dead, at=worker.registered_at + timedelta(minutes=minutes))
    assert orders.get().done_at is None

    beat(worker, told(), at=worker.registered_at + timedelta(minutes=12))
    assert not orders.exists(), "it reads it again"
    assert Store.objects.get().name == "disk"


MOVES = {
    "QUEUED": ("", "", ""),
    "COPYING": ("", "", "FAILED"),
    "COPIED out": ("other", "other", "MOVED"),
    "CLEARING out": ("other", "other", "MOVED"),
    "COPIED in": ("disk", "other", "MOVED"),
    "COPIED in half": ("disk", "", "MOVED"),
    "CLEARING in": ("disk", "", "MOVED"),
}
"""Moves out of the lost store or into it: the sector's store before and after, and the event in the other."""


@pytest.mark.parametrize("move", MOVES)
def test_moves_of_a_lost_store_end_with_it(move: str) -> None:
    (before, after, event), (state, _, way) = MOVES[move], move.partition(" ")
    store = lost()
    worker, sector = Worker.objects.get(), Sector.objects.get(number=1)
    other = factories.store(worker, "other")
    Sector.objects.filter(pk=sector.pk).update(store=before or "disk")
    ways = (other, store) if way.startswith("in") else (store, other)
    facts = {"state": state, "actor": "a", "error": "not removed" if way == "in half" else ""}
    row = StoreMove.objects.create(
        sector=sector, worker=worker, from_store=ways[0], to_store=ways[1], **facts
    )
    order = WorkerCommand.objects.create(
        worker=worker, op=Operation.REMOVE_COPY, args={"move": str(row.uuid)}, actor="a"
    )

    found = store_forget(store, confirm="disk", now=now(), by=principal())

    sector.refresh_from_db()
    order.refresh_from_db()
    assert (sector.store, sector.is_without_files) == (after, not after)
    assert found.proving == (1 if after else 2)
    assert not StoreMove.objects.exists()
    assert [one.event for one in other.events.all()] == ([event] if event else [])
    if event:
        assert "the store disk was lost" in other.events.get().note
        assert order.done_at is not None


def test_a_namesake_of_another_tenant_keeps_its_sectors():
    store = lost()
    factories.sector(factories.miner(of="bob"), number=1, state="PROVING", store="disk")

    store_forget(store, confirm="disk", now=now(), by=principal())

    assert Sector.objects.get(store="disk", state="PROVING").tenant.name == "bob"


def test_the_page_asks_for_the_name_and_lists_the_sectors():
    person()
    store, browser = lost(), signed_in()
    address = reverse("store-forget", args=[store.uuid])

    shown = text_of(browser.get(address))
    assert "f02001 / 1" in shown
    assert "Type disk to confirm" in shown
    assert text_of(browser.post(address, {"confirm": "no"})).count("type disk to confirm")
    assert Store.objects.filter(name="disk").exists()
    assert browser.post(address, {"confirm": "disk"})["Location"].startswith(reverse("stores"))
    sector = Sector.objects.get(number=1)
    assert "files lost" in text_of(browser.get(reverse("sector", args=[sector.uuid])))


def test_over_rest_a_dry_run_forgets_nothing(client: Client) -> None:
    store = lost()
    head: Any = bearer(token("sign"))
    address = f"/api/v1/stores/{store.uuid}/forget"

    asked = client.post(f"{address}?dry_run=1", {}, content_type="application/json", headers=head)
    assert (asked.status_code, asked.json()["proving"]) == (200, 2)
    assert Store.objects.filter(name="disk").exists()
    wrong = client.post(address, {"confirm": "x"}, content_type="application/json", headers=head)
    assert (wrong.status_code, wrong.json()["field"]) == (400, "confirm")
    done = client.post(address, {"confirm": "disk"}, content_type="application/json", headers=head)
    assert [one["number"] for one in done.json()["sectors"]] == [1, 2, 3]
    assert not Store.objects.filter(name="disk").exists()
    stranger: Any = bearer(token("sign", of="bob"))
    other = factories.store(factories.worker(), "mine")
    foreign = f"/api/v1/stores/{other.uuid}/forget"
    assert client.post(foreign, {}, content_type="application/json", headers=stranger).status_code == 404
