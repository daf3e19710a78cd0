"""Stage snap_decode: the data of an updated sector, the whole or a range, from both replicas.

Where the old one is gone, its labels are made again: encoded over zeros they are the replica.

Source: rust-fil-proofs filecoin-proofs/src/api/update.rs decode_from, decode_from_range.
"""

from __future__ import annotations

from pathlib import Path

from poolsite.filecoin.porep.replica import replica_id
from poolsite.filecoin.sha254 import sha254_zero
from workers.kernels import poseidon
from workers.processors import inputs
from workers.processors.errors import file_error
from workers.processors.labelling import LabelledSector, last_layer
from workers.processors.parallel import Progress, no_progress
from workers.processors.resident import resident_allocate
from workers.processors.seal_proofs import parameters_named
from workers.processors.snap import encoding_of, update_parameters_of
from workers.processors.snap_tasks import SnapDecodeOutput, SnapDecodeTask, UpdateKey
from workers.processors.unseal import data_write, range_check
from workers.storage.mapped import Nodes, as_nodes, sealed_nodes
from workers.storage.sector import SectorFiles


def run(task: SnapDecodeTask, *, progress: Progress = no_progress) -> SnapDecodeOutput:
    """Write a range of the unpadded new data.  Raises BadInput, BadFile, BadProof, NotEnoughRoom."""
    parameters = parameters_named(task.registered_proof)
    inputs.digests_check(comm_d_new=task.comm_d_new)
    range_check(task.offset, task.num_bytes, sector_bytes=parameters.sector_bytes)
    old = SectorFiles(parameters, Path(task.sector_cache_path), Path(task.sector_path))
    new = SectorFiles(parameters, Path(task.new_cache_path), Path(task.new_replica_path))
    try:
        replica = sealed_nodes(new)
        if task.key is None or old.sealed.exists():
            key, comm_r_old = sealed_nodes(old), poseidon.hash_values(list(old.roots_read()))
            size, alive = parameters.sector_bytes, lambda: progress(0, 1)
            [raw] = resident_allocate(1, size_bytes=size, purpose="decoding", alive=alive)
            data = as_nodes(raw)
        else:
            key, comm_r_old = _key_made(task.key, new, progress=progress), task.key.comm_r
            data = key  # they take its place
    except OSError as error:
        raise file_error(error) from None
    update = update_parameters_of(parameters)
    encoding = encoding_of(update, comm_d_new=task.comm_d_new, comm_r_old=comm_r_old)
    encoding.decode_all(replica, key, data)
    data_write(data, task, comm_d=task.comm_d_new)
    progress(1, 1)
    return SnapDecodeOutput(task.num_bytes)


def _key_made(key: UpdateKey, files: SectorFiles, *, progress: Progress) -> Nodes:
    """Return the nodes of the replica that was updated; its files need not be there."""
    inputs.digests_check(prover_id=key.prover_id, ticket=key.ticket, comm_r=key.comm_r)
    parameters = files.parameters
    replica = replica_id(
        key.prover_id,
        key.sector_id,
        ticket=key.ticket,
        comm_d=sha254_zero(parameters.sector_bytes),
        porep_id=parameters.porep_id,
    )
    return last_layer(LabelledSector(files, replica), progress=progress)
