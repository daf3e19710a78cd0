"""What people decide about a run that is under way: go on, begin again, end it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction

from apps.core.marked_texts import gettext
from apps.core.transitions import advance
from apps.sectors.errors.runs import RunUnknown
from apps.sectors.errors.sectors import NotPaused
from apps.sectors.models import Job, PipelineRun, Sector
from apps.sectors.selectors.run_hosts import hosts_of_run
from apps.sectors.services.files.removals import sealing_folder_clear
from apps.sectors.services.runs.events import run_event_write, run_publish
from apps.sectors.services.runs.steps import run_lock, run_move
from apps.sectors.services.sealing.placements import pieces_unplace
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import BACK_TO, Owner, RebuildState, SnapState

FIRST_STATES: Final = (SnapState.PIECES_ASSIGNED, RebuildState.LOST)
ACTIONS: Final[dict[str, str]] = {JobKind.SNAP_UP: "snap-up", JobKind.REBUILD: "rebuild"}
"""What the audit log calls them."""


@transaction.atomic
def run_retry(
    run: PipelineRun, *, by: Principal, now: datetime, state: str | None = None, is_audited: bool = True
) -> PipelineRun:
    """Go on with a run that stopped: the same stage again, or from an earlier state of its table.

    From the first stage on another host may take it.  Where a line tells of it already, nothing
    `is_audited`.  Raises NotPaused, WrongState, NoHost.
    """
    job, current = run_lock(run.pk)
    if current.paused_at is None:
        raise NotPaused(gettext("it is not paused"))
    before = current.state
    if state is None and current.step.owner is Owner.NOBODY:
        state = current.step.resume_at[0]
    if state is not None and state != current.state:
        if state in FIRST_STATES:
            Job.objects.filter(pk=job.pk).update(offered_to=hosts_of_run(current.sector, kind=current.kind))
        run_move(current, event=f"{BACK_TO}{state}", job=job, now=now, actor=by.actor, attempts=0)
    else:
        values = {"error": "", "attempts": 0, "not_before": None, "paused_at": None, "updated_at": now}
        PipelineRun.objects.filter(pk=current.pk).update(**values)
        advance(
            job,
            "OFFER" if current.step.owner is Owner.WORKER else "WAIT",
            attempts=0,
            error="",
            updated_at=now,
        )
        run_event_write(
            current,
            job=job,
            event="RETRY",
            before=current.state,
            stage=current.step.stage,
            now=now,
            actor=by.actor,
        )
        current.refresh_from_db()
        run_publish(current)
    if is_audited:
        _audit(current, f"sector.{ACTIONS[current.kind]}-retry", by=by, before=before)
    return current


@transaction.atomic
def run_abort(run: PipelineRun, *, reason: str, by: Principal, now: datetime) -> PipelineRun:
    """End a run; its host clears its sealing folder of it.  Raises WrongState once the message is sent."""
    job, current = run_lock(run.pk)
    before = current.state
    run_move(current, event="ABORT", job=job, now=now, actor=by.actor, note=reason)
    sealing_folder_clear(current.sector, job=job, actor=by.actor)
    if current.kind == JobKind.SNAP_UP:
        pieces_unplace(current.sector.miner, number=current.sector.number, now=now)
    _audit(current, f"sector.{ACTIONS[current.kind]}-abort", by=by, before=before, note=reason)
    return current


def run_open(sector: Sector, *, kind: str) -> PipelineRun:
    """Return the run of this kind over a sector that is under way.  Raises RunUnknown."""
    runs = PipelineRun.objects.filter(sector=sector, kind=kind).select_related("job", "sector__miner")
    run = runs.order_by("-pk").first()
    if run is None or not run.is_open:
        raise RunUnknown(ACTIONS.get(kind, "run"))
    return run


def _audit(run: PipelineRun, action: str, *, by: Principal, before: str, note: str = "") -> None:
    after = {"state": run.state} | ({"reason": note} if note else {})
    target = f"{run.sector.miner} / {run.sector.number}"
    audit_record(principal=by, action=action, target=target, before={"state": before}, after=after)
