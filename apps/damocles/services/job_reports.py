"""Reports of damocles-workers' threads on jobs over proven sectors: how far they are, finished, given up."""

from __future__ import annotations

from datetime import datetime

from apps.core.marked_texts import gettext
from apps.core.reasons import quoted
from apps.damocles.errors import NotThatFar
from apps.damocles.services.files import is_unseen
from apps.damocles.services.hosts import damocles_host_register
from apps.damocles.services.job_locks import LockedJob, damocles_job_lock
from apps.damocles.services.sector_locks import SectorName
from apps.damocles.services.sectors import Reported
from apps.sectors.models import DamoclesJob, Worker
from apps.users.rules.principals import Principal
from poolsite.wire.damocles import REBUILT_UNTIL
from poolsite.wire.job_reports import TEXT_MAX, Level, StageOutputs
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import RebuildState


def job_report(
    principal: Principal, *, name: SectorName, reported: Reported, now: datetime
) -> tuple[bool, str]:
    """Record what a thread reports; return whether it is to wipe the sector, and why.

    Raises NotDamocles, WorkerRetired.
    """
    worker = damocles_host_register(principal, name=reported.instance, now=now)
    with damocles_job_lock(principal, name=name, now=now) as one:
        if one.record.finished_at is not None:
            return True, "" if one.is_accepted else one.loss
        if one.loss or _is_anothers(one.record, worker, reported, source=principal.source):
            return True, one.loss or gettext("{host} is doing it").format(host=one.record.worker)
        one.record.worker = worker
        one.record.location, one.record.step = reported.location[:500], reported.step[:40]
        one.record.save()
        if reported.failure_level:
            levels = (str(Level.TEMPORARY), str(Level.ABORT))
            is_paused = reported.failure_level.lower() not in levels
            if is_paused or not is_unseen(one.record):  # a first submission is always too early
                error = quoted(f"{reported.step}: {reported.failure}"[:TEXT_MAX], by="worker")
                one.fail(error, is_paused=is_paused)
            return False, ""
        if one.is_accepted:
            return False, ""
        one.begin()
        until = REBUILT_UNTIL.get(reported.step)
        if until is not None and one.run is not None and one.run.kind == JobKind.REBUILD:
            _rebuild_follow(one, until)
    return False, ""


def _is_anothers(record: DamoclesJob, worker: Worker, reported: Reported, *, source: str) -> bool:
    """Return whether another thread has the job than the one that reports."""
    if record.location:
        return (record.worker_id, record.location) != (worker.pk, reported.location[:500])
    return record.worker_id != worker.pk and record.worker.host != source[:100]


def _rebuild_follow(one: LockedJob, until: str) -> None:
    """Bring a rebuild as far as its thread has come, if it is behind."""
    order = list(RebuildState)
    if one.run is not None and order.index(RebuildState(one.run.state)) < order.index(RebuildState(until)):
        one.forward(until, StageOutputs(comm_d=bytes(one.sector.comm_d or b"")))


def job_finish(principal: Principal, *, name: SectorName, now: datetime) -> None:
    """Note that a thread is done with its job.  Raises NotDamocles, NotThatFar."""
    with damocles_job_lock(principal, name=name, now=now) as one:
        if not one.is_of_caller:
            return
        if one.record.finished_at is None and not one.loss and not one.is_accepted:
            raise NotThatFar(
                gettext("{name}: its output was not submitted, or no prover has checked it yet").format(
                    name=name
                )
            )
        one.end()


def job_abort(principal: Principal, *, name: SectorName, reason: str, now: datetime) -> None:
    """Release a job that its thread has given up; one that it has lost or done stays as it is.

    Raises NotDamocles.
    """
    with damocles_job_lock(principal, name=name, now=now) as one:
        if not one.is_of_caller:
            return
        if one.record.finished_at is None and not one.loss and not one.is_accepted:
            one.give_up(reason[:500])
        one.end()
