"""Stage snap_encode: new data are encoded into a sealed sector.

Source: rust-fil-proofs filecoin-proofs/src/api/update.rs encode_into; damocles-worker SnapEncode.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from workers.kernels import poseidon
from workers.processors.errors import BadInput, file_error
from workers.processors.parallel import Progress, no_progress
from workers.processors.pieces import comm_d_of
from workers.processors.seal_proofs import parameters_named
from workers.processors.sector_trees import TreeRLast, tree_r_last_write
from workers.processors.snap import encoding_of, update_parameters_of
from workers.processors.snap_tasks import SnapEncodeOutput, SnapEncodeTask
from workers.processors.tree_d import tree_d_build
from workers.storage.files import finish_file, temporary_name, write_file
from workers.storage.mapped import Nodes, as_nodes, file_write, sealed_nodes, tree_d_nodes
from workers.storage.sector import SectorFiles


def run(task: SnapEncodeTask, *, progress: Progress = no_progress) -> SnapEncodeOutput:
    """Write the new replica and its cache folder: tree-d, tree-r-last, p_aux, t_aux.

    Raises BadInput if pieces and data do not match, BadFile for missing or truncated files.
    """
    parameters = parameters_named(task.registered_proof)
    old = SectorFiles(parameters, Path(task.sector_cache_path), Path(task.sector_path))
    new = SectorFiles(parameters, Path(task.new_cache_path), Path(task.new_replica_path))
    comm_d_new = tree_d_build(new, task.staged_data_path)
    if comm_d_new != comm_d_of(parameters, task.piece_infos):
        raise BadInput("pieces and comm_d do not match")
    return snap_encode(old, new, comm_d_new=comm_d_new, progress=progress)


def snap_encode(
    old: SectorFiles, new: SectorFiles, *, comm_d_new: bytes, progress: Progress = no_progress
) -> SnapEncodeOutput:
    """Encode the data of the new cache's tree-d into the old replica."""
    parameters = old.parameters
    try:
        comm_c, comm_r_last_old = old.roots_read()
        key, data = sealed_nodes(old), tree_d_nodes(new)[: parameters.nodes]
    except OSError as error:
        raise file_error(error) from None
    comm_r_old = poseidon.hash_values([comm_c, comm_r_last_old])
    update = update_parameters_of(parameters)
    encoding = encoding_of(update, comm_d_new=comm_d_new, comm_r_old=comm_r_old)
    new.sealed.parent.mkdir(parents=True, exist_ok=True)
    with file_write(new.sealed, size_bytes=parameters.sector_bytes) as raw:
        replica = as_nodes(raw)

        def encoded(first: int, end: int) -> Nodes:
            part = replica[first:end]
            encoding.encode(key[first:end], data[first:end], part, first=first)
            return part

        tree_r_last_write(new, encoded, progress=progress)
    comm_r_last_new = TreeRLast(new).root
    shutil.copyfile(old.t_aux, temporary_name(new.t_aux))
    finish_file(new.t_aux)
    write_file(new.p_aux, comm_c + comm_r_last_new)
    comm_r_new = poseidon.hash_values([comm_c, comm_r_last_new])
    return SnapEncodeOutput(comm_r_new, comm_r_last_new, comm_d_new)
