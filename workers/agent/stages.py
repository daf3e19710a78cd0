"""Running one stage of a sector on this host: from the wire's inputs to processor tasks, files and back.

A stage's task is filled by the names of its fields (`task_fields`), and its output is reported by them; only
what touches files beside the kernels has a function of its own here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from msgspec.structs import replace

from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.porep.parameters import UnknownSealProof
from poolsite.tracing import span
from poolsite.tracing.subjects import of_jobs
from poolsite.wire.job_reports import Level, Progress, StageOutputs
from poolsite.wire.pipeline import UNSEAL_STAGES, WORKER_STAGES, SectorKind, SnapStage, Stage, UnsealStage
from workers.agent.console_data import ConsoleData
from workers.agent.fetched import READING, fetched_remove, store_near
from workers.agent.journal import Failure, Journal, Work
from workers.agent.paths import REBUILD_STATES, SealingPaths, is_guest, is_synthetic, required, sealing_paths
from workers.agent.places import SealingPlaces
from workers.agent.stage_deaths import ProcessDied, StageDeaths
from workers.agent.storing import Storing
from workers.agent.task_fields import kind_of, outputs_of, task_of
from workers.processors import pc1_output
from workers.processors.errors import BadInput, BadPiece, ProcessorError, TemporaryError, TicketTooOld
from workers.processors.tasks import Pc1Task
from workers.storage.bucket_path import BucketPath
from workers.storage.files import DamagedFile, NotEnoughSpace, TruncatedFile, write_file
from workers.storage.store import StoreAway, path_remove

if TYPE_CHECKING:
    from poolsite.wire.job_inputs import SealInputs
    from workers.console.client import Console
    from workers.processors.pool import ProcessorPool
    from workers.processors.tasks import PieceInfo
    from workers.stage_processors import Location
    from workers.storage.stores import Stores

log = structlog.get_logger(__name__)

ERROR_MAX = 2_000
"""Characters of an error that are reported; the log has the rest."""

REMOVED_TEXT = "this job's sector was aborted, and its files were removed from this host"


class StageRunner:
    """Runs the stages that the journal asks for, each in the kernel children of `pool`."""

    def __init__(
        self,
        *,
        folder: Path,
        stores: Stores,
        pool: ProcessorPool,
        console: Console | None = None,
        locations: Sequence[Location] = (),
    ) -> None:
        self.data = ConsoleData(console)
        self.folder = folder
        self.stores = stores
        self.pool = pool
        self.journal = Journal(folder)
        self.deaths = StageDeaths(folder, self.journal)
        self.places = SealingPlaces(folder, self.journal, locations)
        self.places.beside = stores.promised
        self.storing = Storing(stores, places=self.places, journal=self.journal)
        self.files_only: dict[str, Callable[[str, SealInputs, SealingPaths], StageOutputs]] = {
            Stage.PERSIST: self.storing.persist,
            Stage.FINALIZE: self.storing.finalize,
            SnapStage.KEY_CLEAR: self.storing.key_clear,
        }
        """Stages without a kernel."""

    def run(self, job_id: str) -> bool:
        """Run the stage that is written down for a job; False if it is done, taken or gone.

        Called any number of times for the same stage, it is worked on by one and its result is kept.
        """
        with self.journal.at_work(job_id, patience_s=1.0) as is_own:
            work = self.journal.work_read(job_id) if is_own else None
            if work is None:
                return False
            if self.journal.is_removed(job_id):
                failure = Failure(token=work.token, level=Level.PERMANENT, error=REMOVED_TEXT)
                self.journal.failure_write(job_id, work.id, failure)
                return False
            if self.journal.outputs_read(job_id, work.id) is not None:
                return False
            started, waits = time.monotonic(), list[float]()
            try:
                self.deaths.begin(job_id, work)
                with span(f"stage {work.inputs.stage}", about=of_jobs([job_id])):
                    outputs = self._stage(job_id, work, waits)
            except Exception as error:  # whatever it is: unsaid, the stage would be hinted for ever
                if not isinstance(error, ProcessorError | OSError | UnknownSealProof):
                    log.exception("stage_broke", job=job_id, stage=work.inputs.stage)
                failure = Failure(
                    token=work.token,
                    level=level_of(error),
                    error=error_text(error),
                    needs_ticket=isinstance(error, TicketTooOld),
                )
                if failure.level is Level.PERMANENT:
                    # It may be the replica that is damaged: once repaired in its bucket, that one is read.
                    fetched_remove(self.journal.folder(job_id))
                self.journal.failure_write(job_id, work.id, failure)
                if not isinstance(error, ProcessDied):
                    self.deaths.end(job_id)
                return True
            # For locks and staggered starts others are to blame: by this time hosts are compared.
            took = max(int((time.monotonic() - started - sum(waits)) * 1000), 0)
            self.journal.outputs_write(job_id, work.id, replace(outputs, ms=took))
            self.deaths.end(job_id)
            log.info("stage_done", job=job_id, stage=str(work.inputs.stage), ms=took)
        return True

    def _stage(self, job_id: str, work: Work, waits: list[float]) -> StageOutputs:
        inputs = work.inputs
        paths = self.paths(job_id, inputs)
        spec = WORKER_STAGES[inputs.stage]
        if kind_of(inputs) not in spec.kinds:
            raise BadInput(f"{spec.label} does not support sectors with data")

        def progress(done: int, total: int) -> None:
            reported = Progress(token=work.token, stage=inputs.stage, done=done, total=max(total, 1))
            self.journal.progress_write(job_id, reported)

        self._prepare(job_id, work, paths)
        if spec.stage == UnsealStage.UPLOAD:
            return self.data.unsealed_upload(job_id, work.token, paths)
        if spec.stage in self.files_only:
            outputs = self.files_only[spec.stage](job_id, inputs, paths)
            fetched_remove(paths.job)
            progress(1, 1)
            return outputs

        def call(task: str, stage_inputs: SealInputs = inputs) -> Any:
            return self.pool.call(
                task,
                _with_ticket_times(task_of(task, stage_inputs, paths), work),
                progress=progress,
                is_wanted=lambda: not self._is_over(job_id, work),
                on_wait=waits.append,
            )

        if spec.stage == SnapStage.SNAP_ENCODE:
            return self._snap_encode(inputs, paths, call)
        # Out of an updated sector data come by another way than out of one that was sealed with them.
        is_decoded = spec.stage == UnsealStage.UNSEAL and inputs.is_update
        output = call("snap_decode" if is_decoded else spec.task)
        if spec.stage == Stage.PC2 and is_synthetic(inputs, paths):
            call("synthetic", replace(inputs, comm_d=output.comm_d, comm_r=output.comm_r))
        if spec.stage == Stage.PC2 and (work.verifies or self._is_of_others()):
            self._verify(replace(inputs, comm_d=output.comm_d, comm_r=output.comm_r), paths, call)
        if spec.stage == UnsealStage.UNSEAL:
            fetched_remove(paths.job)
        return self._conclude(job_id, work, paths, output)

    def _is_of_others(self) -> bool:
        """Return whether another's program made labels or trees, and ours can look at them."""
        is_foreign = self.pool.is_foreign
        return (is_foreign("pc1") or is_foreign("pc2")) and not is_foreign("c1")

    def _is_over(self, job_id: str, work: Work) -> bool:
        """Return whether a person ended the stage, or the sector."""
        return self.journal.is_removed(job_id) or self.journal.is_ended(job_id, token=work.token)

    def _verify(
        self, inputs: SealInputs, paths: SealingPaths, call: Callable[[str, SealInputs], Any]
    ) -> None:
        """Open challenged nodes of what PC2 made, for a seed of zeros.  Raises ProcessorError."""
        checked_inputs = replace(inputs, seed=bytes(32))
        try:
            call("c1", checked_inputs)
        finally:
            paths.c1_output(checked_inputs).unlink(missing_ok=True)

    def _conclude(self, job_id: str, work: Work, paths: SealingPaths, output: Any) -> StageOutputs:
        """Do with a stage's output what the next one needs, and return what the console is told."""
        inputs = work.inputs
        if inputs.stage == Stage.PC1:
            write_file(paths.pc1_output, json.dumps(pc1_output.output_value(output)).encode())
        elif inputs.stage == Stage.C1 and inputs.c1_travels:
            self.data.c1_upload(job_id, work.token, paths.c1_output(inputs))
        elif inputs.stage == Stage.ADD_PIECE and kind_of(inputs) is SectorKind.DEALS:
            pieces_check(output.piece_infos, inputs, paths)
            return replace(outputs_of(output), pieces=inputs.pieces)
        return outputs_of(output)

    def _snap_encode(
        self, inputs: SealInputs, paths: SealingPaths, call: Callable[[str], Any]
    ) -> StageOutputs:
        """Encode clients' data into the replica of zeros; nothing is to be done where a rebuild has none."""
        if not inputs.is_update:
            return StageOutputs(comm_d=inputs.comm_d, comm_r=inputs.comm_r)
        self.data.pieces_fetch(inputs, paths)
        pieces_check(call("add_piece").piece_infos, inputs, paths)
        output = call("snap_encode")
        paths.staged.unlink(missing_ok=True)  # its tree has the data
        return StageOutputs(comm_d=output.comm_d_new, comm_r=output.comm_r_new)

    def _prepare(self, job_id: str, work: Work, paths: SealingPaths) -> None:
        """See to it that a stage finds what it needs.  Raises BadInput, TemporaryError, StoreAway."""
        inputs = work.inputs
        if inputs.stage == Stage.PC1:
            labels_check(paths, required(inputs.ticket, "ticket"))
        elif inputs.stage == Stage.ADD_PIECE:
            self.data.pieces_fetch(inputs, paths)
        elif inputs.stage == Stage.C2 and not paths.c1_output(inputs).exists():
            if not inputs.c1_travels:
                raise BadInput("the C1 output is not on this host: go back to C1")
            self.data.c1_fetch(job_id, work.token, paths.c1_output(inputs))

    def paths(self, job_id: str, inputs: SealInputs) -> SealingPaths:
        """Return where a sector is sealed, with the folders made.  Raises StoreAway."""
        is_stored = inputs.stage in UNSEAL_STAGES or (inputs.is_update and inputs.state not in REBUILD_STATES)
        store = self.storing.store_of(inputs) if is_stored else None
        if store is not None and isinstance(store.root, BucketPath) and inputs.stage in READING:
            store = store_near(store, self.journal.folder(job_id), inputs)
        # Bytes are unsealed in the store, and a guest's proof is made from its job's folder alone.
        is_elsewhere = inputs.stage in UNSEAL_STAGES or is_guest(inputs)
        root = self.folder if is_elsewhere else self.places.root(job_id, inputs)
        others = [] if store is None else self.storing.stores.roots_beside(store.root)
        paths = sealing_paths(root, self.journal.folder(job_id), store=store, inputs=inputs, others=others)
        if not is_elsewhere:
            if not root.is_dir():
                raise StoreAway(f"{root} is not available: its disk is not mounted")
            cache = paths.files.cache
            for folder in (cache.parent, cache, paths.files.sealed.parent, paths.staged.parent):
                folder.mkdir(exist_ok=True)  # not its parents: nothing is written where a disk is gone
        return paths


