"""Proof jobs as a prover does them: sectors are located, and proven or checked in a kernel child."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import structlog
from msgspec.structs import replace

from poolsite.filecoin.porep.parameters import UnknownSealProof
from poolsite.tracing import span
from poolsite.tracing.subjects import of_jobs
from poolsite.wire.job_reports import REASON_MAX, BadSector, Complete, Fail, Level, Progress
from poolsite.wire.jobs import JobKind
from workers.processors.codec import Base64
from workers.processors.errors import CallGivenUp, ProcessorError, TemporaryError
from workers.processors.post_tasks import (
    Replica,
    SectorCheckOutput,
    SectorCheckTask,
    WindowPostOutput,
    WindowPostTask,
)
from workers.processors.tasks import AggregateTask
from workers.prover.located import Located, OtherPlaces, sectors_locate, store_having
from workers.prover.near import task_near
from workers.prover.winning_first import WAIT_MAX_S, WinningFirst
from workers.storage.bucket_files import store_path

if TYPE_CHECKING:
    from poolsite.wire.job_inputs import AggregateInputs, SectorCheckInputs, WindowPostInputs
    from poolsite.wire.jobs import Assignment
    from workers.console.lease_keeper import LeaseKeeper
    from workers.processors.pool import ProcessorPool
    from workers.storage.attachment import Attachment
    from workers.storage.stores import Stores

log = structlog.get_logger(__name__)

STAGES: Final = {
    JobKind.WINDOW_POST: "WINDOW_POST",
    JobKind.SECTOR_CHECK: "SECTOR_CHECK",
    JobKind.AGGREGATE: "AGGREGATE",
}
"""What a job is called in its progress."""
UNITS: Final = {JobKind.AGGREGATE: "rounds"}
UNIT: Final = "sectors"
"""What progress counts: by it the console knows that a prover that stands still does not merely compute."""
GATE_S: Final = 1.0
"""Longest wait for a win where the console does not say how long the window is open."""
UNPROVEN: Final = "the files cannot be read, or do not belong to the sector"
NAMED: Final = 20
"""Sectors that one line of the log names."""


class ProofJobs:
    """Does one prover's jobs, each in a kernel child."""

    def __init__(
        self, *, leases: LeaseKeeper, pool: ProcessorPool, stores: Stores, gate: WinningFirst
    ) -> None:
        self.leases, self.pool, self.stores, self.gate = leases, pool, stores, gate

    def hold(self, assignment: Assignment, *, done: int, total: int) -> None:
        """Keep a job's lease, with its progress."""
        stage, unit = STAGES[assignment.kind], UNITS.get(assignment.kind, UNIT)
        progress = Progress(token=assignment.token, stage=stage, done=done, total=max(total, 1), unit=unit)
        self.leases.track(assignment.id, progress, lease_s=assignment.lease_s)

    def result(self, assignment: Assignment) -> Complete | Fail:
        """Do the job; what goes wrong is a result too."""
        with span(f"proof {assignment.kind}", about=of_jobs([assignment.id])):
            return self._result(assignment)

    def _result(self, assignment: Assignment) -> Complete | Fail:
        try:
            # Else every sector of an unmounted disk would be called faulty.
            if assignment.aggregate is None and not self.stores.is_any_here:
                away = ", ".join(one.path for one in self.stores.attached()) or "none is attached"
                text = f"no store is available ({away}): is its disk mounted?"
                return _fail(assignment, text, level=Level.TEMPORARY)
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
            text = (str(error) or type(error).__name__)[:2_000]
            return _fail(assignment, text, level=Level.TEMPORARY if is_temporary else Level.PERMANENT)

    def _proof(self, assignment: Assignment, inputs: WindowPostInputs) -> Complete:
        """Make a window's proof without the sectors that have no good files, and say which; wins go first."""
        self.gate.window_wait(
            is_wanted=lambda: not self.leases.is_lost(assignment.id),
            most_s=min(WAIT_MAX_S, inputs.seconds_left / 10 or GATE_S),
        )
        started, located = time.monotonic(), sectors_locate(self.stores, inputs.miner_id, inputs.sectors)
        read, read_at = 0, started

        def progress(done: int, total: int) -> None:
            nonlocal read, read_at
            if done != read:  # all are read: it is said again while the proof is computed
                read, read_at = done, time.monotonic()
            self.hold(assignment, done=done, total=total)

        output, faults = self._proof_of_the_readable(assignment, inputs, located, progress=progress)
        took = int((time.monotonic() - started) * 1000)
        proof = bytes(output.proofs[0]) if output.proofs else b""  # as the wire knows it
        log.info(
            "proved",
            job=assignment.id,
            miner=inputs.miner_id,
            deadline=inputs.deadline,
            sectors=len(inputs.sectors),
            ms=took,
        )
        return Complete(
            token=assignment.token,
            proof=proof,
            faults=tuple(sorted(faults)),
            ms=took,
            read_ms=int((read_at - started) * 1000),
            bad=tuple(one for one in faults.values() if one is not None),
            unreachable=tuple(sorted(number for number, one in faults.items() if one is None)),
        )

    def _proof_of_the_readable(
        self,
        assignment: Assignment,
        inputs: WindowPostInputs,
        located: Located,
        *,
        progress: Callable[[int, int], None],
    ) -> tuple[WindowPostOutput, dict[int, BadSector | None]]:
        """Return the proof of all sectors but the faulty ones, and what is wrong with these.

        A good sector stands in for a faulty one: it is in the proof once, however often it is listed, so what
        is left is proven as it is.  None: its store is away, so nothing is known of its files.  Raises
        OSError if no store is left: its sectors are not to be called faulty for that.
        """
        others = OtherPlaces(self.stores, inputs.miner_id, inputs.sectors)
        faults: dict[int, BadSector | None] = {}
        began, task = time.monotonic(), self.task_of(inputs, located.replicas)
        task = replace(task, job=f"{assignment.id}:{assignment.token}")
        output, unread = self._call(assignment, task, progress=progress)
        while not faults.keys() >= set(output.faults):
            replicas = others.after(task.replicas, output.faults)  # a move took the old copy away
            if replicas:
                log.info("read_elsewhere", job=assignment.id, sectors=list(output.faults)[:NAMED])
            else:
                lost = _stores_lost(located.stores)
                reasons = {number: unread.get(number, "") for number in output.faults}
                faults |= {number: BadSector(number=number, path="", reason=UNPROVEN) for number in reasons}
                faults |= {one.number: one for one in _located(task.replicas, reasons)}
                away = {one.sector_id for one in task.replicas if _lies_in(lost, one)} | located.unreachable
                away |= others.may_be_away(reasons.keys() - away)
                faults |= dict.fromkeys(away & reasons.keys())
                replicas = tuple(one for one in task.replicas if one.sector_id not in faults)
                if not replicas:
                    break
                log.info("sectors_left_out", job=assignment.id, sectors=sorted(faults)[:NAMED])
            left = inputs.seconds_left and max(inputs.seconds_left - int(time.monotonic() - began), 1)
            task = replace(task, replicas=replicas, seconds_left=left)
            output, unread = self._call(assignment, task, progress=progress)
        return output, faults

    def _check(self, assignment: Assignment, inputs: SectorCheckInputs) -> Complete:
        """Look at the files of sectors; what is wrong is kept from a store that went away meanwhile."""
        started = time.monotonic()
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
            output, _unread = self._call(
                assignment,
                task,
                progress=lambda done, total: self.hold(assignment, done=before + done, total=before + total),
            )
            return output

        replicas, output = located.replicas, checked(located.replicas)
        first = {bad.sector_id: bad.reason for bad in output.bad}
        others = OtherPlaces(self.stores, inputs.miner_id, inputs.sectors, uid=inputs.store)
        while moved := others.after(replicas, {bad.sector_id for bad in output.bad}):
            again = {bad.sector_id for bad in output.bad}
            replicas = moved
            output = checked(tuple(one for one in moved if one.sector_id in again), before=len(moved))
        if output.bad:
            _stores_check(located.stores)
        took = int((time.monotonic() - started) * 1000)
        log.info(
            "checked",
            job=assignment.id,
            miner=inputs.miner_id,
            sectors=len(inputs.sectors),
            bad=len(output.bad),
            ms=took,
        )
        reasons = {bad.sector_id: bad.reason for bad in output.bad}
        bad = _located(replicas, reasons)
        if inputs.store:  # what another store has makes nothing good in this one, but the half that it lacks
            good = {one.sector_id: one for one in replicas if one.sector_id not in reasons}
            here = self.stores.here()
            bad = tuple(
                one
                if (copy := good.get(one.number)) is None
                else replace(one, elsewhere=store_having(here, copy.sealed_file))
                for one in _located(located.replicas, first)
                if one.number not in good or not _lies_in(located.stores, good[one.number])
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
        started = time.monotonic()
        proofs = tuple(map(Base64, inputs.proofs))
        output, _unread = self._call(
            assignment,
            AggregateTask(inputs.seal_proof, inputs.comm_rs, inputs.seeds, proofs),
            progress=lambda done, total: self.hold(assignment, done=done, total=total),
        )
        took = int((time.monotonic() - started) * 1000)
        log.info("aggregated", job=assignment.id, sectors=len(proofs), ms=took)
        return Complete(token=assignment.token, proof=bytes(output.proof), ms=took)

    def _call(
        self, assignment: Assignment, task: Any, *, progress: Callable[[int, int], None]
    ) -> tuple[Any, dict[int, str]]:
        """Return what a child answers, and why files of sectors could not be fetched, by sector number."""

        def call(task: Any) -> Any:
            return self.pool.call(
                assignment.kind.value,
                task,
                progress=progress,
                is_wanted=lambda: not self.leases.is_lost(assignment.id),
            )

        if isinstance(task, AggregateTask):
            return call(task), {}
        with task_near(task, self.stores) as (near, unread):
            output = call(near)
        if unread and isinstance(output, SectorCheckOutput):  # to the processor their files are missing
            bad = [replace(one, reason=unread.get(one.sector_id, one.reason)) for one in output.bad]
            output = replace(output, bad=tuple(bad))
        return output, unread

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


def _fail(assignment: Assignment, text: str, *, level: Level = Level.PERMANENT) -> Fail:
    return Fail(token=assignment.token, level=level, stage=STAGES[assignment.kind], error=text)


def _lies_in(stores: Sequence[Attachment], replica: Replica) -> bool:
    """Return whether one of these stores has a sector's replica or its cache."""
    return any(store_having(stores, file) for file in (replica.sealed_file, replica.cache_dir))


def _stores_lost(stores: Sequence[Attachment]) -> list[Attachment]:
    """Return the stores that went away.  Raises OSError if all of them did."""
    lost = [one for one in stores if not one.is_here]
    if len(lost) == len(stores):
        _stores_check(lost)
    return lost


def _stores_check(stores: Iterable[Attachment]) -> None:
    """Raise OSError if a store went away: its sectors are not to be called faulty for that."""
    for one in stores:
        if not one.is_here:
            raise OSError(f"{one.path} became unavailable while its sectors were read")


def _located(replicas: Iterable[Replica], reasons: dict[int, str]) -> tuple[BadSector, ...]:
    """Return bad sectors with the place of their files; without a reason it is what the disk says."""
    bad = {}
    for replica in replicas:
        reason = reasons.get(replica.sector_id)
        if reason is not None and replica.sector_id not in bad:
            reason = reason or _missing(replica) or UNPROVEN
            bad[replica.sector_id] = BadSector(
                number=replica.sector_id,
                path=replica.sealed_file[-REASON_MAX:],
                reason=reason[:REASON_MAX],
            )
    return tuple(bad.values())


def _missing(replica: Replica) -> str:
    try:
        missing = [path for path in (replica.sealed_file, replica.cache_dir) if not store_path(path).exists()]
    except OSError as error:
        return str(error)
    return f"{missing[0]} is missing" if missing else ""
