"""Jobs over proven sectors that damocles-workers do: given out, leased, told of, finished and given up.

They are the jobs of the pool's own hosts, and who asks first has one.  A worker names no job in its calls but
the sector, so of each sector a damocles-worker has one at a time.  The token of the lease is the fence: once
another host has the job its thread is told to wipe what it has, as nothing that it works on is there alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext

from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.sectors.errors import NoHost, NotDamocles, NotThatFar, SectorGone
from apps.sectors.models import DamoclesJob, DamoclesSector, Job, JobEvent, PipelineRun, Sector
from apps.sectors.selectors.damocles import damocles_jobs_in_hand
from apps.sectors.selectors.restored import lease_token_next, must_register
from apps.sectors.services.damocles.files import is_unseen, look_end
from apps.sectors.services.damocles.held import sector_find
from apps.sectors.services.damocles.hosts import damocles_host, damocles_plan_note, damocles_taker
from apps.sectors.services.damocles.sectors import INTERACTIVE
from apps.sectors.services.jobs.claims import URGENCY, jobs_claim
from apps.sectors.services.runs.steps import hosts_of_run, run_locked, run_move, run_pause, run_report
from apps.sectors.services.runs.unsealing import unseal_step
from apps.sectors.states import ENDED_SECTORS, JobState
from poolsite.wire.damocles import REBUILT_UNTIL
from poolsite.wire.job_reports import TEXT_MAX, Event, Level, StageOutputs
from poolsite.wire.jobs import Claim, JobKind
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

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from apps.sectors.models import Worker
    from apps.sectors.services.damocles.held import SectorName
    from apps.sectors.services.damocles.sectors import Reported, Wanted
    from apps.users.principals import Principal
    from poolsite.wire.job_inputs import SealInputs

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
LOOKED_AT_MAX: Final = 1_000
"""Jobs that one call looks at, the most urgent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A job that was leased to a worker, and what it is about."""

    job: Job
    sector: Sector
    inputs: SealInputs


@dataclass(slots=True)
class JobHeld:
    """A job that a damocles-worker has, locked, with what it told of it."""

    sector: Sector
    job: Job
    told: DamoclesJob
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
        if self.job.lease_token != self.told.token and not self.is_accepted:
            host = gettext("another host") if self.job.worker is None else self.job.worker.name
            return gettext("it has since been given to {host}").format(host=host)
        return ""

    @property
    def is_of_caller(self) -> bool:
        """Return whether the caller may be the worker that has the job: where it asks from is all it says."""
        return self.told.worker.host == self.source[:100]

    def require(self, name: SectorName) -> None:
        """Refuse who has not got the job.  Raises SectorGone for one that was lost, NotDamocles."""
        if self.loss:
            raise SectorGone(f"sector state not found: {name}: {self.loss}")
        if not self.is_of_caller:
            raise NotDamocles(
                gettext("{name} has since been given to {host}: its files are kept").format(
                    name=name, host=self.told.worker
                )
            )

    def begin(self) -> None:
        """Have the worker hold the job: it goes on where it had stopped, and is nobody else's from now on."""
        if self.told.is_failed_there and self.run is not None and self.run.paused_at is not None:
            cleared = {"paused_at": None, "error": "", "attempts": 0, "updated_at": self.now}
            PipelineRun.objects.filter(pk=self.run.pk).update(**cleared)
            advance(self.job, "OFFER", attempts=0, error="", updated_at=self.now)
            self._write("RETRY")
            self.run.refresh_from_db()
        self.told.is_failed_there = False
        self.told.begun_at = self.told.begun_at or self.now
        until = self.now + timedelta(seconds=self.job.lease_s)
        if self.job.state == JobState.READY:
            advance(
                self.job,
                "CLAIM",
                worker=self.told.worker,
                offered_to=[self.told.worker_id],
                lease_token=lease_token_next(),
                lease_until=until,
                heard_at=self.now,
                not_before=None,
                updated_at=self.now,
            )
            self.told.token = self.job.lease_token
        elif self.job.state == JobState.LEASED:
            self.job.worker, self.job.offered_to = self.told.worker, [self.told.worker_id]
            self.job.lease_until, self.job.heard_at = until, self.now
            self.job.save(update_fields=["worker", "offered_to", "lease_until", "heard_at"])
        self.told.save()

    def step(self, outputs: StageOutputs) -> None:
        """Record the end of the next stage, as a host's report does.  Raises BadReport."""
        state, event = self._next()
        said = Event(
            token=self.job.lease_token, seq=self.job.seq + 1, state=state, event=event, outputs=outputs
        )
        if self.run is None:
            unseal_step(self.job, said, digest="", now=self.now)
            return
        run_report(self.job, said, digest="", now=self.now)
        self.job, self.run = run_locked(self.run.pk)

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
        self.told.is_failed_there = True
        self.told.save()
        run_pause(self.run, job=self.job, error=error, now=self.now)
        self.run.refresh_from_db()

    def give_up(self, reason: str) -> None:
        """Release a job whose files its thread removes: the run waits, paused, for a retry on any host."""
        error = gettext("{worker} gave it up: {reason}").format(worker=self.told.worker, reason=reason)
        error = error[:TEXT_MAX]
        if self.run is None:
            self.fail(error, is_paused=True)
            return
        if self.job.state == JobState.PAUSED:
            advance(self.job, "OFFER", updated_at=self.now)
        try:
            hosts = hosts_of_run(self.sector, kind=self.run.kind)
        except NoHost:  # looked for again when somebody has it begin again
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
                f"{BACK_TO}{first}",
                job=self.job,
                now=self.now,
                actor=self.told.worker.name,
                error=error,
                paused_at=self.now,
            )

    def note(self, event: str, note: str) -> None:
        """Write something into the timeline that moves nothing."""
        self._write(event, note=note)

    def _write(self, event: str, *, note: str = "", is_error: bool = False) -> None:
        state, stage = ("", self.job.stage) if self.run is None else (self.run.state, self.run.step.stage)
        JobEvent.objects.create(
            job=self.job,
            event=event,
            from_state=state,
            to_state=state,
            stage=stage,
            at=self.now,
            actor=self.told.worker.name,
            worker=self.told.worker,
            note=note[:TEXT_MAX],
            is_error=is_error,
        )
        publish(Change("sector", str(self.sector.uuid), self.sector.tenant_id))

    def release(self) -> None:
        """Note that its files are in the store: no room is kept for them any more."""
        self.told.reserved_store, self.told.reserved_bytes = "", 0
        self.told.save()

    def end(self) -> None:
        """Note that its thread is done with the job, or has lost it."""
        look_end(self.told.look, now=self.now)
        self.told.finished_at = self.told.finished_at or self.now
        self.release()


