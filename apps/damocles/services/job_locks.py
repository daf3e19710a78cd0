"""Jobs over proven sectors with their locks, as the damocles-workers that have them work on them.

They are the jobs of the pool's own hosts, and who asks first has one.  A worker names no job in its calls but
the sector, so of each sector a damocles-worker has one at a time.  The token of the lease is the fence: once
another host has the job its thread is told to wipe what it has, as nothing that it works on is there alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import fitted, quoted
from apps.core.transitions import advance
from apps.damocles.errors import NotDamocles, SectorEnded
from apps.damocles.reasons import GAVE_UP
from apps.damocles.services.files import files_check_end
from apps.damocles.services.sector_locks import SectorName, sector_find
from apps.sectors.errors.runs import NoHost
from apps.sectors.models import DamoclesJob, DamoclesSector, Job, PipelineRun, Sector
from apps.sectors.selectors.restored import lease_token_next
from apps.sectors.selectors.run_hosts import hosts_of_run
from apps.sectors.services.runs.reports import run_report
from apps.sectors.services.runs.steps import run_lock, run_move, run_pause
from apps.sectors.services.runs.unsealing import unseal_step
from apps.sectors.services.timeline import job_event_write
from apps.sectors.states import ENDED_SECTORS, JobState
from apps.users.rules.principals import Principal
from poolsite.wire.job_reports import TEXT_MAX, Event, StageOutputs
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import (
    BACK_TO,
    UNSEAL_STAGES,
    Owner,
    RebuildState,
    SnapStage,
    SnapState,
    Stage,
    UnsealStage,
)

FIRST_STAGES: Final[dict[JobKind, str]] = {
    JobKind.SNAP_UP: SnapStage.SNAP_ENCODE,
    JobKind.REBUILD: Stage.ADD_PIECE,
    JobKind.UNSEAL: UnsealStage.UNSEAL,
}
"""Where a job is of which nothing lies on a host's disk."""
FIRST_STATES: Final[dict[JobKind, str]] = {
    JobKind.SNAP_UP: SnapState.PIECES_ASSIGNED,
    JobKind.REBUILD: RebuildState.LOST,
}
ACCEPTED: Final = (
    SnapState.SNAP_STORED,
    SnapState.UPDATE_SENT,
    SnapState.UPDATE_LANDED,
    SnapState.UPDATE_FINAL,
    SnapState.SNAPPED,
    RebuildState.REBUILD_CLEARED,
    RebuildState.REBUILT,
)
"""States of a run in which a worker's part is done."""


