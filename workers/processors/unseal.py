"""Stage unseal: the data of a sealed sector, the whole or a range, from its labels made again.

Source: rust-fil-proofs filecoin-proofs/src/api/mod.rs unseal_range;
storage-proofs-porep/src/stacked/vanilla/proof.rs extract_and_invert_transform_layers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.fr32 import RAW_BLOCK_BYTES
from poolsite.filecoin.porep.replica import replica_id
from workers.kernels import field, fr32
from workers.processors import inputs
from workers.processors.errors import BadInput, BadProof, file_error
from workers.processors.labelling import LabelledSector, last_layer
from workers.processors.parallel import Progress, no_progress, parallel_for
from workers.processors.pieces import nodes_commitment, unpadded_size
from workers.processors.seal_proofs import parameters_named
from workers.processors.tasks import UnsealOutput, UnsealTask
from workers.storage.files import write_file
from workers.storage.mapped import Nodes, file_write, sealed_nodes
from workers.storage.sector import SectorFiles

if TYPE_CHECKING:
    from workers.processors.snap_tasks import SnapDecodeTask

CHUNK_BLOCKS = 1 << 13
"""Blocks of 4 nodes that a thread decodes at a time: 1 MiB."""


def run(task: UnsealTask, *, progress: Progress = no_progress) -> UnsealOutput:
    """Write bytes offset … offset + num_bytes of the unpadded data.

    All data are decoded and must have comm_d, so a damaged replica never gives wrong bytes.
    Raises BadInput for a range outside the sector, BadFile, BadProof, NotEnoughRoom.
    """
    parameters = parameters_named(task.registered_proof)
    inputs.digests_check(prover_id=task.prover_id, ticket=task.ticket, comm_d=task.comm_d)
    range_check(task.offset, task.num_bytes, sector_bytes=parameters.sector_bytes)
    files = SectorFiles(parameters, Path(task.cache_dir), Path(task.sealed_file))
    replica = replica_id(
        task.prover_id,
        task.sector_id,
        ticket=task.ticket,
        comm_d=task.comm_d,
        porep_id=parameters.porep_id,
    )
    try:
        sealed = sealed_nodes(files)
    except OSError as error:
        raise file_error(error) from None
    labels = last_layer(LabelledSector(files, replica), progress=progress)

    def work(first: int, end: int) -> None:  # the data take the labels' place
        field.subtract_rows(sealed[first:end], labels[first:end], labels[first:end])

    parallel_for(work, parameters.nodes, size=4 * CHUNK_BLOCKS)
    data_write(labels, task, comm_d=task.comm_d)
    return UnsealOutput(task.num_bytes)


def range_check(offset: int, count: int, *, sector_bytes: int) -> None:
    """Raise BadInput unless the range of unpadded bytes lies in the sector."""
    size = unpadded_size(sector_bytes)
    if offset < 0 or count < 0 or offset + count > size:
        raise BadInput(f"bytes {offset} to {offset + count} are not in a sector of {size} unpadded bytes")


def data_write(data: Nodes, task: UnsealTask | SnapDecodeTask, *, comm_d: bytes) -> None:
    """Write the wanted range of padded data without its padding.  Raises BadProof unless it has comm_d."""
    if field.count_not_canonical(data) or nodes_commitment(data) != comm_d:
        raise BadProof(
            "the decoded data does not match comm_d: the sealed file is damaged or belongs to another sector"
        )
    first = task.offset // RAW_BLOCK_BYTES
    end = -(-(task.offset + task.num_bytes) // RAW_BLOCK_BYTES)
    if not task.num_bytes:
        write_file(Path(task.unsealed_output), b"")  # an empty file cannot be mapped
        return
    blocks = data.reshape(-1, 16)
    with file_write(Path(task.unsealed_output), size_bytes=task.num_bytes) as target:
        for start in range(first, end, CHUNK_BLOCKS):
            stop = min(start + CHUNK_BLOCKS, end)
            raw = np.empty(RAW_BLOCK_BYTES * (stop - start), np.uint8)
            fr32.fr32_unpad(blocks[start:stop], raw)
            at = RAW_BLOCK_BYTES * start - task.offset
            low, high = max(at, 0), min(at + len(raw), task.num_bytes)
            target[low:high] = raw[low - at : high - at]
