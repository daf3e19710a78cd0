"""Ends of a sector's stages, as its host reports them.

Events are numbered: the same number with the same content is answered as before.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.core.marked_texts import gettext
from apps.sectors.errors.jobs import BadReport, OtherReport, OutOfOrder, StateDiffers
from apps.sectors.models import Job, Sector, SectorProof
from apps.sectors.rules.params import comm_d_of, has_data
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.jobs import seal_inputs, sealing_inputs
from apps.sectors.selectors.proof_forms import is_checked_here, proof_verifier
from apps.sectors.selectors.stage_outputs import outputs_check
from apps.sectors.services.jobs.report_leases import holder_check, job_for_report, lease_check
from apps.sectors.services.runs.reports import run_answer, run_report
from apps.sectors.services.runs.unsealing import unseal_answer, unseal_step
from apps.sectors.services.sealing.steps import sector_step
from apps.sectors.states import JobState
from poolsite.filecoin.proof_verifier import BAD_PROOFS
from poolsite.wire.codec import document_encode
from poolsite.wire.job_reports import Event, EventAnswer
from poolsite.wire.jobs import STAGED, JobKind
from poolsite.wire.pipeline import NEXT_STAGE, Owner


@transaction.atomic
def job_event_record(job_id: str, *, event: Event, tenant_id: int, now: datetime) -> EventAnswer:
    """Record the end of a stage; return the inputs of the next one if the same host runs it.

    Raises JobUnknown, LeaseLost, LeaseLapsed, NoProverYet, OutOfOrder, OtherReport, StateDiffers, BadReport,
    WrongState.
    """
    job = job_for_report(job_id, token=event.token, tenant_id=tenant_id)
    sector = job.sector
    if job.kind not in STAGED or (sector is None) != (job.kind != JobKind.SEAL):
        raise BadReport(gettext("this job has no stages"), field="event")
    digest = hashlib.sha256(json.dumps(document_encode(event), sort_keys=True).encode()).hexdigest()
    if event.seq <= job.seq:
        _repeat_check(job, seq=event.seq, digest=digest)
        if sector is not None:
            return _answer(job, sector)
        return unseal_answer(job) if job.kind == JobKind.UNSEAL else run_answer(job)
    lease_check(job)
    if event.seq != job.seq + 1:
        raise OutOfOrder(expected=job.seq + 1)
    if sector is None:
        holder_check(job)
        step = unseal_step if job.kind == JobKind.UNSEAL else run_report
        return step(job, event=event, digest=digest, now=now)
    if event.state != sector.state:
        raise StateDiffers(state=sector.state)
    stage = NEXT_STAGE[sector.state]
    if stage.report != event.event:
        raise BadReport(
            gettext("{event} cannot be reported in state {state}").format(
                event=event.event, state=sector.state
            ),
            field="event",
        )
    data = outputs_check(stage, outputs=event.outputs, policy=sealing_policy(), tenant_id=tenant_id)
    if has_data(sector):
        _data_check(sector, data)
    if "proof" in stage.outputs and event.outputs.proof is not None:
        proof_check(sector, proof=event.outputs.proof)
        proof = {"proof": event.outputs.proof, "seed_epoch": sector.seed_epoch or 0}
        SectorProof.objects.update_or_create(sector=sector, defaults=proof)
    actor = job.worker.name if job.worker is not None else ""
    report = {
        "seq": event.seq,
        "token": event.token,
        "ms": event.outputs.ms,
        "digest": digest,
        "worker": job.worker,
    }
    sector_step(sector, event=event.event, job=job, now=now, actor=actor, report=report, **data)
    return _answer(job, sector)


def _data_check(sector: Sector, columns: dict[str, Any]) -> None:
    """Check that a host has put in what it was given; the row keeps what it says.  Raises BadReport."""
    if "pieces" in columns:
        put = [(piece["size"], piece["comm_p"]) for piece in columns.pop("pieces")]
        if put != [(piece["size"], piece["comm_p"]) for piece in sector.pieces]:
            raise BadReport(gettext("these are not the pieces of the sector"), field="outputs.pieces")
    if "comm_d" in columns and columns["comm_d"] != comm_d_of(sector):
        raise BadReport(gettext("the commitment does not match the sector's pieces"), field="outputs.comm_d")


def proof_check(sector: Sector, *, proof: bytes) -> None:
    """Check a PoRep before it goes into a message.  Raises BadReport."""
    if not is_checked_here(proof):
        return
    inputs = seal_inputs(sector)
    try:
        proof_verifier().porep(
            proof,
            seal_proof=inputs.seal_proof,
            comm_r=inputs.comm_r or b"",
            comm_d=inputs.comm_d or b"",
            miner_id=inputs.miner_id,
            sector_number=inputs.number,
            ticket=inputs.ticket or b"",
            seed=inputs.seed or b"",
        )
    except BAD_PROOFS as bad:
        raise BadReport(
            gettext("the chain would refuse this proof: {error}").format(error=bad), field="outputs.proof"
        ) from None


def _repeat_check(job: Job, *, seq: int, digest: str) -> None:
    known = job.events.filter(seq=seq).first()
    if known is None or known.digest != digest:
        raise OtherReport


def _answer(job: Job, sector: Sector) -> EventAnswer:
    step = NEXT_STAGE[sector.state]
    goes_on = step.owner is Owner.WORKER and job.state == JobState.LEASED
    return EventAnswer(
        state=sector.state,
        seq=job.seq,
        seal=sealing_inputs(job, sector) if goes_on else None,
        is_done=step.owner is Owner.NOBODY,
    )