# Allocation


def job_allocate(principal: Principal, wanted: Wanted, *, kind: JobKind, now: datetime) -> Given | None:
    """Lease the most urgent waiting job of a kind to the worker that asks; None while there is none.

    An updated sector is unsealed by the pool's own hosts: a worker reads the replica before the update.
    If the answer was lost the job is free for any host once the lease is over.  Raises WorkerRetired.
    """
    worker = damocles_taker(principal, now=now)
    if worker is None or must_register(worker):
        return None
    damocles_plan_note(worker, kind, now=now)
    for job, sector in _waiting(principal, wanted, kind=kind, now=now):
        offered = list(job.offered_to or [])
        if worker.pk not in offered:  # before the claim, which locks roles before jobs
            same = Job.objects.filter(pk=job.pk, offered_to=offered, lease_token=job.lease_token)
            same.update(offered_to=[*offered, worker.pk])
        if (given := _claim(job, sector, worker=worker, kind=kind, now=now)) is not None:
            return given
    return None


def _waiting(
    principal: Principal, wanted: Wanted, *, kind: JobKind, now: datetime
) -> Iterator[tuple[Job, Sector]]:
    """Return the jobs that a worker may take, the most urgent first."""
    is_free = Q(state=JobState.READY) | Q(state=JobState.LEASED, lease_until__lt=now)
    rows = Job.objects.filter(is_free, kind=kind, stage=FIRST_STAGES[kind], miner__tenant_id=principal.own_id)
    for miners in filter(None, (wanted.miners, principal.miners)):
        rows = rows.filter(miner__actor_id__in=miners)
    begun = damocles_jobs_in_hand().exclude(begun_at=None)
    jobs = list(rows.exclude(damocles__in=begun).order_by(*URGENCY)[:LOOKED_AT_MAX])
    sectors = Sector.objects.select_related("miner__tenant").exclude(ticket=None)
    sectors = sectors.filter(
        uuid__in=[job.inputs["sector"] for job in jobs],
        seal_proof__in=set(INTERACTIVE).intersection(wanted.proof_types or INTERACTIVE),
    )
    if kind != JobKind.REBUILD:
        sectors = sectors.exclude(store="")
    if kind == JobKind.UNSEAL:
        sectors = sectors.filter(key_comm_r=None)
    sealing = DamoclesSector.objects.filter(finished_at=None).exclude(begun_at=None)
    known = {str(sector.uuid): sector for sector in sectors.exclude(damocles__in=sealing)}
    in_hand = damocles_jobs_in_hand().filter(sector__in=known.values())
    busy = dict(in_hand.values_list("sector_id", "job_id"))
    for job in jobs:
        sector = known.get(job.inputs["sector"])
        if sector is not None and busy.get(sector.pk, job.pk) == job.pk:
            yield job, sector


