"""Writing rows of sectors that the database has forgotten, or knows in an older state."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from apps.core.live import Change, publish, publish_all
from apps.core.uuids import is_uuid
from apps.miners.models import Miner
from apps.sectors.models import Job, JobEvent, Sector, Worker
from apps.sectors.reasons import NO_FILES, READ_BACK
from apps.sectors.rules.params import has_data, pieces_column
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.stage_outputs import outputs_map_columns
from apps.sectors.services.sealing.steps import job_lock, sector_pause, sector_step
from apps.sectors.services.timeline import job_event_write
from apps.sectors.states import CLIENTS_PRIORITY, JobState
from poolsite.wire.hosts import SectorOnHost
from poolsite.wire.job_reports import Level
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import (
    NEXT_STAGE,
    RECOVER_TO,
    SECTOR_STATES,
    Owner,
    SectorState,
    stage_rank,
    state_after,
)

ORDER: Final = {state: at for at, state in enumerate(SECTOR_STATES)}
NOTE: Final = READ_BACK()


@dataclass(frozen=True, slots=True)
class FoundSector:
    """A sector as a host's journal has it, up to the files in the store; what follows the chain knows."""

    host: Worker
    job: str
    token: int
    state: str
    columns: dict[str, Any]

    @property
    def comm_r(self) -> bytes | None:
        """The replica's commitment, once it is made."""
        return self.columns["comm_r"] if ORDER[self.state] >= ORDER[SectorState.PC2_DONE] else None


def host_sector_read(host: Worker, *, reported: SectorOnHost) -> FoundSector | None:
    """Return how far a host is with a sector; None where it names a state that does not exist."""
    inputs = reported.inputs
    if inputs.state not in ORDER or inputs.state == SectorState.ABORTED:
        return None
    columns: dict[str, Any] = {
        "seal_proof": inputs.seal_proof,
        "pieces": pieces_column(inputs.pieces),
        "ticket": inputs.ticket,
        "ticket_epoch": inputs.ticket_epoch,
        "comm_d": inputs.comm_d,
        "comm_r": inputs.comm_r,
    }
    state = inputs.state
    stage = NEXT_STAGE[state]
    if reported.outputs is not None and stage.report:
        state = state_after(state, stage.report) or state
        columns |= outputs_map_columns(stage, outputs=reported.outputs)
    if ORDER[state] >= ORDER[SectorState.PERSISTED]:
        state = SectorState.PERSISTED
        columns.setdefault("store", host.stores[0] if len(host.stores) == 1 else "")
    return FoundSector(host, reported.job, reported.token, state, columns)


def row_create(
    miner: Miner, *, number: int, state: str, now: datetime, found: FoundSector | None = None, **columns: Any
) -> Sector:
    """Write the row of a sector that has none, with its job; a host goes on under the job that it knows."""
    step = NEXT_STAGE[state]
    job_states = {Owner.WORKER: JobState.READY, Owner.CONSOLE: JobState.WAITING, Owner.NOBODY: JobState.DONE}
    facts = {"seal_proof": miner.seal_proof, "sector_size": miner.sector_size, **columns}
    name = uuid.uuid4()
    if found is not None and is_uuid(found.job) and not Job.objects.filter(uuid=found.job).exists():
        name = uuid.UUID(found.job)
    with transaction.atomic():
        sector = Sector.objects.create(
            miner=miner, tenant_id=miner.tenant_id, number=number, state=state, stage_since=now, **facts
        )
        job = Job.objects.create(
            uuid=name,
            kind=JobKind.SEAL,
            state=job_states[step.owner],
            miner=miner,
            sector=sector,
            stage=step.stage,
            rank=stage_rank(step.stage),
            priority=CLIENTS_PRIORITY if has_data(sector) else 0,
            lease_s=sealing_policy().lease_s,
            lease_token=0 if found is None else found.token,
            sticky_worker=None if found is None else found.host,
            heard_at=None if found is None else found.host.seen_at,
        )
        job_event_write(job, event="IMPORT", now=now, after=state, note=NOTE)
        publish(Change("sector", str(sector.uuid), miner.tenant_id))
    return sector


@transaction.atomic
def proven_create(
    miner: Miner, *, facts: Sequence[dict[str, Any]], now: datetime, note: str = "", actor: str = "console"
) -> int:
    """Write the rows of proven sectors that have none, all at once: a miner may have 100,000 of them.

    With a note, it stands in the timeline of each.
    """
    state = SectorState.PROVING
    size = miner.sector_size
    sectors = Sector.objects.bulk_create(
        Sector(miner=miner, tenant_id=miner.tenant_id, state=state, stage_since=now, sector_size=size, **one)
        for one in facts
    )
    stage = NEXT_STAGE[state].stage
    jobs = Job.objects.bulk_create(
        Job(
            kind=JobKind.SEAL,
            state=JobState.DONE,
            miner=miner,
            sector=sector,
            stage=stage,
            rank=stage_rank(stage),
            lease_s=sealing_policy().lease_s,
        )
        for sector in sectors
    )
    if note:
        JobEvent.objects.bulk_create(
            JobEvent(job=job, event="IMPORT", from_state="", to_state=state, at=now, actor=actor, note=note)
            for job in jobs
        )
    publish_all([Change("sector", str(sector.uuid), miner.tenant_id) for sector in sectors])
    return len(sectors)


def row_move(
    sector: Sector,
    *,
    state: str,
    now: datetime,
    found: FoundSector | None = None,
    note: str = NOTE,
    **columns: Any,
) -> bool:
    """Set a row to where the chain or its host has the sector; False if it moved meanwhile."""
    with transaction.atomic():
        job, current = job_lock(sector.pk)
        if current.state != sector.state:
            return False
        if found is not None:
            columns = {**found.columns, **columns}
        sector_step(
            current,
            event=f"{RECOVER_TO}{state}",
            job=job,
            now=now,
            actor="console",
            note=note,
            paused_at=None,
            **columns,
        )
        if found is not None:
            host_bind(job, found=found)
    return True


def host_bind(job: Job, *, found: FoundSector) -> None:
    """Reserve a job for the host that has the files, with a lease token above those it knows."""
    changes: dict[str, Any] = {
        "sticky_worker": found.host,
        "lease_token": max(job.lease_token, found.token) + 1,
        "heard_at": found.host.seen_at,  # it has what was made with the ticket
    }
    if is_uuid(found.job) and not Job.objects.filter(uuid=found.job).exists():
        changes["uuid"] = found.job  # its host's journal has the stage's results under this name
    Job.objects.filter(pk=job.pk).update(**changes)


@transaction.atomic
def row_write_without_files(
    miner: Miner, *, number: int, sector: Sector | None, state: str, now: datetime, **columns: Any
) -> None:
    """Write or move the row of a sector with a pre-commit whose files nobody has reported, and pause it."""
    if sector is None:
        sector = row_create(miner, number=number, state=state, now=now, **columns)
    elif not row_move(sector, state=state, now=now, ticket=None, **columns):
        return
    job, current = job_lock(sector.pk)
    Job.objects.filter(pk=job.pk).update(sticky_worker=None)
    sector_pause(current, job=job, error=NO_FILES(), level=Level.PERMANENT, now=now)
