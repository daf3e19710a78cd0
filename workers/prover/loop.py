"""Claims proof jobs, has each made in a kernel child, and hands the result in; keeps nothing."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import structlog

from poolsite.filecoin.porep.parameters import UnknownSealProof, seal_parameters
from poolsite.wire.jobs import Claim, Complete, Fail, JobKind, Level, Progress
from workers.console.client import ConsoleAway, ConsoleRefused, Fenced, Replaced
from workers.processors.errors import CallGivenUp, ProcessorError, TemporaryError
from workers.processors.tasks import Replica, WindowPostTask

if TYPE_CHECKING:
    from poolsite.wire.jobs import Assignment, WindowPostInputs
    from workers.console.client import Console
    from workers.console.lease_keeper import LeaseKeeper
    from workers.processors.pool import ProcessorPool
    from workers.storage.store import Store

log = structlog.get_logger(__name__)

AT_ONCE: Final = 2
"""Proofs at a time: one computes while the other waits for its disk."""
STAGE: Final = "WINDOW_POST"
UNIT: Final = "sectors"
"""What progress counts: by it the console knows that a prover that stands still does not merely compute."""
REPORT_AGAIN_S: Final = 0.3
BUSY_S: Final = 0.1
IDLE_S: Final = 0.5
"""Shortest and longest pause between two looks."""


class Prover:
    """One prover's loop."""

    def __init__(self, *, console: Console, leases: LeaseKeeper, pool: ProcessorPool, store: Store) -> None:
        self.console = console
        self.leases = leases
        self.pool = pool
        self.store = store
        self.workers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="proof")
        self.running: set[str] = set()
        self.lock = threading.Lock()
        self.claim_after = 0.0

    def tick(self) -> float:
        """Claim what there are hands for; gives how long to wait until the next tick."""
        now = time.monotonic()
        with self.lock:
            free = AT_ONCE - len(self.running)
        if free > 0 and now >= self.claim_after and not self.leases.is_paused:
            self.claim_after = now + self.leases.poll_s
            for assignment in self._claim(free):
                with self.lock:
                    self.running.add(assignment.id)
                self.workers.submit(self._prove, assignment)
                self.claim_after = now
        return min(max(self.claim_after - time.monotonic(), BUSY_S), IDLE_S)

    def _claim(self, count: int) -> tuple[Assignment, ...]:
        claim = Claim(
            worker_id=self.leases.worker_id,
            boot_id=self.leases.boot_id,
            kinds=(JobKind.WINDOW_POST,),
            stages={},
            max=count,
        )
        try:
            return self.console.claim(claim).jobs
        except Replaced as error:
            log.warning("registering_again", reason=str(error))
            self.leases.register_until_known()
        except (ConsoleAway, ConsoleRefused) as error:
            log.warning("claim_failed", reason=str(error))
        return ()

    def _prove(self, assignment: Assignment) -> None:
        try:
            sectors = () if assignment.window_post is None else assignment.window_post.sectors
            self._hold(assignment, done=0, total=len({sector.number for sector in sectors}))
            self._report(assignment, self._result(assignment))
        except Exception:  # nobody looks at this thread's result
            log.exception("proof_broke", job=assignment.id)
        finally:
            self.leases.release(assignment.id)
            with self.lock:
                self.running.discard(assignment.id)

    def _hold(self, assignment: Assignment, *, done: int, total: int) -> None:
        progress = Progress(token=assignment.token, stage=STAGE, done=done, total=max(total, 1), unit=UNIT)
        self.leases.track(assignment.id, progress, lease_s=assignment.lease_s)

    def _result(self, assignment: Assignment) -> Complete | Fail:
        """Make the proof; what goes wrong is a result too."""
        inputs, begun = assignment.window_post, time.monotonic()
        if inputs is None:
            return Fail(token=assignment.token, level=Level.PERMANENT, stage=STAGE, error="no inputs")
        if not self.store.is_there:  # else every sector of an unmounted disk would be called faulty
            words = f"{self.store.root} bears no store's mark: is its disk mounted?"
            return Fail(token=assignment.token, level=Level.TEMPORARY, stage=STAGE, error=words)
        try:
            output = self.pool.call(
                "window_post",
                self.task_of(inputs),
                progress=lambda done, total: self._hold(assignment, done=done, total=total),
                is_wanted=lambda: not self.leases.is_lost(assignment.id),
            )
        except (ProcessorError, UnknownSealProof, OSError) as error:
            is_temporary = isinstance(error, TemporaryError | OSError)
            self.leases.last_error = str(error)[:500]
            if isinstance(error, CallGivenUp):
                self.leases.last_error = f"the console took the proof of deadline {inputs.deadline} back"
            return Fail(
                token=assignment.token,
                level=Level.TEMPORARY if is_temporary else Level.PERMANENT,
                stage=STAGE,
                error=(str(error) or type(error).__name__)[:2_000],
            )
        took = int((time.monotonic() - begun) * 1000)
        proof = output.proofs[0] if output.proofs else b""
        log.info("proved", job=assignment.id, deadline=inputs.deadline, sectors=len(inputs.sectors), ms=took)
        return Complete(token=assignment.token, proof=proof, faults=output.faults, ms=took)

    def task_of(self, inputs: WindowPostInputs) -> WindowPostTask:
        """Return the processor's task, with the places of the files.  Raises UnknownSealProof."""
        replicas = []
        for sector in inputs.sectors:
            parameters = seal_parameters(sector.seal_proof)
            files = self.store.files(parameters, miner_id=inputs.miner_id, number=sector.number)
            replicas.append(
                Replica(
                    sector_id=sector.number,
                    comm_r=sector.comm_r,
                    cache_dir=str(files.cache),
                    sealed_file=str(files.sealed),
                )
            )
        return WindowPostTask(
            miner_id=inputs.miner_id,
            proof_type=inputs.post_proof,
            replicas=tuple(replicas),
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