@dataclass(slots=True)
class LockedJob:
    """A job that a damocles-worker has, locked, with what it told of it."""

    sector: Sector
    job: Job
    record: DamoclesJob
    run: PipelineRun | None
    """None: it is unsealing."""
    source: str
    """Address of the caller."""
    now: datetime

    @property
    def is_accepted(self) -> bool:
        """Return whether all that a worker has to do is done, by whomever."""
        if self.run is None:
            return self.job.state == JobState.DONE
        return self.run.state in ACCEPTED

    @property
    def loss(self) -> str:
        """Return why its thread has nothing left to do for the job but to wipe it; empty while it has."""
        if self.sector.state in ENDED_SECTORS:
            return gettext("the sector is {state}").format(state=self.sector.state.lower())
        if self.run is not None and not self.run.is_open and not self.is_accepted:
            return gettext("the job was aborted")
        if self.job.state == JobState.FAILED:
            return self.job.error or gettext("the job failed")
        if self.job.lease_token != self.record.token and not self.is_accepted:
            host = gettext("another host") if self.job.worker is None else self.job.worker.name
            return gettext("it has since been given to {host}").format(host=host)
        return ""

    @property
    def is_of_caller(self) -> bool:
        """Return whether the caller may be the worker that has the job: where it asks from is all it says."""
        return self.record.worker.host == self.source[:100]

    def require(self, name: SectorName) -> None:
        """Refuse who has not got the job.  Raises SectorEnded for one that was lost, NotDamocles."""
        if self.loss:
            raise SectorEnded(f"sector state not found: {name}: {self.loss}")
        if not self.is_of_caller:
            raise NotDamocles(
                gettext("{name} has since been given to {host}: its files are kept").format(
                    name=name, host=self.record.worker
                )
            )

    def begin(self) -> None:
        """Assign the job to the worker: it goes on where it had stopped, and is nobody else's from now on."""
        if self.record.is_failed_there and self.run is not None and self.run.paused_at is not None:
            cleared = {"paused_at": None, "error": "", "attempts": 0, "updated_at": self.now}
            PipelineRun.objects.filter(pk=self.run.pk).update(**cleared)
            advance(self.job, "OFFER", attempts=0, error="", updated_at=self.now)
            self._write("RETRY")
            self.run.refresh_from_db()
        self.record.is_failed_there = False
        self.record.begun_at = self.record.begun_at or self.now
        until = self.now + timedelta(seconds=self.job.lease_s)
        if self.job.state == JobState.READY:
            advance(
                self.job,
                "CLAIM",
                worker=self.record.worker,
                offered_to=[self.record.worker_id],
                lease_token=lease_token_next(),
                lease_until=until,
                heard_at=self.now,
                not_before=None,
                updated_at=self.now,
            )
            self.record.token = self.job.lease_token
        elif self.job.state == JobState.LEASED:
            self.job.worker, self.job.offered_to = self.record.worker, [self.record.worker_id]
            self.job.lease_until, self.job.heard_at = until, self.now
            self.job.save(update_fields=["worker", "offered_to", "lease_until", "heard_at"])
        self.record.save()

    def step(self, outputs: StageOutputs) -> None:
        """Record the end of the next stage, as a host's report does.  Raises BadReport."""
        state, event = self._next()
        report = Event(
            token=self.job.lease_token, seq=self.job.seq + 1, state=state, event=event, outputs=outputs
        )
        if self.run is None:
            unseal_step(self.job, event=report, digest="", now=self.now)
            return
        run_report(self.job, event=report, digest="", now=self.now)
        self.job, self.run = run_lock(self.run.pk)

    def _next(self) -> tuple[str, str]:
        if self.run is None:
            spec = UNSEAL_STAGES[self.job.stage]
            return spec.state, spec.report
        return self.run.state, self.run.step.report

    def forward(self, state: str, outputs: StageOutputs) -> None:
        """Record the ends of a run's stages that are missing up to a state.  Raises BadReport."""
        while self.run is not None and self.run.state != state and self.run.step.owner is Owner.WORKER:
            self.step(outputs)

    def fail(self, error: str, *, is_paused: bool) -> None:
        """Note a failure; one that somebody has to mend pauses a run, and ends unsealing."""
        self._write("FAIL", note=error, is_error=True)
        if not is_paused or self.job.state not in (JobState.READY, JobState.LEASED):
            return
        if self.run is None:  # the piece is unsealed again when somebody asks for it
            advance(self.job, "FAIL", worker=None, lease_until=None, error=error, updated_at=self.now)
            publish(Change("job", self.job.pk, self.job.miner.tenant_id))
            return
        self.record.is_failed_there = True
        self.record.save()
        run_pause(self.run, job=self.job, error=error, now=self.now)
        self.run.refresh_from_db()

    def give_up(self, reason: str) -> None:
        """Release a job whose files its thread removes: the run waits, paused, for a retry on any host."""
        error = GAVE_UP(worker=str(self.record.worker), reason=quoted(reason, by="worker"))
        if self.run is None:
            self.fail(error, is_paused=True)
            return
        if self.job.state == JobState.PAUSED:
            advance(self.job, "OFFER", updated_at=self.now)
        try:
            hosts = hosts_of_run(self.sector, kind=self.run.kind)
        except NoHost:  # hosts are searched again when somebody restarts the run
            hosts = []
        Job.objects.filter(pk=self.job.pk).update(offered_to=hosts, lease_token=lease_token_next())
        self.job.refresh_from_db()
        self._write("FAIL", note=error, is_error=True)
        first = FIRST_STATES[JobKind(self.run.kind)]
        if self.run.state == first:
            run_pause(self.run, job=self.job, error=error, now=self.now)
        else:
            run_move(
                self.run,
                event=f"{BACK_TO}{first}",
                job=self.job,
                now=self.now,
                actor=self.record.worker.name,
                error=error,
                paused_at=self.now,
            )

    def note(self, event: str, note: str) -> None:
        """Write something into the timeline that moves nothing."""
        self._write(event, note=note)

    def _write(self, event: str, *, note: str = "", is_error: bool = False) -> None:
        state, stage = ("", self.job.stage) if self.run is None else (self.run.state, self.run.step.stage)
        job_event_write(
            self.job,
            event=event,
            now=self.now,
            state=state,
            actor=self.record.worker.name,
            stage=stage,
            worker=self.record.worker,
            note=fitted(note, TEXT_MAX),
            is_error=is_error,
        )
        publish(Change("sector", str(self.sector.uuid), self.sector.tenant_id))

    def release(self) -> None:
        """Note that its files are in the store: no room is kept for them any more."""
        self.record.reserved_store, self.record.reserved_bytes = "", 0
        self.record.save()

    def end(self) -> None:
        """Note that its thread is done with the job, or has lost it."""
        files_check_end(self.record.files_check, now=self.now)
        self.record.finished_at = self.record.finished_at or self.now
        self.release()


def job_is_named(principal: Principal, *, name: SectorName) -> bool:
    """Return whether a worker that names a sector does a job over it; else it seals it.

    Raises NotDamocles.
    """
    sector = sector_find(principal, name=name)
    sealing = DamoclesSector.objects.filter(sector=sector, finished_at=None).exclude(begun_at=None)
    return not sealing.exists() and DamoclesJob.objects.filter(sector=sector).exists()


@contextmanager
def damocles_job_lock(
    principal: Principal, *, name: SectorName, kinds: tuple[JobKind, ...] = tuple(FIRST_STAGES), now: datetime
) -> Iterator[LockedJob]:
    """Lock the job over a sector that a damocles-worker was given last.  Raises NotDamocles."""
    sector = sector_find(principal, name=name)
    rows = DamoclesJob.objects.filter(sector=sector, job__kind__in=kinds)
    newest = rows.order_by("-pk").values_list("job_id", flat=True).first()
    if newest is None:
        raise NotDamocles(gettext("no damocles-worker has such a job for {name}").format(name=name))
    with transaction.atomic():
        jobs = Job.objects.select_for_update(of=("self",)).select_related("miner", "worker")
        job = jobs.get(pk=newest)
        record = DamoclesJob.objects.select_related("worker", "files_check").get(job=job)
        run = PipelineRun.objects.select_related("sector__miner__tenant").filter(job=job).first()
        record.named_at = now
        record.save(update_fields=["named_at"])
        yield LockedJob(sector, job, record, run, principal.source, now)