def _with_ticket_times(task: Any, work: Work) -> Any:
    """Return a task with how long its ticket lasts, which the agent knows of labels."""
    if not isinstance(task, Pc1Task):
        return task
    return replace(task, ticket_end_s=work.ticket_end_s, ticket_fresh_s=work.ticket_fresh_s)


def pieces_check(infos: Sequence[PieceInfo], inputs: SealInputs, paths: SealingPaths) -> None:
    """Clear away the raw bytes that were put in.  Raises BadPiece if they are not what the console said."""
    wrong = [
        piece
        for piece, info in zip(inputs.pieces, infos, strict=False)
        if piece.payload_size and piece.comm_p != info.commitment
    ]
    for piece in inputs.pieces:
        paths.piece(piece).unlink(missing_ok=True)
    if wrong:
        raise BadPiece(f"the data of piece {commd_cid(wrong[0].comm_p)} does not match its commitment")


def labels_check(paths: SealingPaths, ticket: bytes) -> None:
    """Remove labels of another ticket: PC1 goes on at the first layer that is not there.

    The console draws another one only where no message can use the old labels any more, and the room that the
    host keeps for a sector has no place for both: eleven layers of 32 GiB.
    """
    known = paths.ticket_mark.read_text() if paths.ticket_mark.exists() else ""
    if known and known != ticket.hex():
        path_remove(paths.files.cache)  # before the mark: where it is killed, it goes on with this
        paths.files.cache.mkdir()
    write_file(paths.ticket_mark, ticket.hex().encode())


def level_of(error: Exception) -> Level:
    """Return whether trying again may help."""
    if isinstance(error, TemporaryError | NotEnoughSpace):
        return Level.TEMPORARY
    if isinstance(error, TruncatedFile | DamagedFile | FileNotFoundError | ProcessorError | UnknownSealProof):
        return Level.PERMANENT
    return Level.TEMPORARY  # a disk that does not answer


def error_text(error: Exception) -> str:
    """Return an error's text for the console."""
    return (str(error) or type(error).__name__)[:ERROR_MAX]
