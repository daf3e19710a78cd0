"""Reading jobs: what a host needs for a job's next stage, why a lease ended, which hosts have jobs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from django.db.models import Q
from msgspec.structs import replace

from apps.core.uuids import is_uuid
from apps.sectors.errors.sectors import SectorUnknown
from apps.sectors.models import Job, JobEvent, PipelineRun, Sector
from apps.sectors.rules.params import pieces_of
from apps.sectors.selectors.proof_forms import takes_containers_here
from apps.sectors.states import JobState
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.codec import document_decode
from poolsite.wire.job_inputs import AggregateInputs, Piece, SealInputs, SectorCheckInputs, WindowPostInputs
from poolsite.wire.jobs import RUN_KINDS, Assignment, JobKind
from poolsite.wire.pipeline import UNSEAL_STAGES, RebuildState, SectorState, Stage

UNLABELLED: Final = Q(
    kind=JobKind.SEAL, state=JobState.READY, sector__state=SectorState.TICKET_ASSIGNED, heard_at=None
)
"""Which jobs are of sectors with a ticket that no host has claimed since it was drawn."""


def jobs_of_miners(miners: Collection[int]) -> Q | None:
    """Return what selects the jobs of these miners, by actor id; None, which selects all, for none."""
    return Q(miner__actor_id__in=miners) if miners else None


def job_is_of_miners(uuid: str, miners: Collection[int]) -> bool:
    """Return whether a job is there and of one of these miners, by actor id."""
    return is_uuid(uuid) and Job.objects.filter(uuid=uuid, miner__actor_id__in=miners).exists()


def seal_inputs(sector: Sector) -> SealInputs:
    """Return what a host needs for the sector's next stage."""
    actor_id = sector.miner.actor_id
    if actor_id is None:
        raise SectorUnknown(sector.uuid)
    return SealInputs(
        miner_id=actor_id,
        number=sector.number,
        seal_proof=sector.seal_proof,
        sector_size=sector.sector_size,
        state=sector.state,
        stage=sector.stage,
        pieces=pieces_of(sector.pieces),
        ticket=_bytes(sector.ticket),
        ticket_epoch=None if sector.was_precommitted else sector.ticket_epoch,
        seed=_bytes(sector.seed),
        seed_epoch=sector.seed_epoch,
        comm_d=_bytes(sector.comm_d),
        comm_r=_bytes(sector.comm_r),
        needs_groth16=not takes_containers_here(),
    )


def sealing_inputs(job: Job, sector: Sector) -> SealInputs:
    """Return what the host that holds a sector's job needs for the next stage."""
    inputs = seal_inputs(sector)
    travels = c2_is_elsewhere(job) if job.stage == Stage.C1 else is_guest(job)
    return replace(inputs, c1_travels=True) if travels else inputs


def c2_is_elsewhere(job: Job) -> bool:
    """Return whether the host that holds a job has no slot for C2: another one does it."""
    return job.worker is not None and job.worker.slots.get(str(Stage.C2)) == 0


def is_guest(job: Job) -> bool:
    """Return whether a job is with a host that has none of the sector's files."""
    return job.is_portable and job.worker_id is not None and job.worker_id != job.sticky_worker_id


def unseal_inputs(job: Job) -> SealInputs:
    """Return what a host needs for the next stage of unsealing."""
    sector = Sector.objects.select_related("miner").get(uuid=job.inputs["sector"])
    inputs = seal_inputs(sector)
    if sector.key_comm_r is not None:
        inputs = _of_update(inputs, sector=sector, old=_bytes(sector.key_comm_r))
    return replace(
        inputs,
        state=UNSEAL_STAGES[job.stage].state,
        stage=job.stage,
        offset=job.inputs["offset"],
        num_bytes=job.inputs["num_bytes"],
    )


AS_UPDATE: Final = frozenset(
    {RebuildState.REBUILD_PC2_DONE, RebuildState.REBUILD_ENCODED, RebuildState.REBUILD_STORED}
)
"""States of a rebuild whose next stage is about the updated replica, where the sector has one."""


def run_inputs(job: Job) -> SealInputs:
    """Return what a host needs for the next stage of a run."""
    run = PipelineRun.objects.select_related("sector__miner").get(job=job)
    sector, step = run.sector, run.step
    inputs = replace(seal_inputs(sector), state=run.state, stage=step.stage)
    if run.kind == JobKind.SNAP_UP:
        return replace(
            _of_update(inputs, sector=sector, old=_bytes(sector.key_comm_r) or _bytes(sector.comm_r)),
            pieces=pieces_of(run.pieces),
            comm_d_new=_bytes(run.comm_d),
            comm_r_new=_bytes(run.comm_r),
        )
    if sector.key_comm_r is None:
        return inputs
    inputs = _of_update(inputs, sector=sector, old=_bytes(sector.key_comm_r))
    if run.state in AS_UPDATE:
        return inputs
    zeros = Piece(size=sector.sector_size, comm_p=sha254_zero(sector.sector_size))
    return replace(inputs, is_update=False, comm_d_new=None, comm_r_new=None, pieces=(zeros,))


def _of_update(inputs: SealInputs, *, sector: Sector, old: bytes | None) -> SealInputs:
    return replace(
        inputs,
        is_update=True,
        comm_d=sha254_zero(sector.sector_size),
        comm_r=old,
        comm_d_new=inputs.comm_d,
        comm_r_new=inputs.comm_r,
    )


def _bytes(value: bytes | memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)


def job_assignment(job: Job) -> Assignment:
    """Return a leased job as its worker gets it."""
    kind = JobKind(job.kind)
    seal = None
    if job.sector is not None and kind is JobKind.SEAL:
        seal = sealing_inputs(job, job.sector)
    elif kind is JobKind.UNSEAL:
        seal = unseal_inputs(job)
    elif kind in RUN_KINDS:
        seal = run_inputs(job)
    return Assignment(
        id=str(job.uuid),
        kind=kind,
        token=job.lease_token,
        seq=job.seq,
        lease_s=job.lease_s,
        seal=seal,
        window_post=document_decode(WindowPostInputs, job.inputs) if kind is JobKind.WINDOW_POST else None,
        sector_check=document_decode(SectorCheckInputs, job.inputs) if kind is JobKind.SECTOR_CHECK else None,
        aggregate=document_decode(AggregateInputs, job.inputs) if kind is JobKind.AGGREGATE else None,
    )


def lease_over_text(job: Job, token: int) -> str:
    """Return why a job's lease was ended before its time; empty if it was not, or nobody wrote it down."""
    row = JobEvent.objects.filter(job=job, event="LEASE_OVER", token=token).order_by("-pk").first()
    return "" if row is None else row.note


def hosts_of_jobs(known: Q) -> list[int]:
    """Return the keys of the workers that have these jobs."""
    jobs = Job.objects.filter(known).exclude(worker=None)
    return list(jobs.values_list("worker_id", flat=True).distinct())
