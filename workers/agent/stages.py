"""Running one stage of a sector on this host: from the wire's inputs to processor tasks, files and back.

A stage's task is filled by the names of its fields (`TASK_FIELDS`), and its output is reported by them; only
what touches files beside the kernels has a function of its own here.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import structlog
from msgspec.structs import replace

from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.porep.parameters import UnknownSealProof
from poolsite.filecoin.sector import prover_id
from poolsite.wire.jobs import Level, Piece, Progress, StageOutputs
from poolsite.wire.pipeline import (
    UNSEAL_STAGES,
    WORKER_STAGES,
    SectorKind,
    SnapStage,
    Stage,
    UnsealStage,
)
from workers.agent.fetched import READING, fetched_remove, store_near
from workers.agent.journal import Failure, Journal, Work
from workers.agent.paths import (
    REBUILD_STATES,
    SealingPaths,
    is_guest,
    is_synthetic,
    required,
    sealing_paths,
)
from workers.agent.places import SealingPlaces
from workers.agent.storing import Storing
from workers.console.client import Console, ConsoleAway, ConsoleRefused
from workers.processors import pc1_output
from workers.processors.errors import BadFile, BadInput, BadPiece, ProcessorError, TemporaryError
from workers.processors.stages import stage_named
from workers.processors.tasks import Pc1Output, Pc2Output, PieceInfo, PieceSource, UpdateKey
from workers.storage.bucket_path import BucketPath
from workers.storage.files import (
    DamagedFile,
    NotEnoughSpace,
    TruncatedFile,
    space_check,
    write_file,
)
from workers.storage.store import StoreAway, path_remove

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from poolsite.wire.jobs import SealInputs
    from workers.processors.pool import ProcessorPool
    from workers.stage_processors import Location
    from workers.storage.stores import Stores

log = structlog.get_logger(__name__)

ERROR_MAX = 2_000
"""Characters of an error that are reported; the log has the rest."""


def pc1_output_read(paths: SealingPaths) -> Pc1Output:
    """Return what PC1 gave.  Raises BadInput."""
    try:
        return pc1_output.output_from_value(json.loads(paths.pc1_output.read_text()))
    except (FileNotFoundError, ValueError):
        raise BadInput("the PC1 output is not on this host: go back to PC1") from None


def pre_commit_of(inputs: SealInputs, paths: SealingPaths) -> Pc2Output:
    """Return the commitments that the pre-commit named.  Raises BadInput."""
    return Pc2Output(
        registered_proof=paths.parameters.name,
        comm_r=required(inputs.comm_r, "comm_r"),
        comm_d=required(inputs.comm_d, "comm_d"),
    )


TASK_FIELDS: Final[dict[str, Callable[[SealInputs, SealingPaths], Any]]] = {
    **dict.fromkeys(("registered_proof", "seal_proof_type"), lambda _, paths: paths.parameters.name),
    **dict.fromkeys(("cache_dir", "cache_path"), lambda _, paths: str(paths.files.cache)),
    **dict.fromkeys(("sealed_file", "out_path", "replica_path"), lambda _, paths: str(paths.files.sealed)),
    **dict.fromkeys(("staged_file", "staged_filepath", "in_path"), lambda _, paths: str(paths.staged)),
    "pieces": lambda inputs, paths: sources_of(inputs, paths),
    "piece_infos": lambda inputs, _: infos_of(inputs),
    "prover_id": lambda inputs, _: prover_id(inputs.miner_id),
    "miner_id": lambda inputs, _: inputs.miner_id,
    "sector_id": lambda inputs, _: inputs.number,
    "ticket": lambda inputs, _: required(inputs.ticket, "ticket"),
    "seed": lambda inputs, _: required(inputs.seed, "seed"),
    "pre_commit": pre_commit_of,
    "pc1out": lambda _, paths: pc1_output_read(paths),
    "comm_d": lambda inputs, _: required(inputs.comm_d, "comm_d"),
    "new_replica_path": lambda _, paths: str(paths.files.sealed),
    "new_cache_path": lambda _, paths: str(paths.files.cache),
    "sector_path": lambda _, paths: str(paths.key.sealed),
    "sector_cache_path": lambda _, paths: str(paths.key.cache),
    "staged_data_path": lambda _, paths: str(paths.staged),
    "comm_r_old": lambda inputs, _: required(inputs.comm_r, "comm_r"),
    "comm_r_new": lambda inputs, _: required(inputs.comm_r_new, "comm_r_new"),
    "comm_d_new": lambda inputs, _: required(inputs.comm_d_new, "comm_d_new"),
    "key": lambda inputs, _: UpdateKey(
        prover_id=prover_id(inputs.miner_id),
        sector_id=inputs.number,
        ticket=required(inputs.ticket, "ticket"),
        comm_r=required(inputs.comm_r, "comm_r"),
    ),
    "unsealed_output": lambda _, paths: str(paths.unsealed),
    "offset": lambda inputs, _: inputs.offset,
    "num_bytes": lambda inputs, _: inputs.num_bytes,
    "c1_json": lambda _inputs, _paths: None,
    "needs_groth16": lambda inputs, _: inputs.needs_groth16,
    "c1_path": lambda inputs, paths: str(paths.c1_output(inputs)),
}
"""What a task's field of this name gets, in the words of the processor protocol."""


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
        self.console = console
        """Has the raw bytes of pieces."""
        self.folder = folder
        self.stores = stores
        self.pool = pool
        self.journal = Journal(folder)
        self.places = SealingPlaces(folder, self.journal, locations)
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
        with self.journal.at_work(job_id, patience_s=1.0) as is_ours:
            work = self.journal.work_read(job_id) if is_ours else None
            if work is None or self.journal.is_removed(job_id):
                return False
            if self.journal.outputs_read(job_id, work.id) is not None:
                return False
            begun, waits = time.monotonic(), list[float]()
            try:
                outputs = self._stage(job_id, work, waits)
            except Exception as error:  # whatever it is: unsaid, the stage would be hinted for ever
                if not isinstance(error, ProcessorError | OSError | UnknownSealProof):
                    log.exception("stage_broke", job=job_id, stage=work.inputs.stage)
                failure = Failure(token=work.token, level=level_of(error), error=error_text(error))
                if failure.level is Level.PERMANENT:
                    # It may be the replica that is damaged: once repaired in its bucket, that one is read.
                    fetched_remove(self.journal.folder(job_id))
                self.journal.failure_write(job_id, work.id, failure)
                return True
            # For locks and staggered starts others are to blame: by this time hosts are compared.
            took = max(int((time.monotonic() - begun - sum(waits)) * 1000), 0)
            self.journal.outputs_write(job_id, work.id, replace(outputs, ms=took))
            log.info("stage_done", job=job_id, stage=str(work.inputs.stage), ms=took)
        return True

    def _stage(self, job_id: str, work: Work, waits: list[float]) -> StageOutputs:
        inputs = work.inputs
        paths = self.paths(job_id, inputs)
        spec = WORKER_STAGES[inputs.stage]
        if kind_of(inputs) not in spec.kinds:
            raise BadInput(f"{spec.label} does not support sectors with data")

        def progress(done: int, total: int) -> None:
            told = Progress(token=work.token, stage=inputs.stage, done=done, total=max(total, 1))
            self.journal.progress_write(job_id, told)

        self._prepare(job_id, work, paths)
        if spec.stage == UnsealStage.UPLOAD:
            return self._upload(job_id, work.token, paths)
        if spec.stage in self.files_only:
            outputs = self.files_only[spec.stage](job_id, inputs, paths)
            fetched_remove(paths.job)
            progress(1, 1)
            return outputs

        def call(task: str, given: SealInputs = inputs) -> Any:
            return self.pool.call(
                task,
                task_of(task, given, paths),
                progress=progress,
                is_wanted=lambda: not self.journal.is_removed(job_id),
                on_wait=waits.append,
            )

        if spec.stage == SnapStage.SNAP_ENCODE:
            return self._snap_encode(inputs, paths, call)
        # Out of an updated sector data come by another way than out of one that was sealed with them.
        is_decoded = spec.stage == UnsealStage.UNSEAL and inputs.is_update
        output = call("snap_decode" if is_decoded else spec.task)
        if spec.stage == Stage.PC2 and is_synthetic(inputs, paths):
            call("synthetic", replace(inputs, comm_d=output.comm_d, comm_r=output.comm_r))
        if spec.stage == Stage.PC2 and work.verifies:
            self._verify(replace(inputs, comm_d=output.comm_d, comm_r=output.comm_r), paths, call)
        if spec.stage == UnsealStage.UNSEAL:
            fetched_remove(paths.job)
        return self._conclude(job_id, work, paths, output)

    def _verify(
        self, inputs: SealInputs, paths: SealingPaths, call: Callable[[str, SealInputs], Any]
    ) -> None:
        """Open challenged nodes of what PC2 made, for a seed of zeros.  Raises ProcessorError."""
        looked = replace(inputs, seed=bytes(32))
        try:
            call("c1", looked)
        finally:
            paths.c1_output(looked).unlink(missing_ok=True)

    def _conclude(self, job_id: str, work: Work, paths: SealingPaths, output: Any) -> StageOutputs:
        """Do with a stage's output what the next one needs, and return what the console is told."""
        inputs = work.inputs
        if inputs.stage == Stage.PC1:
            write_file(paths.pc1_output, json.dumps(pc1_output.output_value(output)).encode())
        elif inputs.stage == Stage.C1 and inputs.c1_travels:
            self._c1_hand_over(job_id, work.token, paths.c1_output(inputs))
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
        self._pieces_fetch(inputs, paths)
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
            self._pieces_fetch(inputs, paths)
        elif inputs.stage == Stage.C2 and not paths.c1_output(inputs).exists():
            if not inputs.c1_travels:
                raise BadInput("the C1 output is not on this host: go back to C1")
            self._c1_fetch(job_id, work.token, paths.c1_output(inputs))

    def _c1_fetch(self, job_id: str, token: int, path: Path) -> None:
        """Bring what C1 gave on another host here.  Raises TemporaryError, BadInput."""
        try:
            self._line().data_fetch(job_id, path, token=token)
        except ConsoleAway as error:
            raise TemporaryError(str(error)) from None
        except ConsoleRefused as error:
            raise BadInput(f"the console does not have the C1 output: {error}: go back to C1") from None

    def _c1_hand_over(self, job_id: str, token: int, path: Path) -> None:
        """Bring what C1 gave to the console, for the host that does C2.  Raises TemporaryError."""
        try:
            self._line().data_upload(job_id, path, token=token)
        except (ConsoleAway, ConsoleRefused) as error:
            raise TemporaryError(f"the C1 output cannot be uploaded to the console: {error}") from None

    def _line(self) -> Console:
        if self.console is None:
            raise BadInput("this host has no console connection for transferring data")
        return self.console

    def _pieces_fetch(self, inputs: SealInputs, paths: SealingPaths) -> None:
        """Bring the raw bytes of clients' pieces here.  Raises TemporaryError, BadPiece."""
        wanted = [piece for piece in inputs.pieces if piece.payload_size]
        missing = [piece for piece in wanted if not paths.piece(piece).exists()]
        space_check(paths.job, sum(piece.payload_size for piece in missing))
        for piece in missing:
            try:
                self._line().piece_fetch(
                    str(commd_cid(piece.comm_p)), paths.piece(piece), size=piece.payload_size
                )
            except ConsoleAway as error:
                raise TemporaryError(str(error)) from None
            except ConsoleRefused as error:
                raise BadPiece(f"the console did not send piece {commd_cid(piece.comm_p)}: {error}") from None

    def _upload(self, job_id: str, token: int, paths: SealingPaths) -> StageOutputs:
        """Give the console what was unsealed.  Raises TemporaryError, BadFile."""
        try:
            self._line().data_upload(job_id, paths.unsealed, token=token)
        except FileNotFoundError:
            raise BadFile("the unsealed data is no longer on this host") from None
        except ConsoleAway as error:
            raise TemporaryError(str(error)) from None
        except ConsoleRefused as error:
            raise BadFile(f"the console rejected the unsealed data: {error}") from None
        return StageOutputs()

    def paths(self, job_id: str, inputs: SealInputs) -> SealingPaths:
        """Return where a sector is sealed, with the folders made.  Raises StoreAway."""
        is_stored = inputs.stage in UNSEAL_STAGES or (inputs.is_update and inputs.state not in REBUILD_STATES)
        store = self.storing.store_of(inputs) if is_stored else None
        if store is not None and isinstance(store.root, BucketPath) and inputs.stage in READING:
            store = store_near(store, self.journal.folder(job_id), inputs)
        # Bytes are unsealed in the store, and a guest's proof is made from its job's folder alone.
        is_elsewhere = inputs.stage in UNSEAL_STAGES or is_guest(inputs)
        root = self.folder if is_elsewhere else self.places.root(job_id, inputs)
        paths = sealing_paths(root, self.journal.folder(job_id), store=store, inputs=inputs)
        if not is_elsewhere:
            if not root.is_dir():
                raise StoreAway(f"{root} is not available: its disk is not mounted")
            cache = paths.files.cache
            for folder in (cache.parent, cache, paths.files.sealed.parent, paths.staged.parent):
                folder.mkdir(exist_ok=True)  # not its parents: nothing is written where a disk is gone
        return paths


