"""One step of a sector along its table, whoever took it, and what that means for its job."""

from __future__ import annotations

from copy import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from apps.core.errors import BadValue, Conflict
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.transitions import advance
from apps.messages.selectors.messages import message_may_land, messages_by_ids
from apps.messages.states import MessageState
from apps.sectors.errors.sectors import CommitOnItsWay, NotPaused, PreCommitOnItsWay
from apps.sectors.models import Job, Sector, WorkerCommand
from apps.sectors.reasons import PAUSED_BY
from apps.sectors.rules.params import has_data
from apps.sectors.selectors.restored import lease_token_next
from apps.sectors.services.audit import sector_audit
from apps.sectors.services.files.c1_files import c1_file_delete, is_c1_file_kept
from apps.sectors.services.files.removals import files_remove
from apps.sectors.services.timeline import job_event_write
from apps.sectors.states import ENDED_SECTORS, BatchState, JobState
from poolsite.tracing import span
from poolsite.tracing.subjects import of_jobs
from poolsite.wire.commands import Operation
from poolsite.wire.job_reports import Level
from poolsite.wire.pipeline import (
    BACK_TO,
    NEXT_STAGE,
    RECOVER_TO,
    SECTOR_STATES,
    Owner,
    SectorEvent,
    SectorState,
    stage_rank,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.sectors.selectors.sealing_context import SealingContext

if TYPE_CHECKING:
    from datetime import datetime

    from apps.sectors.models import Batch, Worker
    from apps.users.rules.principals import Principal


def sector_step(
    sector: Sector,
    *,
    event: str,
    job: Job,
    now: datetime,
    actor: str = "",
    note: str = "",
    report: dict[str, Any] | None = None,
    is_withdrawn: bool = False,
    **data: Any,
) -> None:
    """Move a sector, write the event, and offer, hold back or end its job as the new state asks.

    The caller's transaction holds the job's row lock (`job_lock`).  Raises WrongState, LostRace.
    """
    assert connection.in_atomic_block, "the job's row lock ends with its transaction"
    with span(f"sector {event}", about=of_jobs([job.uuid])):
        _step(
            sector,
            event=event,
            job=job,
            now=now,
            actor=actor,
            note=note,
            report=report,
            is_withdrawn=is_withdrawn,
            **data,
        )


def _step(
    sector: Sector,
    *,
    event: str,
    job: Job,
    now: datetime,
    actor: str,
    note: str,
    report: dict[str, Any] | None,
    is_withdrawn: bool,
    **data: Any,
) -> None:
    before, stage = sector.state, sector.stage
    if before in (SectorState.SEED_ASSIGNED, SectorState.C1_DONE) and event != SectorEvent.C1:
        c1_file_delete(job, sector=sector)
    advance(
        sector,
        event,
        stage_since=now,
        progress_done=0,
        progress_total=0,
        progress_unit="",
        attempts=0,
        error="",
        error_level="",
        not_before=None,
        ready_height=None,
        updated_at=now,
        **({"paused_by": "", "bad_store": ""} if "paused_at" in data else {}),
        **data,
    )
    job_event_write(
        job,
        event=event,
        now=now,
        state=before,
        after=sector.state,
        actor=actor,
        stage=stage,
        note=note,
        is_withdrawn=is_withdrawn,
        **(report or {}),
    )
    _job_follow(job, sector, now=now, report=report)
    publish(Change("sector", str(sector.uuid), sector.miner.tenant_id))


def _job_follow(job: Job, sector: Sector, *, now: datetime, report: dict[str, Any] | None) -> None:
    step = NEXT_STAGE[sector.state]
    data: dict[str, Any] = {
        "stage": step.stage,
        "rank": stage_rank(step.stage),
        "time_sensitive": False,  # heads mark what is urgent in its new state
        "attempts": 0,
        "error": "",
        "not_before": None,  # the pause after a failure was for the stage that is over now
        "is_portable": sector.state == SectorState.C1_DONE and is_c1_file_kept(job, sector=sector),
        "updated_at": now,
    }
    if report is not None:
        data["seq"] = report["seq"]
    elif data["rank"] <= job.rank:
        # It may come to the same state again, with another ticket or seed: a report of before is fenced.
        data["lease_token"] = lease_token_next()
    over: dict[str, Any] = {"worker": None, "lease_until": None}
    if sector.state == SectorState.TREE_D_BUILT:
        over["heard_at"] = None  # whoever is heard of after the ticket has begun its labels
    if step.owner is Owner.CONSOLE:
        advance(job, "WAIT", **data, **over)
    elif step.owner is Owner.NOBODY:
        ended = "RESTORE_DONE" if job.state == JobState.FAILED else "DONE"
        advance(job, "FAIL" if sector.state == SectorState.ABORTED else ended, **data, **over)
    elif report is not None and job.worker_id is not None and not data["is_portable"]:
        until = now + timedelta(seconds=job.lease_s)
        advance(job, "GO_ON", **data, lease_until=until, heard_at=now)
    elif job.state in (JobState.LEASED, JobState.READY):
        advance(job, "FREE", **data, **over)
    else:
        advance(job, "RESTORE" if job.state == JobState.FAILED else "OFFER", **data, **over)


def job_lock(sector_id: int) -> tuple[Job, Sector]:
    """Lock a sector's job and give both, fresh; every step of a sector holds this lock."""
    job = (
        Job.objects.select_for_update(of=("self",)).select_related("miner", "worker").get(sector_id=sector_id)
    )
    sector = Sector.objects.select_related("miner").get(pk=sector_id)
    return job, sector


def sector_pause(
    sector: Sector, *, job: Job, error: str, level: str, now: datetime, by: str = "", bad_store: str = ""
) -> None:
    """Stop a sector where it is until somebody decides; its files and its state stay.

    `by`: the person who paused it; empty: it failed.  `bad_store`: where its bad files are; empty: none are.
    """
    Sector.objects.filter(pk=sector.pk).update(
        paused_at=now,
        paused_by=by[:200],
        bad_store=bad_store,
        error=error,
        error_level=level,
        not_before=None,
        updated_at=now,
    )
    advance(job, "PAUSE", worker=None, lease_until=None, error=error, updated_at=now)
    publish(Change("sector", str(sector.uuid), sector.miner.tenant_id))


def sector_console_fail(
    sector: Sector, *, error: str, level: str, now: datetime, not_before: datetime | None = None
) -> None:
    """Note that a chain step failed: paused if it is permanent, else tried again from `not_before` on."""
    with transaction.atomic():
        job, current = job_lock(sector.pk)
        if current.state != sector.state or current.paused_at is not None:
            return
        job_event_write(
            job, event="FAIL", now=now, state=current.state, stage=current.stage, note=error, is_error=True
        )
        if level == Level.TEMPORARY:
            Sector.objects.filter(pk=current.pk).update(
                error=error,
                error_level=level,
                attempts=current.attempts + 1,
                not_before=not_before,
                updated_at=now,
            )
            publish(Change("sector", str(current.uuid), current.miner.tenant_id))
        else:
            sector_pause(current, job=job, error=error, level=level, now=now)


@transaction.atomic
def sector_retry(
    sector: Sector, *, actor: str, now: datetime, state: str | None = None, by: Principal | None = None
) -> Sector:
    """Go on with a paused sector: the same stage again, or from an earlier `state` of its table.

    `by` goes into the audit log.  Raises NotPaused, WrongState, PreCommitOnItsWay.
    """
    job, current = job_lock(sector.pk)
    if current.paused_at is None:
        raise NotPaused(gettext("sector {number} is not paused").format(number=current.number))
    if state is not None and state != current.state:
        is_replica_lost = current.state == SectorState.PERSISTED and state != SectorState.PC2_DONE
        if is_replica_lost and _may_land(current.precommit_batch):
            raise PreCommitOnItsWay(
                gettext("the pre-commit of sector {number} may still land: wait for its message").format(
                    number=current.number
                )
            )
        is_anew = state == SectorState.ALLOCATED and not has_data(current)
        data: dict[str, Any] = {"pieces": []} if is_anew else {}
        before = copy(current)
        sector_step(current, event=f"{BACK_TO}{state}", job=job, now=now, actor=actor, paused_at=None, **data)
        sector_audit(by, action="sector.back", before=before, after=current)
        return current
    before = copy(current)
    Sector.objects.filter(pk=current.pk).update(
        error="",
        error_level="",
        attempts=0,
        not_before=None,
        paused_at=None,
        paused_by="",
        bad_store="",
        updated_at=now,
    )
    is_workers = NEXT_STAGE[current.state].owner is Owner.WORKER
    advance(job, "OFFER" if is_workers else "WAIT", attempts=0, error="", not_before=None, updated_at=now)
    job_event_write(job, event="RETRY", now=now, state=current.state, actor=actor, stage=current.stage)
    current.refresh_from_db()
    sector_audit(by, action="sector.retry", before=before, after=current)
    publish(Change("sector", str(current.uuid), current.miner.tenant_id))
    return current


@transaction.atomic
def sector_stop(
    sector: Sector, *, actor: str, now: datetime, ends_stage: bool = False, by: Principal | None = None
) -> Sector:
    """Pause a sector on a person's wish.

    What its host computes goes on and is kept for a retry, unless it `ends_stage`: it may hang.
    """
    job, current = job_lock(sector.pk)
    host, before = job.worker or job.sticky_worker, copy(current)
    if current.paused_at is None:
        sector_pause(
            current,
            job=job,
            error=PAUSED_BY(actor=actor),
            level=Level.PERMANENT,
            now=now,
            by=actor,
        )
        current.refresh_from_db()
    if ends_stage and host is not None and NEXT_STAGE[current.state].owner is Owner.WORKER:
        _stage_end(current, job=job, host=host, actor=actor, now=now)
        sector_audit(by, action="sector.end-stage", before=before, after=current, note=host.name)
    elif before.paused_at is None:
        sector_audit(by, action="sector.pause", before=before, after=current)
    return current


def _stage_end(sector: Sector, *, job: Job, host: Worker, actor: str, now: datetime) -> None:
    """Order a host to end what it computes for a job, under the last lease or one before."""
    args = {"job": str(job.uuid), "token": str(job.lease_token)}
    WorkerCommand.objects.create(worker=host, op=Operation.END_STAGE, args=args, actor=actor)
    job_event_write(
        job,
        event=Operation.END_STAGE.name,
        now=now,
        state=sector.state,
        actor=actor,
        stage=sector.stage,
        worker=host,
    )
    publish(Change("worker", host.pk, host.tenant_id))


def _may_land(batch: Batch | None, *, counts_landed: bool = False) -> bool:
    """Return whether the chain may still get a batch's message; with `counts_landed` also if it has it."""
    if batch is None:
        return False
    message = messages_by_ids([batch.message_id]).get(batch.message_id)
    if message is None:
        return batch.state == BatchState.CLOSED  # its message is about to be pushed
    is_landed = message.state == MessageState.LANDED and message.exit_code == 0
    return message_may_land(message) or (is_landed and counts_landed)


@transaction.atomic
def sector_abort(
    sector: Sector, *, actor: str, reason: str, now: datetime, by: Principal | None = None
) -> Sector:
    """Abort a sector for ever: its number stays used, its hosts are told to remove its files.

    Raises WrongState once the chain knows the sector as proven, CommitOnItsWay while it soon may.
    """
    job, current = job_lock(sector.pk)
    if _may_land(current.commit_batch, counts_landed=current.state == SectorState.COMMIT_SENT):
        raise CommitOnItsWay(
            gettext("the commit of sector {number} may still land: wait for its message").format(
                number=current.number
            )
        )
    before = copy(current)
    sector_step(current, event="ABORT", job=job, now=now, actor=actor, note=reason, paused_at=None)
    files_remove(current, job=job, actor=actor)
    sector_audit(by, action="sector.abort", before=before, after=current, note=reason)
    return current


def sectors_requeue(sectors: Sequence[Sector], *, error: str, work: SealingContext) -> None:
    """Requeue sectors for another batch, each after a pause that grows with its failures."""
    for sector in sectors:
        pause_s = work.policy.retries(sector.step).pause_after(sector.attempts + 1)
        not_before = work.now + timedelta(seconds=pause_s)
        sector_console_fail(sector, error=error, level=Level.TEMPORARY, now=work.now, not_before=not_before)


@transaction.atomic
def sector_state_set(sector: Sector, *, state: str, reason: str, by: Principal, now: datetime) -> Sector:
    """Set a sector to any state of its table, whatever the table says; nothing of it is deleted.

    For a person who knows better than the rows: what the state needs, such as a ticket or files, is not
    made.  The reason is kept.  Raises BadValue, Conflict for one that has ended.
    """
    if not reason.strip():
        raise BadValue(gettext("give a reason: it is kept in the history"), field="reason")
    if state not in SECTOR_STATES or state in ENDED_SECTORS:
        raise BadValue(gettext("unknown state, or one that cannot be set manually"), field="state")
    job, current = job_lock(sector.pk)
    if current.state in ENDED_SECTORS:
        raise Conflict(
            gettext("sector {number} is {state}, which is final").format(
                number=current.number, state=current.state.lower()
            ),
            field="state",
        )
    if current.state == state:
        raise BadValue(gettext("it is already in this state"), field="state")
    before = copy(current)
    sector_step(
        current, event=f"{RECOVER_TO}{state}", job=job, now=now, actor=by.actor, note=reason, paused_at=None
    )
    sector_audit(by, action="sector.state-set", before=before, after=current, note=reason)
    return current
