"""Ends of stages over proven sectors: the next stage is for the host that has what the last one made."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.api.errors import http_status
from apps.sectors.errors.jobs import BadReport, LeaseLapsed, NoProverYet
from apps.sectors.models import Job, PipelineRun, SectorCopy, Worker
from apps.sectors.services.jobs.lease_renewals import leases_renew
from apps.sectors.services.jobs.leases import leases_sweep
from poolsite.wire.hosts import HeldJob
from poolsite.wire.job_reports import Progress, StageOutputs
from poolsite.wire.jobs import STAGED, Assignment, JobKind
from tests import factories
from tests.unit.apps.sectors.sealing import NOON, OUTPUTS, claim, report

pytestmark = pytest.mark.django_db

FIRST = {
    JobKind.REBUILD: ("LOST", "ADD_PIECE", "TREE_D"),
    JobKind.UNSEAL: ("SEALED", "UNSEAL", "UPLOAD"),
}
"""State and stage in which a job begins, and the stage that follows."""


def host(name: str) -> Worker:
    return factories.worker(name, stores=["store-1"], kinds=[str(kind) for kind in STAGED])


def offered(kind: JobKind, *hosts: Worker) -> None:
    """A job over a sector of these hosts' store, which nobody has begun."""
    sector = factories.sector(
        factories.miner(),
        state="PROVING",
        active=True,
        store="store-1",
        comm_r=bytes(32),
        comm_d=bytes(32),
        ticket=bytes(32),
        ticket_epoch=1,
    )
    state, stage, _ = FIRST[kind]
    piece = factories.piece(sector.miner)
    job = factories.proof_job(
        sector.miner,
        worker=None,
        kind=kind,
        state="READY",
        stage=stage,
        lease_until=None,
        lease_s=90,
        offered_to=[one.pk for one in hosts],
        inputs={"sector": str(sector.uuid), "piece": str(piece.uuid), "offset": 0, "num_bytes": 9},
    )
    if kind is JobKind.REBUILD:
        PipelineRun.objects.create(
            sector=sector, job=job, kind=kind, state=state, state_since=NOON, actor="ann"
        )


def beat(worker: Worker, job: Assignment, *, stage: str) -> None:
    progress = Progress(token=job.token, stage=stage, done=0, total=1)
    leases_renew(worker, held_jobs=[HeldJob(id=job.id, progress=progress)], now=NOON + timedelta(seconds=93))


@pytest.mark.parametrize("kind", FIRST)
def test_a_stage_reported_under_a_lapsed_lease_goes_on_at_its_host(kind: JobKind) -> None:
    first, second = host("a"), host("b")
    offered(kind, first, second)
    state, stage, following = FIRST[kind]
    outputs = OUTPUTS.get(stage, StageOutputs())
    [job] = claim(first, kinds=(kind,))
    leases_sweep(now=NOON + timedelta(seconds=91))

    with pytest.raises(LeaseLapsed) as refusal:
        report(job, stage, state=state, at=NOON + timedelta(seconds=92), outputs=outputs)
    assert http_status(refusal.value) == 503, "the host reports again"
    assert Job.objects.get(uuid=job.id).stage == stage
    beat(first, job, stage=stage)
    report(job, stage, state=state, at=NOON + timedelta(seconds=94), outputs=outputs)

    row = Job.objects.get(uuid=job.id)
    assert (row.state, row.stage, row.worker, row.offered_to) == ("LEASED", following, first, [first.pk])
    leases_sweep(now=NOON + timedelta(seconds=300))
    assert not claim(second, at=NOON + timedelta(seconds=301), kinds=(kind,))


def test_an_update_may_go_beside_a_second_copy_that_is_proven() -> None:
    one, proof = host("a"), bytes(32)
    store = factories.store(one, "store-2")
    sector = factories.sector(
        factories.miner(), state="PROVING", active=True, store="store-1", comm_r=bytes(32), comm_d=bytes(32)
    )
    SectorCopy.objects.create(sector=sector, store=store, condition="BAD", found_at=NOON, checked_at=NOON)
    job = factories.proof_job(
        sector.miner,
        worker=None,
        kind=JobKind.SNAP_UP,
        state="READY",
        stage="PERSIST",
        lease_until=None,
        lease_s=90,
        offered_to=[one.pk],
    )
    run = PipelineRun.objects.create(
        sector=sector, job=job, kind=JobKind.SNAP_UP, state="SNAP_PROVED", state_since=NOON, proof=proof
    )
    [leased] = claim(one, kinds=(JobKind.SNAP_UP,))
    stored = StageOutputs(store="x", store_uid="uid-store-2")

    with pytest.raises(BadReport, match="the store is unknown"):
        report(leased, "PERSIST", state="SNAP_PROVED", outputs=StageOutputs(store="nowhere"))
    with pytest.raises(NoProverYet, match="no online prover can read store-2") as early:
        report(leased, "PERSIST", state="SNAP_PROVED", outputs=stored)
    sector.refresh_from_db()
    assert sector.store == "store-1"
    assert http_status(early.value) == 503, "the host reports again: it drops no outputs"
    prover = factories.worker("p", kinds=[str(JobKind.WINDOW_POST)], seen_at=NOON)
    factories.store(prover, "store-2")
    report(leased, "PERSIST", state="SNAP_PROVED", outputs=stored)

    sector.refresh_from_db()
    run.refresh_from_db()
    assert (sector.store, run.state) == ("store-2", "SNAP_STORED")
    assert SectorCopy.objects.filter(sector=sector).exists(), "it is of the replica that is proven until then"
