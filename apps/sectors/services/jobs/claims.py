"""Claims: a worker asks for work, and gets each job alone, under a token that outdates all earlier ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import transaction

from apps.chain.selectors.heads import head_current
from apps.core.live import Change, publish_all
from apps.sectors.errors.sectors import SectorUnknown
from apps.sectors.models import Job
from apps.sectors.rules.params import pieces_of
from apps.sectors.selectors.jobs import job_assignment
from apps.sectors.selectors.proof_forms import takes_containers_at
from apps.sectors.services.jobs.claim_search import ClaimSearch, FoundJob
from apps.sectors.services.jobs.claim_statements import TAKE
from poolsite.tracing import span
from poolsite.tracing.subjects import of_jobs
from poolsite.wire.job_inputs import SealInputs
from poolsite.wire.jobs import Assignment, Claimed, JobKind
from poolsite.wire.pipeline import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import Q

    from apps.sectors.models import Worker
    from poolsite.wire.jobs import Claim


@transaction.atomic
def jobs_claim(worker: Worker, *, claim: Claim, now: datetime, among: Q | None = None) -> Claimed:
    """Lease up to `claim.max` jobs to `worker`, the most urgent first; `among` are those that it takes.

    A sector whose files lie on a host is offered to that host alone, but for its C2 where that host has no
    slot for it; a new one by the host's own rules (`claim.takes`); where its miner has roles, a new one and
    proofs go to hosts that hold the role, which nobody moves meanwhile.  While the console's disk is full no
    new sector begins; those in progress and proofs go on.  Two workers never get the same job: rows that
    another claim has locked are passed over.  Where the network takes proofs that the worker does not make
    there is no work.

    Raises WorkerReplaced, WorkerRetired.
    """
    search = ClaimSearch(worker, claim, now=now, among=among)
    assignments: list[Assignment] = []
    while len(assignments) < claim.max:
        found = search.next()
        assignment = None if found is None else _lease(found, worker=worker, floor=search.floor, now=now)
        if found is None or assignment is None:
            break
        search.note(found)
        assignments.append(assignment)
    return Claimed(jobs=tuple(assignments))


def _lease(found: FoundJob, *, worker: Worker, floor: int, now: datetime) -> Assignment | None:
    """Lease a job that is locked; None if a transfer has taken it away before that."""
    rows = TAKE.rows([now, worker.pk, found.id, worker.tenant_id, floor])
    if not rows:
        return None
    _, uuid, token, seq, lease_s, is_guest, actor_id, sector_uuid, *sector = rows[0]
    changes = [Change("job", found.id, worker.tenant_id)]
    if sector_uuid is not None:
        changes.insert(0, Change("sector", sector_uuid, worker.tenant_id))
    with span("job claim", about=of_jobs([uuid])):
        publish_all(changes)
    if found.kind == JobKind.SEAL and sector_uuid is not None:
        if actor_id is None:
            raise SectorUnknown(sector_uuid)
        has_no_c2 = worker.slots.get(str(Stage.C2)) == 0
        travels = has_no_c2 if found.stage == Stage.C1 else bool(is_guest)
        seal = _seal_inputs(actor_id, found.stage, sector, c1_travels=travels)
        return Assignment(id=uuid, kind=JobKind.SEAL, token=token, seq=seq, lease_s=lease_s, seal=seal)
    Job.objects.filter(pk=found.id).update(**proof_claim_columns())
    return job_assignment(Job.objects.get(pk=found.id))


def _seal_inputs(miner_id: int, stage: str, row: Sequence[Any], *, c1_travels: bool) -> SealInputs:
    """Return what a host needs for the next stage, as `job_selectors.sealing_inputs` does of the rows."""
    network, *row = row
    number, seal_proof, sector_size, state, pieces, ticket, ticket_epoch, seed, seed_epoch, comm_d, comm_r = (
        row
    )
    return SealInputs(
        miner_id=miner_id,
        number=number,
        seal_proof=seal_proof,
        sector_size=sector_size,
        state=state,
        stage=stage,
        pieces=() if pieces == "[]" else pieces_of(json.loads(pieces)),
        ticket=_bytes(ticket),
        ticket_epoch=ticket_epoch,
        seed=_bytes(seed),
        seed_epoch=seed_epoch,
        comm_d=_bytes(comm_d),
        comm_r=_bytes(comm_r),
        needs_groth16=not takes_containers_at(network),
        c1_travels=c1_travels,
    )


def _bytes(value: memoryview | None) -> bytes | None:
    return None if value is None else bytes(value)


def proof_claim_columns() -> dict[str, Any]:
    """Return the columns of a proof that is claimed: the console counts its host's progress from here."""
    head = head_current()
    height = None if head is None else head.height
    counted = {"progress_done": 0, "progress_total": 0, "progress_unit": ""}
    return {"claimed_height": height, "moved_height": height, **counted}
