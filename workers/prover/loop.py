"""Claims proof jobs and checks of sectors, has each done in a kernel child, and hands the result in."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import structlog
from msgspec.structs import replace

from poolsite.filecoin.porep.parameters import UnknownSealProof
from poolsite.wire.job_reports import REASON_MAX, BadSector, Complete, Fail, Level, Progress
from poolsite.wire.jobs import Claim, JobKind
from workers.console.refusals import (
    ConsoleAway,
    ConsoleRefused,
    Fenced,
    Replaced,
    VersionsDiffer,
    request_waits,
)
from workers.processors.codec import Base64
from workers.processors.errors import CallGivenUp, ProcessorError, TemporaryError
from workers.processors.post_tasks import Replica, SectorCheckTask, WindowPostTask
from workers.processors.tasks import AggregateTask
from workers.prover.located import OtherPlaces, sectors_locate, store_having
from workers.prover.near import task_near
from workers.prover.winning_first import WAIT_MAX_S, WinningFirst
from workers.storage.bucket_files import store_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from poolsite.wire.job_inputs import AggregateInputs, SectorCheckInputs, WindowPostInputs
    from poolsite.wire.jobs import Assignment
    from workers.console.client import Console
    from workers.console.lease_keeper import LeaseKeeper
    from workers.console.work_bell import WorkBell
    from workers.processors.pool import ProcessorPool
    from workers.storage.stores import Stores

log = structlog.get_logger(__name__)

AT_ONCE: Final = 2
"""Proofs at a time: one computes while the other waits for its disk."""
STAGES: Final = {
    JobKind.WINDOW_POST: "WINDOW_POST",
    JobKind.SECTOR_CHECK: "SECTOR_CHECK",
    JobKind.AGGREGATE: "AGGREGATE",
}
"""What a job is called in its progress."""
UNITS: Final = {JobKind.AGGREGATE: "rounds"}
UNIT: Final = "sectors"
"""What progress counts: by it the console knows that a prover that stands still does not merely compute."""
REPORT_AGAIN_S: Final = 0.3
GATE_S: Final = 1.0
"""Longest wait for a win where the console does not say how long the window is open."""
NAMED: Final = 20
"""Sectors that one line of the log names."""
BUSY_S: Final = 0.1
IDLE_S: Final = 0.5
"""Shortest and longest pause between two looks."""


class Prover:
    """One prover's loop."""

    def __init__(
        self,
        *,
        console: Console,
        leases: LeaseKeeper,
        pool: ProcessorPool,
        stores: Stores,
        gate: WinningFirst | None = None,
        kinds: Iterable[JobKind] = (JobKind.WINDOW_POST, JobKind.SECTOR_CHECK),
        bell: WorkBell | None = None,
    ) -> None:
        self.console = console
        self.leases = leases
        self.pool = pool
        self.stores = stores
        self.gate = gate or WinningFirst()
        self.bell = bell
        self.workers = ThreadPoolExecutor(AT_ONCE + 1, thread_name_prefix="proof")
        self.besides = tuple(kind for kind in kinds if kind is not JobKind.WINDOW_POST)
        """What is done one at a time beside the proofs of windows."""
        self.running: dict[str, JobKind] = {}
        self.lock = threading.Lock()
        self.claim_after = 0.0

    def tick(self) -> float:
        """Claim what there are hands for; gives how long to wait until the next tick.

        A check or an aggregate takes its time, and none of the hands that proofs need: there is one at most,
        beside them.
        """
        now = time.monotonic()
        with self.lock:
            is_busy_beside = any(kind in self.besides for kind in self.running.values())
            free = AT_ONCE - sum(kind is JobKind.WINDOW_POST for kind in self.running.values())
            bell = None if self.running else self.bell
        if bell is not None and bell.is_quiet:
            return IDLE_S
        is_closed = self.leases.is_paused or self.leases.is_upgrading or self.console.is_behind
        if free > 0 and now >= self.claim_after and not is_closed:
            self.claim_after = now + self.leases.poll_s
            for assignment in self._claim(free) if is_busy_beside else self._claim(1, *self.besides):
                with self.lock:
                    self.running[assignment.id] = assignment.kind
                self.workers.submit(self._prove, assignment)
                self.claim_after = now
            if bell is not None and self.claim_after > now:
                bell.listen()
        return min(max(self.claim_after - time.monotonic(), BUSY_S), IDLE_S)

    def _claim(self, count: int, *besides: JobKind) -> tuple[Assignment, ...]:
        claim = Claim(
            worker_id=self.leases.worker_id,
            boot_id=self.leases.boot_id,
            kinds=(JobKind.WINDOW_POST, *besides),
            stages={},
            max=count,
        )
        try:
            return self.console.claim(claim).jobs
        except Replaced as error:
            log.warning("registering_again", reason=str(error))
            self.leases.register_until_known()
        except (ConsoleAway, ConsoleRefused) as error:
            request_waits("claim_failed", error)
        return ()

    def _prove(self, assignment: Assignment) -> None:
        try:
            inputs = assignment.window_post or assignment.sector_check
            sectors = () if inputs is None else inputs.sectors
            self._hold(assignment, done=0, total=len({sector.number for sector in sectors}))
            self._report(assignment, self._result(assignment))
        except Exception:  # nobody looks at this thread's result
            log.exception("proof_broke", job=assignment.id)
        finally:
            self.leases.release(assignment.id)
            with self.lock:
                self.running.pop(assignment.id, None)

    def _hold(self, assignment: Assignment, *, done: int, total: int) -> None:
        stage, unit = STAGES[assignment.kind], UNITS.get(assignment.kind, UNIT)
        progress = Progress(token=assignment.token, stage=stage, done=done, total=max(total, 1), unit=unit)
        self.leases.track(assignment.id, progress, lease_s=assignment.lease_s)

    def _result(self, assignment: Assignment) -> Complete | Fail:
        """Do the job; what goes wrong is a result too."""
        try:
            if (
                assignment.aggregate is None and not self.stores.is_any_here
            ):  # else every sector of an unmounted disk would be called faulty
                away = ", ".join(one.path for one in self.stores.attached()) or "none is attached"
                words = f"no store is available ({away}): is its disk mounted?"
                return _fail(assignment, words, level=Level.TEMPORARY)
            if assignment.window_post is not None:
                return self._proof(assignment, assignment.window_post)
            if assignment.sector_check is not None:
                return self._check(assignment, assignment.sector_check)
            if assignment.aggregate is not None:
                return self._aggregate(assignment, assignment.aggregate)
            return _fail(assignment, "no inputs")
        except (ProcessorError, UnknownSealProof, OSError) as error:
            is_temporary = isinstance(error, TemporaryError | OSError)
            self.leases.last_error = str(error)[:500]
            if isinstance(error, CallGivenUp):
                self.leases.last_error = "the console withdrew the job"
            words = (str(error) or type(error).__name__)[:2_000]
            return _fail(assignment, words, level=Level.TEMPORARY if is_temporary else Level.PERMANENT)

    def _proof(self, assignment: Assignment, inputs: WindowPostInputs) -> Complete:
        """Make a window's proof, or find out which sectors have no good files; wins go first."""
        self.gate.window_wait(
            is_wanted=lambda: not self.leases.is_lost(assignment.id),
            most_s=min(WAIT_MAX_S, inputs.seconds_left / 10 or GATE_S),
        )
        begun, located = time.monotonic(), sectors_locate(self.stores, inputs.miner_id, inputs.sectors)
        task = self.task_of(inputs, located.replicas)
        others = OtherPlaces(self.stores, inputs.miner_id, inputs.sectors)
        read_at = begun

        def progress(done: int, total: int) -> None:
            nonlocal read_at
            read_at = time.monotonic()
            self._hold(assignment, done=done, total=total)

        output = self._call(assignment, task, progress=progress)
        while replicas := others.after(task.replicas, output.faults):  # a move took the old copy away
            log.info("read_elsewhere", job=assignment.id, sectors=list(output.faults)[:NAMED])
            task = self.task_of(inputs, replicas)
            output = self._call(assignment, task, progress=progress)
        took = int((time.monotonic() - begun) * 1000)
        proof = bytes(output.proofs[0]) if output.proofs else b""  # as the wire knows it
        log.info("proved", job=assignment.id, deadline=inputs.deadline, sectors=len(inputs.sectors), ms=took)
        return Complete(
            token=assignment.token,
            proof=proof,
            faults=output.faults,
            ms=took,
            read_ms=int((read_at - begun) * 1000),
            bad=_located(task.replicas, dict.fromkeys(set(output.faults) - located.unreachable, "")),
            unreachable=tuple(sorted(located.unreachable.intersection(output.faults))),
        )

    def _check(self, assignment: Assignment, inputs: SectorCheckInputs) -> Complete:
        """Look at the files of sectors; what is wrong is kept from a store that went away meanwhile."""
        begun = time.monotonic()
        located = sectors_locate(self.stores, inputs.miner_id, inputs.sectors, uid=inputs.store)
        if located.unreachable:
            away = ", ".join(one.name for one in self.stores.away())
            raise OSError(f"{away} is unavailable and may contain some of the sectors")

        def checked(replicas: tuple[Replica, ...], *, before: int = 0) -> Any:
            task = SectorCheckTask(
                proof_type=inputs.post_proof,
                replicas=replicas,
                seed=inputs.randomness,
                per_second=inputs.per_second,
            )
            return self._call(
                assignment,
                task,
                progress=lambda done, total: self._hold(assignment, done=before + done, total=before + total),
            )

        replicas, output = located.replicas, checked(located.replicas)
        first = {bad.sector_id: bad.reason for bad in output.bad}
        others = OtherPlaces(self.stores, inputs.miner_id, inputs.sectors)
        while moved := others.after(replicas, {bad.sector_id for bad in output.bad}):
            again = {bad.sector_id for bad in output.bad}
            replicas = moved
            output = checked(tuple(one for one in moved if one.sector_id in again), before=len(moved))
        if output.bad and (gone := [one for one in located.stores if not one.is_here]):
            raise OSError(f"{gone[0].path} became unavailable while its sectors were checked")
        took = int((time.monotonic() - begun) * 1000)
        log.info("checked", job=assignment.id, sectors=len(inputs.sectors), bad=len(output.bad), ms=took)
        reasons = {bad.sector_id: bad.reason for bad in output.bad}
        bad = _located(replicas, reasons)
        if inputs.store:  # what another store has makes nothing good in this one
            elsewhere = {one.sector_id: one.sealed_file for one in replicas if one.sector_id not in reasons}
            here = self.stores.here()
            bad = tuple(
                replace(one, elsewhere=store_having(here, elsewhere.get(one.number, "")))
                for one in _located(located.replicas, first)
            )
        return Complete(
            token=assignment.token,
            proof=b"",
            faults=tuple(one.number for one in bad),
            ms=took,
            read_ms=took,
            bad=bad,
        )

    def _aggregate(self, assignment: Assignment, inputs: AggregateInputs) -> Complete:
        """Make the proofs of several sectors one, in a child of its own."""
        begun = time.monotonic()
        proofs = tuple(map(Base64, inputs.proofs))
        output = self._call(
            assignment,
            AggregateTask(inputs.seal_proof, inputs.comm_rs, inputs.seeds, proofs),
            progress=lambda done, total: self._hold(assignment, done=done, total=total),
        )
        took = int((time.monotonic() - begun) * 1000)
        log.info("aggregated", job=assignment.id, sectors=len(proofs), ms=took)
        return Complete(token=assignment.token, proof=bytes(output.proof), ms=took)

    def _call(self, assignment: Assignment, task: Any, *, progress: Callable[[int, int], None]) -> Any:
        def call(task: Any) -> Any:
            return self.pool.call(
                assignment.kind.value,
                task,
                progress=progress,
                is_wanted=lambda: not self.leases.is_lost(assignment.id),
            )

        if isinstance(task, AggregateTask):
            return call(task)
        with task_near(task, self.stores.folder) as near:
            return call(near)

    def task_of(
        self, inputs: WindowPostInputs, replicas: tuple[Replica, ...] | None = None
    ) -> WindowPostTask:
        """Return the processor's task, with the places of the files.  Raises UnknownSealProof."""
        if replicas is None:
            replicas = sectors_locate(self.stores, inputs.miner_id, inputs.sectors).replicas
        return WindowPostTask(
            miner_id=inputs.miner_id,
            proof_type=inputs.post_proof,
            replicas=replicas,
            seed=inputs.randomness,
            seconds_left=inputs.seconds_left,
        )

    def _report(self, assignment: Assignment, result: Complete | Fail) -> None:
        """Report the result; while the console is away, until the lease is lost."""
        while not self.leases.is_lost(assignment.id):
            try:
                if isinstance(result, Complete):
                    self.console.complete(assignment.id, result)
                else:
                    self.console.fail(assignment.id, result)
            except Fenced as error:
                log.warning("proof_late", job=assignment.id, reason=str(error))
            except VersionsDiffer as error:  # the lease runs out: a prover that is understood proves it
                log.error("report_refused", job=assignment.id, reason=str(error))
            except ConsoleAway as error:
                log.warning("report_waits", job=assignment.id, reason=str(error))
                time.sleep(REPORT_AGAIN_S)
                continue
            except ConsoleRefused as error:
                log.error("report_refused", job=assignment.id, reason=str(error))
            return

    def close(self) -> None:
        """Stop claiming jobs."""
        self.workers.shutdown(wait=False, cancel_futures=True)


def _fail(assignment: Assignment, words: str, *, level: Level = Level.PERMANENT) -> Fail:
    return Fail(token=assignment.token, level=level, stage=STAGES[assignment.kind], error=words)


def _located(replicas: Iterable[Replica], reasons: dict[int, str]) -> tuple[BadSector, ...]:
    """Return bad sectors with the place of their files; without a reason it is what the disk says."""
    bad = {}
    for replica in replicas:
        reason = reasons.get(replica.sector_id)
        if reason is not None and replica.sector_id not in bad:
            reason = reason or _missing(replica) or "the files do not belong to the sector"
            bad[replica.sector_id] = BadSector(
                number=replica.sector_id,
                path=replica.sealed_file[-REASON_MAX:],
                reason=reason[:REASON_MAX],
            )
    return tuple(bad.values())


def _missing(replica: Replica) -> str:
    gone = [path for path in (replica.sealed_file, replica.cache_dir) if not store_path(path).exists()]
    return f"{gone[0]} is missing" if gone else ""
