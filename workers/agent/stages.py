"""Running one stage of a sector on this host: from the wire's inputs to processor tasks, files and back."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from poolsite.filecoin.porep.parameters import SealParameters, UnknownSealProof, seal_parameters
from poolsite.filecoin.sector import prover_id
from poolsite.wire.jobs import Level, Piece, Progress, StageOutputs
from poolsite.wire.pipeline import Stage
from workers.agent.journal import Failure, Journal, Work
from workers.processors import pc1_output
from workers.processors.errors import BadInput, ProcessorError, TemporaryError
from workers.processors.tasks import (
    AddPieceTask,
    C1Task,
    C2Task,
    Pc1Output,
    Pc1Task,
    Pc2Output,
    Pc2Task,
    PieceInfo,
    TreeDTask,
)
from workers.storage.files import DamagedFile, NotEnoughSpace, TruncatedFile, write_file
from workers.storage.sector import SectorFiles, sector_name
from workers.storage.store import Store, path_remove, store_known

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from poolsite.wire.jobs import SealInputs
    from workers.processors.pool import ProcessorPool

log = structlog.get_logger(__name__)

ERROR_MAX = 2_000
"""Characters of an error that are reported; the log has the rest."""


@dataclass(frozen=True, slots=True)
class Room:
    """Where one sector is sealed on this host."""

    parameters: SealParameters
    files: SectorFiles
    staged: Path
    job: Path
    """The journal's folder of the sector's job."""

    @property
    def pc1_output(self) -> Path:
        """What PC1 gave, for PC2."""
        return self.job / "pc1.json"

    @property
    def ticket_mark(self) -> Path:
        """The ticket that the labels in the cache folder were made with."""
        return self.job / "ticket"

    def c1_output(self, seed: bytes) -> Path:
        """The vanilla proofs for one seed."""
        return self.job / f"c1-{seed.hex()[:16]}.json"


class StageRunner:
    """Runs the stages that the journal asks for, each in the kernel children of `pool`."""

    def __init__(self, *, folder: Path, store: Store, pool: ProcessorPool) -> None:
        self.folder = folder
        self.store = store
        self.pool = pool
        self.journal = Journal(folder / "jobs")
        self._stages: dict[str, Callable[[Work, Room, Callable[[int, int], None]], StageOutputs]] = {
            Stage.ADD_PIECE: self._add_piece,
            Stage.TREE_D: self._tree_d,
            Stage.PC1: self._pc1,
            Stage.PC2: self._pc2,
            Stage.PERSIST: self._persist,
            Stage.C1: self._c1,
            Stage.C2: self._c2,
            Stage.FINALIZE: self._finalize,
        }

    def run(self, job_id: str) -> bool:
        """Run the stage that is written down for a job; False if it is done, taken or gone.

        Called any number of times for the same stage, it is worked on by one and its result is kept.
        """
        with self.journal.at_work(job_id, patience_s=1.0) as is_ours:
            work = self.journal.work_read(job_id) if is_ours else None
            if work is None or self.journal.outputs_read(job_id, work.id) is not None:
                return False
            begun = time.monotonic()
            try:
                outputs = self._stage(job_id, work)
            except Exception as error:  # whatever it is: unsaid, the stage would be hinted for ever
                if not isinstance(error, ProcessorError | OSError | UnknownSealProof):
                    log.exception("stage_broke", job=job_id, stage=work.inputs.stage)
                failure = Failure(token=work.token, level=level_of(error), error=words_of(error))
                self.journal.failure_write(job_id, work.id, failure)
                return True
            took = int((time.monotonic() - begun) * 1000)
            self.journal.outputs_write(job_id, work.id, replace(outputs, ms=took))
        return True

    def _stage(self, job_id: str, work: Work) -> StageOutputs:
        room = self.room(job_id, work.inputs)

        def progress(done: int, total: int) -> None:
            told = Progress(token=work.token, stage=work.inputs.stage, done=done, total=max(total, 1))
            self.journal.progress_write(job_id, told)

        return self._stages[work.inputs.stage](work, room, progress)

    def room(self, job_id: str, inputs: SealInputs) -> Room:
        """Give a sector's place, with its folders made."""
        parameters = seal_parameters(inputs.seal_proof)
        name = sector_name(inputs.miner_id, inputs.number)
        root = self.folder / "sealing"
        room = Room(
            parameters=parameters,
            files=SectorFiles(parameters, root / "cache" / name, root / "sealed" / name),
            staged=root / "unsealed" / name,
            job=self.journal.folder(job_id),
        )
        for folder in (room.files.cache, room.files.sealed.parent, room.staged.parent):
            folder.mkdir(parents=True, exist_ok=True)
        return room

    def _call(self, stage: str, task: Any, progress: Callable[[int, int], None]) -> Any:
        return self.pool.call(stage, task, progress=progress)

    def _add_piece(self, work: Work, room: Room, progress: Callable[[int, int], None]) -> StageOutputs:
        if work.inputs.pieces:
            raise BadInput("pieces of deals are not taken yet")
        task = AddPieceTask(seal_proof_type=room.parameters.name, pieces=(), staged_filepath=str(room.staged))
        done = self._call("add_piece", task, progress)
        return StageOutputs(
            pieces=tuple(Piece(size=padded(info.size), comm_p=info.commitment) for info in done.piece_infos)
        )

    def _tree_d(self, _work: Work, room: Room, progress: Callable[[int, int], None]) -> StageOutputs:
        task = TreeDTask(
            registered_proof=room.parameters.name,
            staged_file=str(room.staged),
            cache_dir=str(room.files.cache),
        )
        return StageOutputs(comm_d=self._call("tree_d", task, progress).comm_d)

    def _pc1(self, work: Work, room: Room, progress: Callable[[int, int], None]) -> StageOutputs:
        inputs = work.inputs
        ticket = needed(inputs.ticket, "ticket")
        self._labels_check(room, ticket)
        task = Pc1Task(
            registered_proof=room.parameters.name,
            cache_path=str(room.files.cache),
            in_path=str(room.staged),
            out_path=str(room.files.sealed),
            prover_id=prover_id(inputs.miner_id),
            sector_id=inputs.number,
            ticket=ticket,
            piece_infos=infos_of(inputs),
        )
        output = self._call("pc1", task, progress)
        write_file(room.pc1_output, json.dumps(pc1_output.output_value(output)).encode())
        return StageOutputs(comm_d=output.comm_d)

    def _labels_check(self, room: Room, ticket: bytes) -> None:
        """Put labels of another ticket aside: PC1 goes on at the first layer that is not there.

        They are kept until the sector is proven; nothing is deleted because something went wrong.
        """
        known = room.ticket_mark.read_text() if room.ticket_mark.exists() else ""
        if known and known != ticket.hex():
            aside = room.files.cache.with_name(f"{room.files.cache.name}.{known[:8]}")
            path_remove(aside)
            room.files.cache.rename(aside)
            room.files.cache.mkdir()
        write_file(room.ticket_mark, ticket.hex().encode())

    def _pc2(self, _work: Work, room: Room, progress: Callable[[int, int], None]) -> StageOutputs:
        task = Pc2Task(
            pc1out=self._pc1_output(room),
            cache_dir=str(room.files.cache),
            sealed_file=str(room.files.sealed),
        )
        done = self._call("pc2", task, progress)
        return StageOutputs(comm_d=done.comm_d, comm_r=done.comm_r)

    def _pc1_output(self, room: Room) -> Pc1Output:
        try:
            return pc1_output.output_from_value(json.loads(room.pc1_output.read_text()))
        except (FileNotFoundError, ValueError):
            raise BadInput("the output of PC1 is not on this host: go back to PC1") from None

    def _persist(self, work: Work, room: Room, progress: Callable[[int, int], None]) -> StageOutputs:
        inputs = work.inputs
        name = store_known(self.store, self.folder)
        self.store.persist(room.files, miner_id=inputs.miner_id, number=inputs.number)
        progress(1, 1)
        return StageOutputs(store=name)

    def _c1(self, work: Work, room: Room, progress: Callable[[int, int], None]) -> StageOutputs:
        inputs = work.inputs
        seed = needed(inputs.seed, "seed")
        task = C1Task(
            registered_proof=room.parameters.name,
            cache_path=str(room.files.cache),
            replica_path=str(room.files.sealed),
            prover_id=prover_id(inputs.miner_id),
            sector_id=inputs.number,
            ticket=needed(inputs.ticket, "ticket"),
            seed=seed,
            pre_commit=Pc2Output(
                registered_proof=room.parameters.name,
                comm_r=needed(inputs.comm_r, "comm_r"),
                comm_d=needed(inputs.comm_d, "comm_d"),
            ),
            piece_infos=infos_of(inputs),
            c1_path=str(room.c1_output(seed)),
        )
        self._call("c1", task, progress)
        return StageOutputs()

    def _c2(self, work: Work, room: Room, progress: Callable[[int, int], None]) -> StageOutputs:
        inputs = work.inputs
        path = room.c1_output(needed(inputs.seed, "seed"))
        if not path.exists():
            raise BadInput("the output of C1 is not on this host: go back to C1")
        task = C2Task(
            c1_json=None,
            c1_path=str(path),
            prover_id=prover_id(inputs.miner_id),
            sector_id=inputs.number,
            miner_id=inputs.miner_id,
        )
        return StageOutputs(proof=self._call("c2", task, progress).proof)

    def _finalize(self, work: Work, room: Room, progress: Callable[[int, int], None]) -> StageOutputs:
        """Clear the sealing folder of a proven sector, once its files are whole in the store."""
        inputs = work.inputs
        store_known(self.store, self.folder)
        if room.files.p_aux.exists():
            if not self.store.has(room.files, miner_id=inputs.miner_id, number=inputs.number):
                self.store.persist(room.files, miner_id=inputs.miner_id, number=inputs.number)
            # p_aux goes first: a kill in between leaves a folder that is known to be done with.
            room.files.p_aux.unlink()
        # Beside the cache folder lie its checksums and what was put aside; the dot keeps sector 50 out of 5.
        for path in (room.files.cache, *room.files.cache.parent.glob(f"{room.files.cache.name}.*")):
            path_remove(path)
        room.files.sealed.unlink(missing_ok=True)
        room.staged.unlink(missing_ok=True)
        for spent in room.job.glob("c1-*.json"):
            spent.unlink(missing_ok=True)
        progress(1, 1)
        return StageOutputs()


