"""Abort reaches the hosts: they are told to remove the files until they say that it was done."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from apps.messages.models import Recovery
from apps.sectors.models import Job, JobEvent, Sector, Worker, WorkerCommand
from apps.sectors.selectors.hosts import sectors_stored_only_on
from apps.sectors.services.files.removals import leftovers_remove
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.sealing.steps import sector_abort
from poolsite.wire.commands import Operation
from poolsite.wire.hosts import Heartbeat, HeartbeatAnswer
from poolsite.wire.stores import StoreCondition
from tests import factories
from tests.unit.apps.sectors.moves import told
from tests.unit.apps.sectors.removals import beat
from tests.unit.apps.sectors.sealing import NOON

pytestmark = pytest.mark.django_db


def aborted(host: Worker, **data: Any) -> Sector:
    """A sector that was sealed on `host` until somebody aborted it."""
    sector = factories.sector(factories.miner(), state="PC2_DONE", **data)
    Job.objects.filter(sector=sector).update(sticky_worker=host)
    return sector_abort(sector, actor="ann", reason="disk lost", now=NOON)


def test_the_host_is_told_until_it_has_done_it() -> None:
    host = factories.worker()
    sector = aborted(host)
    job = Job.objects.get(sector=sector)

    (told,) = beat(host)
    assert told == {
        "id": told["id"],
        "job": str(job.uuid),
        "miner_id": str(sector.miner.actor_id),
        "number": str(sector.number),
    }
    assert beat(host) == [told]
    assert not JobEvent.objects.filter(event="FILES_REMOVED").exists()

    assert beat(host, told["id"]) == []
    beat(host, told["id"])
    event = JobEvent.objects.get(event="FILES_REMOVED")
    assert (event.job, event.actor) == (job, host.name)


def test_the_host_of_the_store_is_told_as_well_and_no_other() -> None:
    host, keeper = factories.worker(), factories.worker(stores=["store-1"])
    stranger = factories.worker(of="bob", stores=["store-1"])
    other = factories.worker(stores=["store-2"])
    aborted(host, store="store-1")

    assert [len(beat(one)) for one in (host, keeper, stranger, other)] == [1, 1, 0, 0]


def test_a_host_that_comes_back_removes_what_was_aborted_meanwhile() -> None:
    host = factories.worker(of="alice")
    sector = aborted(host)
    host.commands.all().delete()
    job = Job.objects.get(sector=sector)
    working = factories.sector(sector.miner, state="PC1_DONE")
    known = [str(job.uuid), str(Job.objects.get(sector=working).uuid), str(uuid.uuid4())]

    for _ in range(2):
        leftovers_remove(host, job_ids=known)

    assert [told["job"] for told in beat(host)] == [str(job.uuid)]


def test_a_host_hears_which_parked_jobs_it_will_not_have_again() -> None:
    host, other = factories.worker(of="alice"), factories.worker(of="alice")
    miner = factories.miner()

    def parked(state: str, **data: Any) -> str:
        job = factories.sector(miner, state="PROVING").job
        Job.objects.filter(pk=job.pk).update(**{"sticky_worker": host, "state": state, **data})
        return str(job.uuid)

    jobs = {
        "ended": parked("DONE"),
        "failed": parked("FAILED"),
        "elsewhere": parked("LEASED", sticky_worker=other),
        "waits": parked("WAITING"),
        "new": parked("READY", sticky_worker=None),
        "paused": parked("PAUSED"),
    }
    removed = aborted(host)
    strangers = factories.sector(factories.miner(of="bob"), state="PROVING").job
    Job.objects.filter(pk=strangers.pk).update(state="DONE")
    unknown = {str(strangers.uuid), str(uuid.uuid4()), "none"}
    told = (*jobs.values(), str(removed.job.uuid), *unknown)

    def answer() -> HeartbeatAnswer:
        return worker_heartbeat(host, heartbeat=Heartbeat(boot_id=host.boot_id, parked=told), now=NOON)

    def over() -> set[str]:
        return set(answer().over)

    assert over() == {jobs["ended"], jobs["failed"], jobs["elsewhere"]}
    assert set(answer().unknown_jobs) == unknown
    beat(host, beat(host)[0]["id"])
    assert str(removed.job.uuid) in over(), "its files are gone"
    assert beat(host) == []
    Recovery.objects.update_or_create(defaults={"sectors_since": NOON})
    assert over() == set(), "after a restore the rows may be older than the disk"
    assert answer().unknown_jobs == ()


def stored(host: Worker, *names: str, away: tuple[str, ...] = ()) -> list[str]:
    """A host tells which stores it has; returns the jobs that it is to remove."""
    conditions = {name: StoreCondition.AWAY if name in away else StoreCondition.READY for name in names}
    attached = tuple(told(name, condition) for name, condition in conditions.items())
    beat = Heartbeat(boot_id=host.boot_id, attached=attached)
    answer = worker_heartbeat(host, heartbeat=beat, now=NOON)
    host.refresh_from_db()
    return [one.args["job"] for one in answer.commands if one.op == Operation.REMOVE]


def test_what_lies_in_a_store_that_is_away_is_asked_for() -> None:
    host, keeper = factories.worker(), factories.worker()
    stored(keeper, "a")
    stored(keeper, "a", away=("a",))
    assert keeper.stores == []

    sector = aborted(host, store="a")

    assert stored(keeper, "a") == [str(sector.job.uuid)]


def test_a_store_that_comes_to_another_host_is_cleared_there_once() -> None:
    host = factories.worker()
    sector = aborted(host, store="a")
    worker_heartbeat(
        host, heartbeat=Heartbeat(boot_id=host.boot_id, done_commands=(beat(host)[0]["id"],)), now=NOON
    )
    WorkerCommand.objects.update(args={"job": str(sector.job.uuid)})
    keeper, third = factories.worker(), factories.worker()
    factories.sector(sector.miner, state="PROVING", store="a")

    (job,) = stored(keeper, "a")
    assert job == str(sector.job.uuid)
    assert stored(third, "a") == [], "one host sees to it"
    assert [one["job"] for one in beat(keeper)] == [job]
    stored(keeper)
    beat(keeper, beat(keeper)[0]["id"])
    assert stored(third) == []
    assert stored(third, "a") == [job], "it was detached before that"
    beat(third, beat(third)[0]["id"])
    stored(third)
    assert stored(third, "a") == []


def test_a_host_that_retires_has_the_sectors_of_a_store_that_is_away() -> None:
    host = factories.worker()
    stored(host, "a")
    factories.sector(factories.miner(), state="PROVING", store="a")
    stored(host, "a", away=("a",))

    assert sectors_stored_only_on(host) == 1
    stored(factories.worker(), "a", away=("a",))
    assert sectors_stored_only_on(host) == 0
