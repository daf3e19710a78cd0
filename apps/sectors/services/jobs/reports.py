"""What workers say about their jobs: events, progress, results, failures.

Every word carries the lease's token; an older one is refused, so a worker that lost its job cannot
change it.  Events are numbered: the same number with the same content is answered as before.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.utils.translation import gettext

from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.miners.models import Miner
from apps.sectors.errors import (
    BadReport,
    JobUnknown,
    LeaseLost,
    OtherReport,
    OutOfOrder,
    StateDiffers,
)
from apps.sectors.models import Job, JobEvent, Sector, SectorProof, Worker
from apps.sectors.params import comm_d_of, has_data
from apps.sectors.policy import pause_after, sealing_policy
from apps.sectors.proof_forms import is_checked_here, proof_verifier
from apps.sectors.selectors.hosts import is_uuid
from apps.sectors.selectors.jobs import lease_over_text, seal_inputs, sealing_inputs
from apps.sectors.selectors.sectors import batch_policy
from apps.sectors.services.hosts.workers import progress_store
from apps.sectors.services.jobs.stage_outputs import outputs_check
from apps.sectors.services.runs.steps import run_answer, run_failed, run_report
from apps.sectors.services.runs.unsealing import unseal_answer, unseal_step
from apps.sectors.services.sealing.steps import sector_pause, sector_step
from apps.sectors.states import JobState
from poolsite.filecoin.proof_verifier import BAD_PROOFS
from poolsite.wire.codec import document_encode
from poolsite.wire.job_reports import EventAnswer, Level
from poolsite.wire.jobs import RUN_KINDS, STAGED, JobKind
from poolsite.wire.pipeline import NEXT_STAGE, Owner, SectorState

if TYPE_CHECKING:
    from datetime import datetime

    from poolsite.wire.job_reports import Complete, Event, Fail, Progress, Release


LOCKED: Final = """
SELECT job.* FROM sectors_job job JOIN miners_miner miner ON miner.id = job.miner_id
WHERE job.uuid = %s AND miner.tenant_id = %s FOR UPDATE OF job"""
"""Written out, as are the rows that belong to it: a query of Django's for all four took most of a report."""


def job_for_report(job_id: str, *, token: int, tenant_id: int) -> Job:
    """Lock a job for a report.  Raises JobUnknown, LeaseLost.

    A lease that merely ran out still counts as long as nobody else has claimed the job: the token is
    the fence, the clock only says when others may try.
    """
    if not is_uuid(job_id):
        raise JobUnknown(job_id)
    job = next(iter(Job.objects.raw(LOCKED, [job_id, tenant_id])), None)
    if job is None:
        raise JobUnknown(job_id)
    if job.lease_token != token:
        raise LeaseLost(lease_over_text(job, token))
    # Read once the job is locked: what else is known of it is what its last report or transfer left.
    [job.miner] = Miner.objects.raw("SELECT * FROM miners_miner WHERE id = %s", [job.miner_id])
    if job.miner.tenant_id != tenant_id:
        raise JobUnknown(job_id)
    if job.sector_id is not None:
        [job.sector] = Sector.objects.raw("SELECT * FROM sectors_sector WHERE id = %s", [job.sector_id])
        job.sector.miner = job.miner
    if job.worker_id is not None:
        [job.worker] = Worker.objects.raw("SELECT * FROM sectors_worker WHERE id = %s", [job.worker_id])
    return job


def _lease_check(job: Job) -> None:
    """Refuse a report on a job that is not being worked on.  Raises LeaseLost."""
    if job.state not in (JobState.LEASED, JobState.READY) or _is_given_back(job):
        raise LeaseLost


def _is_given_back(job: Job) -> bool:
    """Return whether a host has released a new sector: what it does of it all the same lies nowhere.

    Any other host may claim the sector, and would go on with files that it does not have.
    """
    is_unbound = job.worker_id is None and job.sticky_worker_id is None
    return is_unbound and job.sector is not None and job.sector.state == SectorState.ALLOCATED


