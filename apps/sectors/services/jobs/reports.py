"""What workers say about their jobs: progress, results, failures; ends of stages are in `stage_events`.

Every word carries the lease's token; an older one is refused, so a worker that lost its job cannot
change it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason, quoted
from apps.core.transitions import advance
from apps.sectors.errors.jobs import BadReport, LeaseLost
from apps.sectors.models import Job, JobEvent, Sector
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.services.jobs.lease_renewals import progress_store
from apps.sectors.services.jobs.report_leases import job_for_report, lease_check
from apps.sectors.services.runs.steps import run_fail
from apps.sectors.services.sealing.steps import sector_pause, sector_step
from apps.sectors.services.timeline import job_event_write
from apps.sectors.states import JobState
from poolsite.tracing import span
from poolsite.tracing.subjects import of_jobs
from poolsite.wire.codec import document_encode
from poolsite.wire.job_reports import Complete, Fail, Level, Progress, Release
from poolsite.wire.jobs import RUN_KINDS, STAGED, JobKind
from poolsite.wire.pipeline import WORKER_STAGES, SectorEvent, SectorState

TICKETS_A_DAY: Final = 5
"""Tickets that a sector gets because its host asks for them; then its labels fail as others do."""


@transaction.atomic
def job_progress_record(job_id: str, *, progress: Progress, tenant_id: int, now: datetime) -> int:
    """Note how far a stage is and prolong the lease; returns its new length in seconds.

    Raises JobUnknown, LeaseLost.
    """
    job = job_for_report(job_id, token=progress.token, tenant_id=tenant_id)
    if job.state != JobState.LEASED:
        raise LeaseLost
    job.lease_until, job.heard_at = now + timedelta(seconds=job.lease_s), now
    job.save(update_fields=["lease_until", "heard_at"])
    if progress.stage == job.stage:
        progress_store(job, progress=progress)
    return job.lease_s


@transaction.atomic
def job_complete(job_id: str, *, complete: Complete, tenant_id: int, now: datetime) -> None:
    """Record the result of a proof job or a check; the same result again changes nothing.

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
    lease_check(job)
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
    job_event_write(
        job,
        event="COMPLETE",
        now=now,
        state=JobState.LEASED,
        after=JobState.DONE,
        actor=actor,
        stage=job.stage,
        ms=complete.ms,
        worker=host,
        token=complete.token,
    )
    with span("job complete", about=of_jobs([job.uuid])):
        publish(Change("job", job.pk, job.miner.tenant_id))


@transaction.atomic
def job_fail(job_id: str, *, fail: Fail, tenant_id: int, now: datetime) -> None:
    """Record a failure: temporary ones are tried again after a growing pause, others wait for somebody.

    A sector whose labels would be too late for its ticket gets another one, a few times a day.
    Raises JobUnknown, LeaseLost.
    """
    job = job_for_report(job_id, token=fail.token, tenant_id=tenant_id)
    if job.state != JobState.LEASED:
        raise LeaseLost
    if fail.needs_ticket and job.sector is not None and _may_get_ticket(job, job.sector, now=now):
        sector_step(
            job.sector,
            event=SectorEvent.RETICKET,
            job=job,
            now=now,
            actor=job.worker.name if job.worker is not None else "",
            note=quoted(fail.error, by="host"),
            ticket=None,
            ticket_epoch=None,
        )
        publish(Change("job", job.pk, job.miner.tenant_id))
        return
    retries = batch_policy(job.miner).retries(WORKER_STAGES.get(job.stage))
    attempts = job.attempts + 1
    again = fail.level is Level.TEMPORARY and attempts < (fail.attempts_max or retries.attempts_max)
    actor = job.worker.name if job.worker is not None else ""
    error = fail.error if isinstance(fail.error, Reason) else quoted(fail.error, by="host")
    job_event_write(
        job,
        event="FAIL",
        now=now,
        state=job.sector.state if job.sector is not None else job.state,
        actor=actor,
        stage=fail.stage,
        worker=job.worker,
        token=fail.token,
        note=error,
        is_error=True,
    )
    freed: dict[str, Any] = {"worker": None, "lease_until": None, "updated_at": now, "error": error}
    if again:
        pause_s = fail.pause_s or (retries.pause_after(attempts) if job.kind in STAGED else attempts)
        not_before = now + timedelta(seconds=pause_s)
        advance(job, "FREE", attempts=attempts, not_before=not_before, **freed)
        if job.sector is not None:
            Sector.objects.filter(pk=job.sector.pk).update(
                error=error, error_level=fail.level, attempts=attempts, not_before=not_before
            )
            publish(Change("sector", str(job.sector.uuid), job.miner.tenant_id))
    elif job.sector is not None:
        advance(job, "FREE", attempts=attempts, **freed)
        sector_pause(job.sector, job=job, error=error, level=fail.level, now=now)
    elif job.kind in RUN_KINDS:
        run_fail(job, error=error, attempts=attempts, now=now)
    else:
        advance(job, "FAIL", attempts=attempts, **freed)
    publish(Change("job", job.pk, job.miner.tenant_id))


def _may_get_ticket(job: Job, sector: Sector, *, now: datetime) -> bool:
    """Return whether a sector may get another ticket: no pre-commit is of this one, and it got few of late.

    With a wrong clock, or as long as it waits for its batch, a host would find each of them too old.
    """
    if sector.state != SectorState.TICKET_ASSIGNED or sector.was_precommitted:
        return False
    since = now - timedelta(days=1)
    return JobEvent.objects.filter(job=job, event=SectorEvent.RETICKET, at__gte=since).count() < TICKETS_A_DAY


@transaction.atomic
def job_release(job_id: str, *, release: Release, tenant_id: int, now: datetime) -> None:
    """Free a job that the worker did not start.  Raises JobUnknown, LeaseLost."""
    job = job_for_report(job_id, token=release.token, tenant_id=tenant_id)
    if job.state != JobState.LEASED:
        raise LeaseLost
    # Nothing of the sector is on the host's disk before its first stage has ended.
    unbound = job.sector is not None and job.sector.state == SectorState.ALLOCATED
    data: dict[str, Any] = {"sticky_worker": None, "turn": None} if unbound else {}
    advance(job, "FREE", worker=None, lease_until=None, updated_at=now, **data)
    publish(Change("job", job.pk, job.miner.tenant_id))
