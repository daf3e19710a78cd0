"""Stage pc1: the staged file becomes the sealed file's first form, tree-d and the layers of labels.

Resumes at the first layer that is not there whole; asked again for a sector whose layers are all there, it
looks whether they are what was written.  Sectors that wait together are labelled together.
Source: rust-fil-proofs filecoin-proofs/src/api/seal.rs seal_pre_commit_phase1.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from poolsite.filecoin.porep.replica import replica_id
from workers.processors import inputs
from workers.processors.damaged_files import damaged_of
from workers.processors.drive_queue import label_line
from workers.processors.errors import BadInput
from workers.processors.label_queue import TicketLife
from workers.processors.labelling import LabelledSector, first_missing
from workers.processors.parallel import Progress, no_progress, one_at_a_time
from workers.processors.pieces import comm_d_of
from workers.processors.seal_proofs import parameters_named
from workers.processors.tasks import Pc1Output, Pc1Task, StoreConfigOutput
from workers.processors.tree_d import is_empty, tree_d_build
from workers.storage.checksums import part_ignore
from workers.storage.files import copy_file, is_complete, space_check
from workers.storage.mapped import file_write
from workers.storage.sector import SectorFiles, StoreConfig


def run(task: Pc1Task, *, progress: Progress = no_progress) -> Pc1Output:
    """Seal as far as the labels.

    Raises BadInput for inputs of a wrong form, BadPiece for pieces that do not fit, BadFile if the
    staged file is not what the pieces say.
    """
    parameters = parameters_named(task.registered_proof)
    inputs.digests_check(prover_id=task.prover_id, ticket=task.ticket)
    files = SectorFiles(parameters, Path(task.cache_path), Path(task.out_path))
    if Path(task.in_path) == files.sealed:
        raise BadInput("the staged file and the sealed file are the same")
    report = one_at_a_time(progress)

    def alive(*_: int) -> None:
        report(0, parameters.layers * parameters.nodes)  # of labels, of which none is made yet

    with label_line().coming(parameters) as label:
        comm_d = tree_d_build(files, task.in_path, progress=alive)
        if comm_d != comm_d_of(parameters, task.piece_infos):
            raise BadInput("pieces and comm_d do not match")
        replica = replica_id(
            task.prover_id, task.sector_id, ticket=task.ticket, comm_d=comm_d, porep_id=parameters.porep_id
        )
        sector = LabelledSector(files, replica)
        sealed_begin(sector, task.in_path, on_part=alive)
        ticket = TicketLife(task.ticket_end_s, task.ticket_fresh_s)
        label(sector, progress=progress, ticket=ticket)
    return pc1_output(files, comm_d)


def sealed_begin(
    sector: LabelledSector, staged_file: str, *, on_part: Callable[[], None] = part_ignore
) -> None:
    """Put the staged data in the sealed file's place, if there is room for the labels that are missing.

    A sector that pc2 has encoded already, with these very labels, is left as it is.  Layers of an earlier run
    that are damaged are made again: those after them too.  `on_part` is called while they are read.
    """
    files = sector.files
    if first_missing(sector) > files.parameters.layers and not files.layers_place.exists():
        layers = [files.layer(layer) for layer in range(1, files.parameters.layers + 1)]
        for path in damaged_of(files.cache, layers, on_part=on_part):
            path.unlink()
    missing = files.parameters.layers + 1 - first_missing(sector)
    if label_line().writes_files:
        space_check(files.cache, missing * files.parameters.sector_bytes)
    if missing or not is_complete(files.sealed, files.parameters.sector_bytes):
        files.forget_trees()
    if not files.is_encoded:
        _staged_copy(files, staged_file, on_part=on_part)


def _staged_copy(files: SectorFiles, staged_file: str, *, on_part: Callable[[], None]) -> None:
    size = files.parameters.sector_bytes
    files.sealed.parent.mkdir(parents=True, exist_ok=True)
    if is_empty(staged_file, files.parameters):
        with file_write(files.sealed, size_bytes=size):
            pass  # a new file is zero
    else:
        copy_file(Path(staged_file), files.sealed, size_bytes=size, beat=on_part)


def pc1_output(files: SectorFiles, comm_d: bytes) -> Pc1Output:
    """Return what pc2 needs."""
    return Pc1Output(
        registered_proof=files.parameters.name,
        labels=tuple(map(_config_output, files.label_configs())),
        config=_config_output(files.tree_d_config()),
        comm_d=comm_d,
    )


def _config_output(config: StoreConfig) -> StoreConfigOutput:
    return StoreConfigOutput(config.path, config.id, config.size, config.rows_to_discard)
