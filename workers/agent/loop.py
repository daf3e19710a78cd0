"""The agent of a sealing host: claims sectors, has their stages run, reports what came of them.

The console's rows are the truth, the journal on disk is what this host has done, and a message to the
Celery worker is only a hint: it is sent again as long as nobody works on the stage.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from kombu.exceptions import OperationalError as BrokerAway
from msgspec.structs import replace
from redis.exceptions import RedisError

from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.tracing import span
from poolsite.tracing.subjects import of_jobs
from poolsite.wire.job_reports import Event, Fail, Level, Progress, Release
from poolsite.wire.jobs import STAGED, Claim, JobKind
from poolsite.wire.pipeline import UNSEAL_STAGES, WORKER_STAGES, SectorState, Stage
from workers.agent.capacity import CLAIM_MAX, SealingCapacity
from workers.agent.held_job import HeldJob
from workers.agent.paths import is_guest
from workers.agent.places import NoThread
from workers.broker import STAGE_TASK, queue_of
from workers.console.refusals import ConsoleAway, ConsoleRefused, Fenced, Replaced, request_waits
from workers.processors.errors import ProcessorError

if TYPE_CHECKING:
    from celery import Celery

    from poolsite.wire.job_reports import EventAnswer
    from poolsite.wire.jobs import Assignment
    from workers.agent.journal import Failure, Journal, Work
    from workers.config import SealerConfig
    from workers.console.client import Console
    from workers.console.lease_keeper import LeaseKeeper
    from workers.console.work_bell import WorkBell
    from workers.store_watch import StoreWatch

log = structlog.get_logger(__name__)

HINT_AGAIN_S: Final = 2.0
"""A stage that nobody works on so long after its hint gets another one."""
REPORT_AGAIN_S: Final = 0.5
"""Pause before a report that the console did not take is sent again."""
BUSY_S: Final = 0.05
"""Pause between two looks at the jobs while there are any."""
IDLE_S: Final = 0.5
"""Longest pause while there are none."""
ERROR_MAX: Final = 300
"""Of a failure's text on the host's row."""


class Agent:
    """One host's loop; `tick` does all that can be done now and never waits for a kernel."""

    def __init__(
        self,
        config: SealerConfig,
        *,
        console: Console,
        leases: LeaseKeeper,
        journal: Journal,
        app: Celery,
        uncompiled_stages: Callable[[], Collection[str]] = frozenset,
        bell: WorkBell | None = None,
        watch: StoreWatch | None = None,
    ) -> None:
        self.config = config
        self.console = console
        self.leases = leases
        self.journal = journal
        self.app = app
        self.bell = bell
        """Waits for work while the host has none; without it the host claims again and again."""
        self.held: dict[str, HeldJob] = {}
        self.capacity = SealingCapacity(
            config,
            leases=leases,
            journal=journal,
            held=self.held,
            uncompiled_stages=uncompiled_stages,
            watch=watch,
        )
        self.over = {job for job in journal.jobs() if _is_guests(journal.work_read(job))}
        """Jobs that are over here: forgotten once nobody works on them.  At a start all of guests are."""
        self.claim_after = 0.0
        self.is_able = True
        """Whether the host can make the proof that its sectors end in; without, nothing is claimed."""
        self.can_update = True
        """Whether it can prove that data were put into a sector; without, no snap-up is claimed."""

    def tick(self) -> float:
        """Move every job, claim more if there is room; gives how long to wait until the next tick."""
        now = time.monotonic()
        self._over_forget()
        if self.leases.is_upgrading:
            for job in [one for one in self.held.values() if not one.hinted_at]:
                self._drop(job, why="the host is being upgraded: the job continues after its next start")
        for job in list(self.held.values()):
            try:
                self._job_tick(job, now)
            except OSError as error:  # a full disk: leases, other jobs and reports go on
                self.leases.last_error = f"{job.inputs.stage}: {error}"
                log.warning("journal_not_written", job=job.id, reason=str(error)[:200])
                job.hinted_at = now
        is_closed = self.leases.is_paused or self.leases.is_upgrading
        may_claim = self.is_able and not is_closed and not self.is_quiet and not self.console.is_behind
        if now >= self.claim_after and may_claim:
            try:
                self._claim(now)
            except OSError as error:  # a journal or a store that cannot be read: the next tick tries again
                self.leases.last_error = f"claim: {error}"
                log.warning("not_claimed", reason=str(error)[:200])
        if self.held:
            return BUSY_S
        return IDLE_S if self.is_quiet else min(max(self.claim_after - time.monotonic(), BUSY_S), IDLE_S)

    @property
    def is_quiet(self) -> bool:
        """Return whether the host has nothing to do, and waits to hear of work."""
        return self.bell is not None and not self.held and self.bell.is_quiet

    def _claim(self, now: float) -> None:
        self.claim_after = now + self.leases.poll_s
        free = self.capacity.slots_free()
        if not any(free.values()):
            return
        rooms, takes = self.capacity.new_sectors()
        claim = Claim(
            worker_id=self.leases.worker_id,
            boot_id=self.leases.boot_id,
            kinds=tuple(kind for kind in STAGED if self.can_update or kind is not JobKind.SNAP_UP),
            stages=free,
            new_sectors=rooms,
            takes=takes,
            max=min(sum(free.values()), CLAIM_MAX),
        )
        try:
            claimed = self.console.claim(claim)
        except Replaced as error:
            self.leases.register_again(error)
            return
        except (ConsoleAway, ConsoleRefused) as error:
            request_waits("claim_failed", error)
            return
        for assignment in claimed.jobs:
            self.take(assignment)
        if claimed.jobs:
            self.claim_after = now  # there may be more
        elif self.bell is not None and not self.held:
            self.bell.listen()

    def take(self, assignment: Assignment) -> None:
        """Begin with a job that was claimed."""
        if assignment.seal is None:
            return
        job = HeldJob(
            id=assignment.id,
            token=assignment.token,
            seq=assignment.seq,
            lease_s=assignment.lease_s,
            inputs=assignment.seal,
        )
        self.held[job.id] = job
        self.over.discard(job.id)
        with suppress(OSError):  # what follows finds that too, and the other jobs of this claim are taken
            self._hold(job)
        log.info("claimed", **job.named, lease_token=job.token)

    def _job_tick(self, job: HeldJob, now: float) -> None:
        if self.leases.is_lost(job.id):
            self._drop(job, why="the lease has ended")
            return
        outputs = self.journal.outputs_read(job.id, job.work.id)
        if outputs is not None:
            event = WORKER_STAGES[job.inputs.stage].report
            if now >= job.report_after:
                self._report(
                    job,
                    Event(
                        token=job.token,
                        seq=job.seq + 1,
                        state=job.inputs.state,
                        event=event,
                        outputs=outputs,
                    ),
                )
            return
        failure = self.journal.failure_read(job.id, job.work.id, token=job.token)
        if failure is not None:
            if now >= job.report_after:
                self._report_failure(job, failure)
            return
        if not job.hinted_at and not self.leases.slots.get(job.inputs.stage, 0):
            self._drop(job, why="the host no longer has a slot for this stage")
            return
        self._hint(job, now)
        self._hold(job)

    def _hold(self, job: HeldJob) -> None:
        stage = job.inputs.stage
        stored = self.journal.progress_read(job.id, token=job.token, stage=stage)
        progress = stored or Progress(token=job.token, stage=stage, done=0, total=1)
        self.leases.track(job.id, progress, lease_s=job.lease_s)

    def _hint(self, job: HeldJob, now: float) -> None:
        """Send the Celery worker a stage that nobody works on, if the stage has a slot."""
        if now - job.hinted_at < HINT_AGAIN_S and job.hinted_at:
            return
        if not job.hinted_at and (self._stage_is_full(job) or self._ticket_is_unknown(job)):
            return
        if job.hinted_at and self.journal.is_worked_on(job.id):
            job.hinted_at = now
            return
        if self.capacity.places is not None:
            job.work = replace(job.work, verifies=self.capacity.places.rules_of_job(job.id).verifies)
        job.work = self._ticket_times(job)
        self.journal.work_write(job.id, job.work)
        try:
            self._place_choose(job)
        except NoThread as error:
            job.hinted_at = now
            self._return(job, error)
            return
        try:
            self.app.send_task(
                STAGE_TASK, args=[job.id], queue=queue_of(job.inputs.stage), retry=False, expires=60
            )
        except (BrokerAway, RedisError, OSError) as error:
            log.warning("hint_not_sent", job=job.id, reason=str(error)[:200])
        job.hinted_at = now

    def _ticket_is_unknown(self, job: HeldJob) -> bool:
        """Return whether a batch would get a sector without the end of its ticket: after a start."""
        is_batched = self.config.children.layers is not None and job.inputs.stage == Stage.PC1
        return is_batched and not self.leases.is_chain_known

    def _ticket_times(self, job: HeldJob) -> Work:
        """Return what is to be done with how long its ticket lasts, if labels of it may be too late."""
        inputs, tickets = job.inputs, self.leases.tickets
        if tickets is None or inputs.ticket_epoch is None or inputs.state != SectorState.TICKET_ASSIGNED:
            return job.work
        if not RegisteredSealProof(inputs.seal_proof).is_interactive:
            return job.work
        end_s = tickets.end_s(inputs.ticket_epoch)
        return replace(job.work, ticket_end_s=end_s, ticket_fresh_s=tickets.fresh_s)

    def _place_choose(self, job: HeldJob) -> None:
        """Choose a sector's sealing folder before the next claim counts the free ones.  Raises NoThread."""
        if self.capacity.places is None or is_guest(job.inputs) or job.inputs.stage in UNSEAL_STAGES:
            return
        with suppress(OSError, ProcessorError):  # the stage itself says which disk is away, or which rule
            self.capacity.places.root(job.id, job.inputs)

    def _return(self, job: HeldJob, error: NoThread) -> None:
        """Release a sector of which nothing is made yet: the rules changed since it was claimed."""
        try:
            self.console.release(job.id, Release(token=job.token, reason=str(error)))
        except ConsoleAway:
            return
        except ConsoleRefused as refusal:
            log.warning("release_refused", job=job.id, reason=str(refusal))
        self._drop(job, why=str(error))
        self.journal.forget(job.id)

    def _stage_is_full(self, job: HeldJob) -> bool:
        stage = job.inputs.stage
        running = sum(other.inputs.stage == stage and other.hinted_at > 0 for other in self.held.values())
        return running >= self.capacity.slots(stage)

    def _report(self, job: HeldJob, event: Event) -> None:
        try:
            with span("report", about=of_jobs([job.id])):
                answer = self.console.event(job.id, event)
        except Fenced as error:
            self._drop(job, why=str(error))
        except ConsoleAway:
            job.report_after = time.monotonic() + REPORT_AGAIN_S
        except ConsoleRefused as error:
            # The sector is elsewhere, or the console finds the result wanting: a fresh claim tells.
            log.error("report_refused", **job.named, reason=str(error))
            self.leases.last_error = str(error)
            self._give_up(job, error)
        else:
            self._answered(job, answer)

    def _answered(self, job: HeldJob, answer: EventAnswer) -> None:
        log.info("reported", **job.named, state=answer.state)
        stage = job.inputs.stage
        if self.capacity.failing.ended_well(stage) and self.leases.last_error.startswith(f"{stage}: "):
            self.leases.last_error = ""
        if answer.seal is not None and not self.leases.is_upgrading:
            job.go_on(answer.seal, seq=answer.seq)
            self._hold(job)
            return
        self._drop(job, why="")
        self.claim_after = time.monotonic()
        if answer.is_done and answer.seal is None:
            self.journal.forget(job.id)

    def _give_up(self, job: HeldJob, error: ConsoleRefused) -> None:
        if error.status == 409:
            self._drop(job, why=str(error))
            return
        text = f"the console rejected the report: {error}"[:2_000]
        fail = Fail(token=job.token, level=Level.PERMANENT, stage=job.inputs.stage, error=text)
        try:
            self.console.fail(job.id, fail)
        except ConsoleAway:
            job.report_after = time.monotonic() + REPORT_AGAIN_S
            return
        except ConsoleRefused as again:
            log.error("failure_refused", job=job.id, reason=str(again))
        else:  # told first: killed in between, it is reported and refused once more
            self.journal.outputs_drop(job.id, job.work.id)
        self._drop_failed(job, text)

    def _report_failure(self, job: HeldJob, failure: Failure) -> None:
        rules = None if self.capacity.places is None else self.capacity.places.rules_of_job(job.id)
        fail = Fail(
            token=job.token,
            level=failure.level,
            stage=job.inputs.stage,
            error=failure.error or "unknown",
            attempts_max=0 if rules is None else rules.attempts_max,
            pause_s=0 if rules is None else rules.recover_s,
            needs_ticket=failure.needs_ticket,
        )
        try:
            with span("report", about=of_jobs([job.id])):
                self.console.fail(job.id, fail)
        except ConsoleAway:
            job.report_after = time.monotonic() + REPORT_AGAIN_S
            return
        except ConsoleRefused as error:
            log.warning("failure_refused", job=job.id, reason=str(error))
        self._drop_failed(job, failure.error)

    def _drop_failed(self, job: HeldJob, error: str) -> None:
        """Drop a job whose failure the console knows; its stage may have a pause now."""
        stage = job.inputs.stage
        self.leases.last_error = f"{stage}: {error[:ERROR_MAX]}{self.capacity.failing.failed(stage, job.id)}"
        self._drop(job, why=error)

    def _drop(self, job: HeldJob, *, why: str) -> None:
        """Drop a job; its files and its record stay for the next claim, a guest's do not."""
        self.held.pop(job.id, None)
        self.leases.release(job.id)
        if is_guest(job.inputs):
            self.over.add(job.id)
            self._over_forget()
        if why:
            log.warning("dropped", **job.named, reason=why)

    def parked(self) -> tuple[str, ...]:
        """Return the jobs that have a record and are neither held nor over, as far as this host knows."""
        return tuple(sorted(set(self.journal.unfinished_jobs()) - self.held.keys() - self.over))

    def _over_forget(self) -> None:
        """Delete the records of jobs that are over: the console has what a guest's was made of.

        Files of a sector that ended elsewhere are leftovers then, and stay until somebody removes them.
        """
        self.over |= self.leases.over_take() - self.held.keys()
        for job_id in list(self.over):
            with suppress(OSError):  # a full disk, or one that cannot be written: the next tick tries again
                if not self.journal.is_worked_on(job_id):
                    self.journal.forget(job_id)
                    self.over.discard(job_id)


def _is_guests(work: Work | None) -> bool:
    return work is not None and is_guest(work.inputs)