@transaction.atomic
def job_event(job_id: str, event: Event, *, tenant_id: int, now: datetime) -> EventAnswer:
    """Take the end of a sector's stage; the answer has the next stage's inputs if it is the host's.

    Raises JobUnknown, LeaseLost, OutOfOrder, OtherReport, StateDiffers, BadReport, WrongState.
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
    _lease_check(job)
    if event.seq != job.seq + 1:
        raise OutOfOrder(expected=job.seq + 1)
    if sector is None:
        step = unseal_step if job.kind == JobKind.UNSEAL else run_report
        return step(job, event, digest=digest, now=now)
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
    data = outputs_check(stage, event.outputs, policy=sealing_policy(), tenant_id=tenant_id)
    if has_data(sector):
        _data_check(sector, data)
    if "proof" in stage.outputs and event.outputs.proof is not None:
        proof_check(sector, event.outputs.proof)
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
    sector_step(sector, event.event, job=job, now=now, actor=actor, report=report, **data)
    return _answer(job, sector)


def _data_check(sector: Sector, columns: dict[str, Any]) -> None:
    """Check that a host has put in what it was given; the row keeps what it says.  Raises BadReport."""
    if "pieces" in columns:
        put = [(piece["size"], piece["comm_p"]) for piece in columns.pop("pieces")]
        if put != [(piece["size"], piece["comm_p"]) for piece in sector.pieces]:
            raise BadReport(gettext("these are not the pieces of the sector"), field="outputs.pieces")
    if "comm_d" in columns and columns["comm_d"] != comm_d_of(sector):
        raise BadReport(gettext("the commitment does not match the sector's pieces"), field="outputs.comm_d")


def proof_check(sector: Sector, proof: bytes) -> None:
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


@transaction.atomic
def job_progress(job_id: str, progress: Progress, *, tenant_id: int, now: datetime) -> int:
    """Note how far a stage is and prolong the lease; returns its new length in seconds.

    Raises JobUnknown, LeaseLost.
    """
    job = job_for_report(job_id, token=progress.token, tenant_id=tenant_id)
    if job.state != JobState.LEASED:
        raise LeaseLost
    job.lease_until, job.heard_at = now + timedelta(seconds=job.lease_s), now
    job.save(update_fields=["lease_until", "heard_at"])
    if progress.stage == job.stage:
        progress_store(job, progress)
    return job.lease_s


@transaction.atomic
def job_complete(job_id: str, complete: Complete, *, tenant_id: int, now: datetime) -> None:
    """Take the result of a proof job or a check.  Saying the same twice is fine.

    Raises JobUnknown, LeaseLost, BadReport.
    """
    job = job_for_report(job_id, token=complete.token, tenant_id=tenant_id)
    if job.kind in STAGED:
        raise BadReport(gettext("a job with stages ends with its events, not with a result"), field="kind")
    if len(complete.proof) > sealing_policy().proof_max_bytes:
        raise BadReport(
            gettext("must have at most {limit} bytes").format(limit=sealing_policy().proof_max_bytes),
            field="proof",
        )
    if not complete.proof and not complete.faults and job.kind != JobKind.SECTOR_CHECK:
        raise BadReport("missing", field="proof")
    if job.state == JobState.DONE:
        if bytes(job.proof or b"") == complete.proof and job.result.get("faults") == list(complete.faults):
            return
        raise LeaseLost
    _lease_check(job)
    host = job.worker
    actor = host.name if host is not None else ""
    result = {
        "faults": list(complete.faults),
        "ms": complete.ms,
        "read_ms": complete.read_ms,
        "sectors": len({sector["number"] for sector in job.inputs.get("sectors", ())}),
        "worker": actor,
        "stores": [] if host is None else host.stores,
        "bad": [document_encode(one) for one in complete.bad],
        "unreachable": list(complete.unreachable),
    }
    advance(
        job,
        "DONE",
        proof=complete.proof or None,
        result=result,
        worker=None,
        lease_until=None,
        updated_at=now,
    )
    JobEvent.objects.create(
        job=job,
        event="COMPLETE",
        from_state=JobState.LEASED,
        to_state=JobState.DONE,
        stage=job.stage,
        at=now,
        ms=complete.ms,
        actor=actor,
        worker=host,
        token=complete.token,
    )
    publish(Change("job", job.pk, job.miner.tenant_id))


@transaction.atomic
def job_fail(job_id: str, fail: Fail, *, tenant_id: int, now: datetime) -> None:
    """Take a failure: temporary ones are tried again after a growing pause, others wait for somebody.

    Raises JobUnknown, LeaseLost.
    """
    job = job_for_report(job_id, token=fail.token, tenant_id=tenant_id)
    if job.state != JobState.LEASED:
        raise LeaseLost
    policy = batch_policy(job.miner)
    attempts = job.attempts + 1
    again = fail.level is Level.TEMPORARY and attempts < (fail.attempts_max or policy.attempts_max)
    actor = job.worker.name if job.worker is not None else ""
    JobEvent.objects.create(
        job=job,
        event="FAIL",
        from_state=job.sector.state if job.sector is not None else job.state,
        to_state=job.sector.state if job.sector is not None else job.state,
        stage=fail.stage,
        at=now,
        actor=actor,
        worker=job.worker,
        token=fail.token,
        note=fail.error,
        is_error=True,
    )
    freed: dict[str, Any] = {"worker": None, "lease_until": None, "updated_at": now, "error": fail.error}
    if again:
        pause_s = fail.pause_s or (pause_after(attempts, policy) if job.kind in STAGED else attempts)
        not_before = now + timedelta(seconds=pause_s)
        advance(job, "FREE", attempts=attempts, not_before=not_before, **freed)
        if job.sector is not None:
            Sector.objects.filter(pk=job.sector.pk).update(
                error=fail.error, error_level=fail.level, attempts=attempts, not_before=not_before
            )
            publish(Change("sector", str(job.sector.uuid), job.miner.tenant_id))
    elif job.sector is not None:
        advance(job, "FREE", attempts=attempts, **freed)
        sector_pause(job.sector, job=job, error=fail.error, level=fail.level, now=now)
    elif job.kind in RUN_KINDS:
        run_failed(job, error=fail.error, attempts=attempts, now=now)
    else:
        advance(job, "FAIL", attempts=attempts, **freed)
    publish(Change("job", job.pk, job.miner.tenant_id))


@transaction.atomic
def job_release(job_id: str, release: Release, *, tenant_id: int, now: datetime) -> None:
    """Take a job back that the worker did not touch.  Raises JobUnknown, LeaseLost."""
    job = job_for_report(job_id, token=release.token, tenant_id=tenant_id)
    if job.state != JobState.LEASED:
        raise LeaseLost
    # Nothing of the sector is on the host's disk before its first stage has ended.
    unbound = job.sector is not None and job.sector.state == SectorState.ALLOCATED
    data: dict[str, Any] = {"sticky_worker": None} if unbound else {}
    advance(job, "FREE", worker=None, lease_until=None, updated_at=now, **data)
    publish(Change("job", job.pk, job.miner.tenant_id))
