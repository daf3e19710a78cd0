"""A stage's task from the wire's inputs, and its output for the console: by the names of their fields."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from poolsite.filecoin.sector import prover_id
from poolsite.wire.job_inputs import Piece
from poolsite.wire.job_reports import StageOutputs
from poolsite.wire.pipeline import SectorKind
from workers.agent.paths import SealingPaths, required
from workers.processors import pc1_output
from workers.processors.errors import BadInput
from workers.processors.snap_tasks import UpdateKey
from workers.processors.stages import stage_named
from workers.processors.tasks import Pc1Output, Pc2Output, PieceInfo, PieceSource

if TYPE_CHECKING:
    from poolsite.wire.job_inputs import SealInputs


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
    "ticket_end_s": lambda _inputs, _paths: 0,  # the agent knows (`Work`)
    "ticket_fresh_s": lambda _inputs, _paths: 0,
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


def task_of(name: str, inputs: SealInputs, paths: SealingPaths) -> Any:
    """Return the task of a stage.  Raises BadInput."""
    kind = stage_named(name).task
    return kind(**{name: TASK_FIELDS[name](inputs, paths) for name in kind.__struct_fields__})


def outputs_of(output: Any) -> StageOutputs:
    """Return what a stage's output brings to the console."""
    values = {name: getattr(output, name) for name in StageOutputs.__struct_fields__ if hasattr(output, name)}
    if hasattr(output, "piece_infos"):
        values["pieces"] = tuple(
            Piece(size=padded_size(info.size), comm_p=info.commitment) for info in output.piece_infos
        )
    return StageOutputs(**values)


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


def padded_size(unpadded: int) -> int:
    """Return a piece's padded size."""
    return unpadded * 128 // 127


def infos_of(inputs: SealInputs) -> tuple[PieceInfo, ...]:
    """Return the pieces as the processors know them, by unpadded size."""
    return tuple(PieceInfo(piece.comm_p, piece.size * 127 // 128) for piece in inputs.pieces)