def padded(unpadded: int) -> int:
    """Give a piece's padded size."""
    return unpadded * 128 // 127


def infos_of(inputs: SealInputs) -> tuple[PieceInfo, ...]:
    """Give the pieces as the processors know them, by unpadded size."""
    return tuple(PieceInfo(piece.comm_p, piece.size * 127 // 128) for piece in inputs.pieces)


def needed(value: bytes | None, name: str) -> bytes:
    """Give an input that the stage cannot do without.  Raises BadInput."""
    if value is None:
        raise BadInput(f"the console gave no {name}")
    return value


def level_of(error: Exception) -> Level:
    """Tell whether trying again may help."""
    if isinstance(error, TemporaryError | NotEnoughSpace):
        return Level.TEMPORARY
    if isinstance(error, TruncatedFile | DamagedFile | FileNotFoundError | ProcessorError | UnknownSealProof):
        return Level.PERMANENT
    return Level.TEMPORARY  # a disk that does not answer


def words_of(error: Exception) -> str:
    """Give an error's text for the console."""
    return (str(error) or type(error).__name__)[:ERROR_MAX]


def disk_of(folder: Path) -> tuple[int, int]:
    """Give free and total bytes of a folder's disk."""
    usage = shutil.disk_usage(folder)
    return usage.free, usage.total
