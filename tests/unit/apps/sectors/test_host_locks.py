"""Heartbeats, reports, registrations and retirements lock a host's row and its jobs at the same time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction

from apps.damocles.services.hosts import damocles_host_register
from apps.damocles.services.proofs import proofs_heartbeat
from apps.sectors.models import Job, JobEvent, StoreScan, Worker
from apps.sectors.services.hosts.retirement import worker_retire
from apps.sectors.services.stores.events import event_write
from apps.sectors.services.stores.scans import scan_begin
from apps.users.rules.principals import Principal
from tests import factories, people
from tests.unit.apps.sectors.role_labels import Beside, lock_now
from tests.unit.apps.sectors.sealing import NOON, host

pytestmark = pytest.mark.django_db(transaction=True)

HIGH, LOW = UUID(int=2**127), UUID(int=1)


@pytest.fixture
def asking() -> Principal:
    return people.principal()


@pytest.fixture
def prover(asking: Principal) -> Worker:
    return damocles_host_register(asking, name="w1", now=NOON)


def leased(worker: Worker, *uuids: UUID) -> list[Job]:
    """Proofs that a worker has, by the order of their rows."""
    miner = factories.miner(2001, of="alice")
    until = NOON + timedelta(seconds=15)
    made = [factories.proof_job(miner, worker=worker, uuid=one, lease_until=until) for one in uuids]
    return sorted(made, key=lambda job: job.pk)


def told_of(jobs: list[Job]) -> list[str]:
    return [f"{job.uuid}.{job.lease_token}" for job in jobs]


def test_a_heartbeat_holds_no_job_while_it_waits_for_its_hosts_row(asking: Principal, prover: Worker) -> None:
    [job] = leased(prover, LOW)
    later = NOON + timedelta(seconds=5)

    with transaction.atomic():  # as whoever retires it
        lock_now(Worker.objects.filter(pk=prover.pk))
        beside = Beside(lambda: proofs_heartbeat(asking, names=told_of([job]), name="w1", now=later))
        lock_now(Job.objects.filter(pk=job.pk))
    beside.end()

    job.refresh_from_db()
    prover.refresh_from_db()
    assert (job.heard_at, prover.seen_at) == (later, later)


def test_a_heartbeat_locks_its_jobs_in_the_order_of_all_others(asking: Principal, prover: Worker) -> None:
    first, second = jobs = leased(prover, HIGH, LOW)

    with transaction.atomic():
        lock_now(Job.objects.filter(pk=first.pk))
        beside = Beside(lambda: proofs_heartbeat(asking, names=told_of(jobs), name="w1", now=NOON))
        lock_now(Job.objects.filter(pk=second.pk))
    beside.end()


def retired(worker: Worker) -> None:
    worker_retire(worker, now=NOON)


def restarted(worker: Worker) -> None:
    host(worker.uid, "b2")


@pytest.mark.parametrize("act", [retired, restarted])
def test_a_report_is_written_while_its_hosts_leases_end(act: Callable[[Worker], None]) -> None:
    worker = host("u1", "b1")
    [job] = leased(worker, LOW)
    facts = {"event": "TOLD", "from_state": "", "to_state": "", "stage": job.stage, "actor": worker.name}

    with transaction.atomic():
        lock_now(Job.objects.filter(pk=job.pk))
        beside = Beside(lambda: act(worker))
        JobEvent.objects.create(job=job, token=1, at=NOON, worker=worker, **facts)
    beside.end()

    job.refresh_from_db()
    assert (job.state, job.worker) == ("READY", None)
    assert set(job.events.values_list("event", flat=True)) == {"TOLD", "LEASE_OVER"}


def test_a_retirement_locks_jobs_in_the_order_of_all_others() -> None:
    worker = host("u1", "b1")
    first, second = leased(worker, HIGH, LOW)
    Job.objects.filter(pk=first.pk).update(heard_at=NOON)  # it lies behind the second in the table now

    with transaction.atomic():
        lock_now(Job.objects.filter(pk=first.pk))
        beside = Beside(lambda: worker_retire(worker, now=NOON))
        lock_now(Job.objects.filter(pk=second.pk))
    beside.end()


def test_a_scan_is_ordered_while_another_is_compared() -> None:
    worker = host("u1", "b1")
    store = factories.store(worker, "a")
    scan = StoreScan.objects.create(store=store, worker=worker, report={"v": 1, "command": "c", "miners": []})

    with transaction.atomic():  # as the comparison, whose findings and event refer to the store
        lock_now(StoreScan.objects.filter(pk=scan.pk))
        beside = Beside(lambda: scan_begin(store, now=NOON, by=people.principal()))
        event_write(store, event="SCANNED", actor="", note="", now=NOON)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    beside.end()

    assert store.scans.count() == 1
