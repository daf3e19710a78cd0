"""Sectors whose host does not go on with them: which of them another host begins again, and when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from apps.core.clock import now
from apps.sectors.errors.jobs import JobUnknown
from apps.sectors.models import DAMOCLES, Job, JobEvent, Sector, Worker, WorkerCommand
from apps.sectors.services.sealing.console_steps import SectorsInProgress
from apps.sectors.services.sealing.reseal import missing_hosts_follow
from poolsite.wire.jobs import Assignment
from poolsite.wire.pipeline import SECTOR_STATES
from tests import factories
from tests.unit.apps.sectors.sealing import NOON, claim, host, report

pytestmark = pytest.mark.django_db

AWAY_S = 60
EARLY = {"ALLOCATED", "PIECE_ADDED"}
RETIRED = {
    **dict.fromkeys(EARLY, "ALLOCATED"),
    **dict.fromkeys(("TICKET_ASSIGNED", "PC1_DONE", "PC2_DONE", "PERSISTED"), "ALLOCATED"),
    **dict.fromkeys(("PRECOMMIT_LANDED", "SEED_ASSIGNED", "C1_DONE"), "ALLOCATED"),
    "COMMIT_LANDED": "PROVING",
}
"""Where a sector is once its host was taken out of service; all others stay."""


def followed(at: Any = None) -> int:
    at = at or now()
    return missing_hosts_follow(SectorsInProgress.read(), silent_since=at - timedelta(seconds=AWAY_S), now=at)


def bound(state: str, **of_host: Any) -> Sector:
    """A sector on a host that was silent for two minutes and holds no lease any more."""
    row = factories.sector(factories.miner(), state=state)
    before = now() - timedelta(seconds=2 * AWAY_S)
    worker = factories.worker(**{"seen_at": before, **of_host})
    Job.objects.filter(sector=row).update(sticky_worker=worker, updated_at=before, heard_at=before)
    return row


def state_of(row: Sector) -> str:
    return Sector.objects.get(pk=row.pk).state


@pytest.mark.parametrize("state", SECTOR_STATES)
def test_a_retired_hosts_sectors_go_on_elsewhere(state: str) -> None:
    row = bound(state, retired_at=now())
    name = Job.objects.get(sector=row).uuid

    assert followed() == (state in RETIRED)

    job = Job.objects.get(sector=row)
    assert state_of(row) == RETIRED.get(state, state)
    assert (job.sticky_worker is None) == (job.uuid != name) == (RETIRED.get(state) == "ALLOCATED")
    assert followed() == 0
    assert not WorkerCommand.objects.exists(), "nobody hears it"


@pytest.mark.parametrize("state", SECTOR_STATES)
def test_a_silent_hosts_sectors_wait_once_they_are_labelled(state: str) -> None:
    row = bound(state)
    name = Job.objects.get(sector=row).uuid

    assert followed() == (state in EARLY)

    job = Job.objects.get(sector=row)
    assert (job.sticky_worker is None) == (state in EARLY)
    assert state_of(row) == ("ALLOCATED" if state in EARLY else state)
    orders = [order.args for order in WorkerCommand.objects.filter(op="remove")]
    assert [order["job"] for order in orders] == [str(name)] * (state in EARLY), "once it is heard again"
    assert all("keeps_store" in order for order in orders)
    assert JobEvent.objects.filter(job=job, note__contains="is offline").count() == (state in EARLY)


def test_a_silent_hosts_queue_for_pc1_is_begun_elsewhere() -> None:
    row = bound("TICKET_ASSIGNED")
    Job.objects.filter(sector=row).update(heard_at=None)

    assert followed() == 1

    assert (state_of(row), Job.objects.get(sector=row).sticky_worker) == ("ALLOCATED", None)


SLOTS = {"ADD_PIECE": 1, "PC1": 4}


def drained(at: str, **of_job: Any) -> Sector:
    """A sector in the queue of a host that is heard of, and is drained."""
    row = bound(at, name="leaving", seen_at=now(), is_draining=True)
    Job.objects.filter(sector=row).update(**{"heard_at": None, **of_job})
    return row


@pytest.mark.parametrize("state", SECTOR_STATES)
def test_queue_of_a_drained_host_is_begun_by_another_one(state: str) -> None:
    row = drained(state)
    name = str(Job.objects.get(sector=row).uuid)
    factories.worker("other", slots=SLOTS)
    moves = state in {*EARLY, "TICKET_ASSIGNED"}

    assert followed() == moves

    assert (Job.objects.get(sector=row).sticky_worker is None) == moves
    assert state_of(row) == ("ALLOCATED" if moves else state)
    assert [order.args["job"] for order in WorkerCommand.objects.filter(op="remove")] == [name] * moves
    assert JobEvent.objects.filter(note="leaving is draining: another host starts it over").count() == moves


@pytest.mark.parametrize(
    "other",
    [
        {"is_draining": True},
        {"is_paused": True},
        {"slots": {**SLOTS, "PC1": 0}},
        {"seen_at": NOON - timedelta(days=400)},
        {"of": "bob"},
    ],
    ids=["drained", "paused", "no-slot", "offline", "of-another-tenant"],
)
def test_drained_host_goes_on_with_its_queue_where_no_other_may(other: dict[str, Any]) -> None:
    row = drained("TICKET_ASSIGNED")
    factories.worker("other", **{"slots": SLOTS, **other})

    assert followed() == 0
    assert state_of(row) == "TICKET_ASSIGNED"


@pytest.mark.parametrize(("kind", "host", "moves"), [("seal", "m", 1), ("seal", "n", 0), ("deal", "m", 0)])
def test_queue_of_a_drained_host_goes_by_the_miners_roles(kind: str, host: str, moves: int) -> None:
    row = drained("TICKET_ASSIGNED")
    factories.worker("other", slots=SLOTS, host="m")
    factories.role(row.miner, host, kind)

    assert followed() == moves


def test_drained_host_keeps_what_it_works_on_and_what_it_has_labelled() -> None:
    factories.worker("other", slots=SLOTS)
    drained("TICKET_ASSIGNED", state="LEASED")
    drained("TICKET_ASSIGNED", heard_at=now())

    assert followed() == 0


@pytest.mark.parametrize(
    "kept",
    [
        lambda: {"seen_at": now()},
        lambda: {"retired_at": now(), "kinds": [DAMOCLES]},
    ],
)
def test_a_host_that_is_heard_or_goes_its_own_way_keeps_its_sectors(kept: Callable[[], Any]) -> None:
    row = bound("ALLOCATED", **kept())

    assert followed() == 0
    assert Job.objects.get(sector=row).sticky_worker is not None


@pytest.mark.parametrize(
    "change", [lambda: {"updated_at": now()}, lambda: {"state": "LEASED"}, lambda: {"is_portable": True}]
)
def test_after_a_stop_of_the_console_hosts_have_a_minute_to_be_heard(change: Callable[[], Any]) -> None:
    row = bound("PIECE_ADDED")
    Job.objects.filter(sector=row).update(**change())

    assert followed() == 0
    assert state_of(row) == "PIECE_ADDED"


def test_while_the_pool_is_young_no_host_is_away() -> None:
    bound("ALLOCATED")
    bound("PC1_DONE", retired_at=now())

    assert missing_hosts_follow(SectorsInProgress.read(), silent_since=None, now=now()) == 1


def test_what_a_person_has_stopped_stays_where_it_is() -> None:
    row = bound("PC1_DONE", retired_at=now())
    Sector.objects.filter(pk=row.pk).update(paused_at=now())

    assert followed() == 0


def test_the_host_that_comes_back_reports_for_nothing() -> None:
    first, second = host("u1"), host("u2")
    row = factories.sector(factories.miner())
    (job,) = claim(first)
    later = NOON + timedelta(seconds=300)
    Job.objects.filter(sector=row).update(state="READY", worker=None, lease_until=None, updated_at=NOON)

    assert followed(later) == 1
    again: list[Assignment] = list(claim(second, at=later))

    assert [one.seal and one.seal.number for one in again] == [row.number]
    with pytest.raises(JobUnknown):
        report(job, "ADD_PIECE", state="ALLOCATED", at=later)
    report(again[0], "ADD_PIECE", state="ALLOCATED", at=later)
    assert state_of(row) == "PIECE_ADDED"
    assert Worker.objects.get(uid="u2") == Job.objects.get(sector=row).sticky_worker


@pytest.mark.parametrize("state", ["TICKET_ASSIGNED", "PRECOMMIT_LANDED", "SEED_ASSIGNED"])
def test_a_sector_whose_files_were_cleared_is_sealed_again_once(state: str) -> None:
    row = bound(state, seen_at=now())
    Sector.objects.filter(pk=row.pk).update(activation=990)
    assert followed() == 0, "the reorganisation came before its files were cleared"

    job = Job.objects.get(sector=row)
    JobEvent.objects.create(job=job, event="FINALIZE", at=NOON)
    assert followed() == 1
    assert state_of(row) == "ALLOCATED"
    assert JobEvent.objects.filter(job=job, note__contains="were cleared").count() == 1

    Sector.objects.filter(pk=row.pk).update(state=state)
    Job.objects.filter(pk=job.pk).update(sticky_worker=job.sticky_worker, state=job.state)
    assert followed() == 0, "its new host has the files"