@transaction.atomic
def _claim(job: Job, sector: Sector, *, worker: Worker, kind: JobKind, now: datetime) -> Given | None:
    claim = Claim(
        worker_id=str(worker.uuid),
        boot_id=worker.boot_id,
        kinds=(kind,),
        stages={FIRST_STAGES[kind]: 1},
        new_sectors=1,
    )
    for assignment in jobs_claim(worker, claim, now=now, among=Q(pk=job.pk)).jobs:
        leased = Job.objects.get(pk=job.pk)
        DamoclesJob.objects.filter(job=leased).delete()
        DamoclesJob.objects.create(
            job=leased, sector=sector, worker=worker, token=assignment.token, named_at=now
        )
        if assignment.seal is not None:
            return Given(job=leased, sector=sector, inputs=assignment.seal)
    return None


# Jobs by the sector that a call names


def job_is_named(principal: Principal, name: SectorName) -> bool:
    """Return whether a worker that names a sector does a job over it; else it seals it.

    Raises NotDamocles.
    """
    sector = sector_find(principal, name)
    sealing = DamoclesSector.objects.filter(sector=sector, finished_at=None).exclude(begun_at=None)
    return not sealing.exists() and DamoclesJob.objects.filter(sector=sector).exists()


@contextmanager
def job_held(
    principal: Principal, name: SectorName, *, kinds: tuple[JobKind, ...] = tuple(FIRST_STAGES), now: datetime
) -> Iterator[JobHeld]:
    """Lock the job over a sector that a damocles-worker was given last.  Raises NotDamocles."""
    sector = sector_find(principal, name)
    rows = DamoclesJob.objects.filter(sector=sector, job__kind__in=kinds)
    newest = rows.order_by("-pk").values_list("job_id", flat=True).first()
    if newest is None:
        raise NotDamocles(gettext("no damocles-worker has such a job for {name}").format(name=name))
    with transaction.atomic():
        jobs = Job.objects.select_for_update(of=("self",)).select_related("miner", "worker")
        job = jobs.get(pk=newest)
        told = DamoclesJob.objects.select_related("worker", "look").get(job=job)
        run = PipelineRun.objects.select_related("sector__miner__tenant").filter(job=job).first()
        told.named_at = now
        told.save(update_fields=["named_at"])
        yield JobHeld(sector, job, told, run, principal.source, now)


# Reports of threads


def job_report(
    principal: Principal, name: SectorName, *, reported: Reported, now: datetime
) -> tuple[bool, str]:
    """Record what a thread reports; return whether it is to wipe the sector, and why.

    Raises NotDamocles, WorkerRetired.
    """
    worker = damocles_host(principal, name=reported.instance, now=now)
    with job_held(principal, name, now=now) as one:
        if one.told.finished_at is not None:
            return True, "" if one.is_accepted else one.loss
        if one.loss or _is_anothers(one.told, worker, reported, source=principal.source):
            return True, one.loss or gettext("{host} is doing it").format(host=one.told.worker)
        one.told.worker = worker
        one.told.location, one.told.step = reported.location[:500], reported.step[:40]
        one.told.save()
        if reported.failure_level:
            levels = (str(Level.TEMPORARY), str(Level.ABORT))
            is_paused = reported.failure_level.lower() not in levels
            if is_paused or not is_unseen(reported.failure):  # every submission is too early once
                error = f"{reported.step}: {reported.failure}"[:TEXT_MAX]
                one.fail(error, is_paused=is_paused)
            return False, ""
        if one.is_accepted:
            return False, ""
        one.begin()
        until = REBUILT_UNTIL.get(reported.step)
        if until is not None and one.run is not None and one.run.kind == JobKind.REBUILD:
            _rebuild_follow(one, until)
    return False, ""


def _is_anothers(told: DamoclesJob, worker: Worker, reported: Reported, *, source: str) -> bool:
    """Return whether another thread has the job than the one that reports."""
    if told.location:
        return (told.worker_id, told.location) != (worker.pk, reported.location[:500])
    return told.worker_id != worker.pk and told.worker.host != source[:100]


def _rebuild_follow(one: JobHeld, until: str) -> None:
    """Bring a rebuild as far as its thread has come, if it is behind."""
    order = list(RebuildState)
    if one.run is not None and order.index(RebuildState(one.run.state)) < order.index(RebuildState(until)):
        one.forward(until, StageOutputs(comm_d=bytes(one.sector.comm_d or b"")))


def job_finish(principal: Principal, name: SectorName, *, now: datetime) -> None:
    """Note that a thread is done with its job.  Raises NotDamocles, NotThatFar."""
    with job_held(principal, name, now=now) as one:
        if not one.is_of_caller:
            return
        if one.told.finished_at is None and not one.loss and not one.is_accepted:
            raise NotThatFar(
                gettext("{name}: its output was not submitted, or no prover has checked it yet").format(
                    name=name
                )
            )
        one.end()


def job_abort(principal: Principal, name: SectorName, *, reason: str, now: datetime) -> None:
    """Release a job that its thread has given up; one that it has lost or done stays as it is.

    Raises NotDamocles.
    """
    with job_held(principal, name, now=now) as one:
        if not one.is_of_caller:
            return
        if one.told.finished_at is None and not one.loss and not one.is_accepted:
            one.give_up(reason[:500])
        one.end()
