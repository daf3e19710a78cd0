"""Claims proof jobs and checks of sectors, has each done in a kernel child, and hands the result in."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import structlog

from poolsite.tracing import span
from poolsite.tracing.subjects import of_jobs
from poolsite.wire.job_reports import Complete, Fail
from poolsite.wire.jobs import Claim, JobKind
from workers.console.refusals import (
    ConsoleAway,
    ConsoleRefused,
    Fenced,
    Replaced,
    VersionsDiffer,
    request_waits,
)
from workers.prover.proof_jobs import ProofJobs
from workers.prover.winning_first import WinningFirst

if TYPE_CHECKING:
    from poolsite.wire.jobs import Assignment
    from workers.console.client import Console
    from workers.console.lease_keeper import LeaseKeeper
    from workers.console.work_bell import WorkBell
    from workers.processors.pool import ProcessorPool
    from workers.storage.stores import Stores

log = structlog.get_logger(__name__)

AT_ONCE: Final = 2
"""Proofs at a time: one computes while the other waits for its disk."""
REPORT_AGAIN_S: Final = 0.3
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
        self.jobs = ProofJobs(leases=leases, pool=pool, stores=stores, gate=gate or WinningFirst())
        self.bell = bell
        self.besides = tuple(kind for kind in kinds if kind is not JobKind.WINDOW_POST)
        """What is done one at a time beside the proofs of windows."""
        self.running: dict[tuple[str, int], JobKind] = {}
        """By id and token: what is being done under a lease that is not known to be lost."""
        self.lock = threading.Lock()
        self.claim_after = 0.0

    def tick(self) -> float:
        """Claim what there are hands for; gives how long to wait until the next tick.

        A check or an aggregate takes its time, and none of the hands that proofs need: there is one at most,
        beside them.
        """
        now = time.monotonic()
        with self.lock:
            # A job whose lease is lost may hang in its disk for ever: it does not count against AT_ONCE.
            for key in [key for key in self.running if self.leases.is_lost(key[0])]:
                del self.running[key]
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
                    self.running[assignment.id, assignment.token] = assignment.kind
                # A daemon: the program's end does not wait for a disk either.
                threading.Thread(target=self._prove, args=(assignment,), name="proof", daemon=True).start()
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
            self.leases.register_again(error)
        except (ConsoleAway, ConsoleRefused) as error:
            request_waits("claim_failed", error)
        return ()

    def _prove(self, assignment: Assignment) -> None:
        try:
            inputs = assignment.window_post or assignment.sector_check
            sectors = () if inputs is None else inputs.sectors
            self.jobs.hold(assignment, done=0, total=len({sector.number for sector in sectors}))
            self._report(assignment, self.jobs.result(assignment))
        except Exception:  # nobody looks at this thread's result
            log.exception("proof_broke", job=assignment.id)
        finally:
            with self.lock:
                self.running.pop((assignment.id, assignment.token), None)
                is_claimed_again = any(job_id == assignment.id for job_id, _ in self.running)
            if not is_claimed_again:
                self.leases.release(assignment.id)

    def _report(self, assignment: Assignment, result: Complete | Fail) -> None:
        """Report the result; while the console is away, until the lease is lost."""
        while not self.leases.is_lost(assignment.id):
            try:
                with span("report", about=of_jobs([assignment.id])):
                    if isinstance(result, Complete):
                        self.console.complete(assignment.id, result)
                    else:
                        self.console.fail(assignment.id, result)
            except Fenced as error:
                log.warning("proof_late", job=assignment.id, reason=str(error))
            except VersionsDiffer as error:  # the lease runs out: a prover that is understood proves it
                log.error("report_refused", job=assignment.id, reason=str(error))
            except ConsoleAway:
                time.sleep(REPORT_AGAIN_S)
                continue
            except ConsoleRefused as error:
                log.error("report_refused", job=assignment.id, reason=str(error))
            return