def task_of(name: str, inputs: SealInputs, paths: SealingPaths) -> Any:
    """Return the task of a stage.  Raises BadInput."""
    kind = stage_named(name).task
    return kind(**{name: TASK_FIELDS[name](inputs, paths) for name in kind.__struct_fields__})


def outputs_of(output: Any) -> StageOutputs:
    """Return what a stage's output brings to the console."""
    told = {name: getattr(output, name) for name in StageOutputs.__struct_fields__ if hasattr(output, name)}
    if hasattr(output, "piece_infos"):
        told["pieces"] = tuple(
            Piece(size=padded_size(info.size), comm_p=info.commitment) for info in output.piece_infos
        )
    return StageOutputs(**told)


def kind_of(inputs: SealInputs) -> SectorKind:
    """Return what a sector holds."""
    return SectorKind.DEALS if any(piece.payload_size for piece in inputs.pieces) else SectorKind.CC


def sources_of(inputs: SealInputs, paths: SealingPaths) -> tuple[PieceSource, ...]:
    """Return what is put into a sector before it is sealed; nothing for one of zeros."""
    if kind_of(inputs) is SectorKind.CC:
        return ()
    return tuple(
        PieceSource(
            str(paths.piece(piece)) if piece.payload_size else None,
            piece.payload_size,
            piece.size * 127 // 128,
        )
        for piece in inputs.pieces
    )


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
    """Put labels of another ticket aside: PC1 goes on at the first layer that is not there.

    They are kept until the sector is proven; nothing is deleted because something went wrong.
    """
    known = paths.ticket_mark.read_text() if paths.ticket_mark.exists() else ""
    if known and known != ticket.hex():
        aside = paths.files.cache.with_name(f"{paths.files.cache.name}.{known[:8]}")
        path_remove(aside)
        paths.files.cache.rename(aside)
        paths.files.cache.mkdir()
    write_file(paths.ticket_mark, ticket.hex().encode())


def padded_size(unpadded: int) -> int:
    """Return a piece's padded size."""
    return unpadded * 128 // 127


def infos_of(inputs: SealInputs) -> tuple[PieceInfo, ...]:
    """Return the pieces as the processors know them, by unpadded size."""
    return tuple(PieceInfo(piece.comm_p, piece.size * 127 // 128) for piece in inputs.pieces)


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
