"""Steps of the pipelines over proven sectors: how a run begins, moves, pauses and fails."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from apps.core.transitions import advance
from apps.sectors.models import Job, PipelineRun, Sector
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.run_hosts import hosts_of_run
from apps.sectors.services.runs.events import run_event_write, run_publish
from apps.sectors.states import JobState
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import RUN_NEXT, Owner, RebuildState, SnapState


@transaction.atomic
def run_begin(
    sector: Sector,
    *,
    kind: JobKind,
    state: str,
    actor: str,
    now: datetime,
    hosts: list[int] | None = None,
    note: str = "",
    **data: Any,
) -> PipelineRun:
    """Write a run and its job, for the hosts that may do it where none are given.  Raises NoHost."""
    step = RUN_NEXT[state]
    job = Job.objects.create(
        kind=kind,
        state=JobState.READY if step.owner is Owner.WORKER else JobState.WAITING,
        miner=sector.miner,
        stage=step.stage,
        lease_s=sealing_policy().lease_s,
        offered_to=hosts_of_run(sector, kind=kind) if hosts is None else hosts,
        inputs={"sector": str(sector.uuid)},
    )
    run = PipelineRun.objects.create(
        sector=sector, job=job, kind=kind, state=state, state_since=now, actor=actor, **data
    )
    run_event_write(run, job=job, event="BEGIN", before="", stage="", now=now, actor=actor, note=note)
    run_publish(run)
    return run


def run_move(
    run: PipelineRun,
    *,
    event: str,
    job: Job,
    now: datetime,
    actor: str = "",
    note: str = "",
    report: dict[str, Any] | None = None,
    **data: Any,
) -> None:
    """Move a run, write the event, and offer, hold back or end its job; call it with the job's row locked.

    Raises WrongState, LostRace.
    """
    before, stage = run.state, run.step.stage
    cleared = {"error": "", "not_before": None, "paused_at": None}
    advance(run, event, **(cleared | {"state_since": now, "updated_at": now} | data))
    run_event_write(
        run,
        job=job,
        event=event,
        before=before,
        stage=stage,
        now=now,
        actor=actor,
        note=note,
        **(report or {}),
    )
    _job_follow(job, run, now=now, is_report=report is not None)
    run_publish(run)


def _job_follow(job: Job, run: PipelineRun, *, now: datetime, is_report: bool) -> None:
    step = run.step
    data: dict[str, Any] = {"stage": step.stage, "attempts": 0, "error": "", "updated_at": now}
    over = {"worker": None, "lease_until": None}
    if run.paused_at is not None:
        advance(job, "PAUSE", **data, **over)
    elif step.owner is Owner.CONSOLE:
        advance(job, "WAIT", **data, **over)
    elif step.owner is Owner.NOBODY:
        is_good = run.state in (SnapState.SNAPPED, RebuildState.REBUILT)
        advance(job, "DONE" if is_good else "FAIL", **data, **over)
    elif is_report and job.worker_id is not None:
        until = now + timedelta(seconds=job.lease_s)
        # What a stage has made lies on this host's disk.
        advance(job, "GO_ON", **data, offered_to=[job.worker_id], lease_until=until, heard_at=now)
    else:
        advance(job, "FREE" if job.state in (JobState.LEASED, JobState.READY) else "OFFER", **data, **over)


def run_lock(pk: int) -> tuple[Job, PipelineRun]:
    """Lock a run's job and give both, fresh; every step of a run holds this lock."""
    jobs = Job.objects.select_for_update(of=("self",)).select_related("miner", "worker")
    job = jobs.get(run__pk=pk)
    return job, PipelineRun.objects.select_related("sector__miner__tenant").get(pk=pk)


def run_console_step(run: PipelineRun, *, event: str, now: datetime, note: str = "", **data: Any) -> bool:
    """Advance a run by a step of the console, if it still is where we saw it; return whether it was."""
    with transaction.atomic():
        job, current = run_lock(run.pk)
        if current.state != run.state or current.paused_at is not None:
            return False
        run_move(current, event=event, job=job, now=now, actor="console", note=note, **data)
    return True


def run_pause(run: PipelineRun, *, job: Job, error: str, now: datetime) -> None:
    """Stop a run where it is until somebody decides; files and state stay."""
    PipelineRun.objects.filter(pk=run.pk).update(paused_at=now, error=error, not_before=None, updated_at=now)
    advance(job, "PAUSE", worker=None, lease_until=None, error=error, updated_at=now)
    run_publish(run)


def run_fail(job: Job, *, error: str, attempts: int, now: datetime) -> None:
    """Stop a run whose stage failed on its host for good; the job is locked."""
    run = PipelineRun.objects.select_related("sector__miner").get(job=job)
    Job.objects.filter(pk=job.pk).update(attempts=attempts)
    run_pause(run, job=job, error=error, now=now)


@transaction.atomic
def run_console_fail(
    run: PipelineRun, *, error: str, now: datetime, not_before: datetime | None = None
) -> None:
    """Note that a chain step failed: tried again from `not_before` on, otherwise it waits for somebody."""
    job, current = run_lock(run.pk)
    if current.state != run.state or current.paused_at is not None:
        return
    run_event_write(
        current,
        job=job,
        event="FAIL",
        before=current.state,
        stage=current.step.stage,
        now=now,
        note=error,
        is_error=True,
    )
    if not_before is None:
        run_pause(current, job=job, error=error, now=now)
        return
    PipelineRun.objects.filter(pk=run.pk).update(
        error=error, attempts=current.attempts + 1, not_before=not_before, updated_at=now
    )
    run_publish(current)
