"""Which free jobs are told to hosts that wait: each sort of a claim, found without reading all jobs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core import clock
from apps.sectors.models import Job, Sector, Worker
from apps.sectors.services.jobs.free_jobs import ANYBODYS, FreeJob, WaitingHost, jobs_free
from poolsite.wire.jobs import STAGED, JobKind
from tests import factories
from tests.bulk_rows import row_copies_insert
from tests.query_plans import plan_run, rows_read
from tests.unit.apps.sectors.sealing import claim, host

pytestmark = pytest.mark.django_db

MANY, ROWS_MAX = 3_000, 100


def waiting(*workers: Worker, kinds: tuple[str, ...] = STAGED) -> list[WaitingHost]:
    names = frozenset(map(str, kinds))
    return [WaitingHost(worker.pk, worker.tenant_id, names, frozenset()) for worker in workers]


def free(*workers: Worker) -> set[tuple[int, int | None]]:
    later = clock.now() + timedelta(minutes=1)
    return {(job.id, job.host_id) for job in jobs_free(waiting(*workers), now=later)}


def job_of(sector: Sector) -> Job:
    return Job.objects.get(sector=sector)


def test_what_lies_on_a_host_is_its_own_and_a_new_sector_anybodys() -> None:
    of, ours, other = factories.miner(), host("u1"), host("u2")
    lies = job_of(factories.sector(of))
    Job.objects.filter(pk=lies.pk).update(sticky_worker=ours)

    assert free(ours, other) == {(lies.pk, ours.pk)}
    assert free(other) == set()
    first, last = (job_of(factories.sector(of)) for _ in range(2))
    assert free(ours, other) == {(lies.pk, ours.pk), (last.pk, None)}, "the one that is begun last"

    assert len(claim(other, max=1, at=clock.now())) == 1
    assert Job.objects.get(pk=first.pk).state == "LEASED"
    assert free(ours, other) == {(lies.pk, ours.pk), (last.pk, None)}, "no other: nobody is told anew"


def test_a_portable_stage_is_anybodys_and_an_offered_job_its_hosts() -> None:
    of, ours, other = factories.miner(), host("u1"), host("u2")
    portable, offered = (job_of(factories.sector(of)) for _ in range(2))
    Job.objects.filter(pk=portable.pk).update(sticky_worker=ours, is_portable=True, stage="C2")
    Job.objects.filter(pk=offered.pk).update(kind=JobKind.SNAP_UP, offered_to=[other.pk])

    assert free(other) == {(portable.pk, None), (offered.pk, other.pk)}
    assert free(ours) == {(portable.pk, None), (portable.pk, ours.pk)}


def test_what_another_tenants_hosts_leave_hides_nothing() -> None:
    theirs, ours, idle = host("a1"), host("b1", of="bob"), host("b2", of="bob")
    queue, portable = (job_of(factories.sector(factories.miner(of=of))) for of in ("alice", "bob"))
    for job, lies_on in ((queue, theirs), (portable, ours)):
        Job.objects.filter(pk=job.pk).update(sticky_worker=lies_on, is_portable=True, stage="C2")
    with connection.cursor() as cursor:
        columns = {"uuid": "gen_random_uuid()", "sector_id": "null"}
        row_copies_insert(
            cursor,
            "sectors_job",
            of=f"id = {queue.pk}",
            changed=columns,
            rows=f"generate_series(1, {ANYBODYS}) n",
        )

    assert free(idle) == {(portable.pk, None)}


def test_a_proof_is_told_with_the_token_of_its_last_lease() -> None:
    prover = host("p1")
    job = job_of(factories.sector(factories.miner()))
    Job.objects.filter(pk=job.pk).update(kind=JobKind.WINDOW_POST, lease_token=7, stage="")
    hosts = waiting(prover, kinds=(JobKind.WINDOW_POST,))

    assert jobs_free(hosts, now=clock.now()) == [
        FreeJob(prover.tenant_id, "window_post", "", job.pk, 7, None)
    ]


def test_a_host_of_which_nothing_is_free_costs_one_query() -> None:
    prover = host("p1")
    factories.sector(factories.miner())

    with CaptureQueriesContext(connection) as seen:
        assert jobs_free(waiting(prover, kinds=(JobKind.WINDOW_POST,)), now=clock.now()) == []
    assert len(seen) == 1


def test_each_sort_is_found_by_an_index() -> None:
    of, ours, other = factories.miner(), host("u1"), host("u2")
    new = job_of(factories.sector(of))
    lies, offered = (job_of(factories.sector(of)) for _ in range(2))
    Job.objects.filter(pk=lies.pk).update(sticky_worker=ours)
    Job.objects.filter(pk=offered.pk).update(kind=JobKind.UNSEAL, offered_to=[other.pk])
    with connection.cursor() as cursor:
        columns = {"uuid": "gen_random_uuid()", "sector_id": "null"}
        rows = f"generate_series(1, {MANY}) n"
        for job in (new, lies, offered):
            row_copies_insert(cursor, "sectors_job", of=f"id = {job.pk}", changed=columns, rows=rows)
        cursor.execute("ANALYZE sectors_job")
        cursor.execute("SET LOCAL enable_seqscan = off")

    with CaptureQueriesContext(connection) as seen:
        found = jobs_free(waiting(ours, other), now=clock.now() + timedelta(minutes=1))

    assert {job.host_id for job in found} == {None, ours.pk, other.pk}
    assert sum(job.host_id is None for job in found) == 1
    looks = [query["sql"].partition("EXECUTE ")[2] for query in seen]
    assert [text.partition(" ")[0] for text in looks] == ["job_kinds_free", "jobs_free_sealing"]
    for text in looks:
        with connection.cursor() as cursor:
            assert rows_read(plan_run(cursor, f"EXECUTE {text}"), "sectors_job") < ROWS_MAX, text
