"""The file of synthetic proofs, `syn-porep-vanilla-proofs.dat`: all of the set, each value once a challenge.

Source: filecoin-project/rust-fil-proofs storage-proofs-porep/src/stacked/vanilla/params.rs SynthProofs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolsite.filecoin.bincode import BadBincode, BincodeReader
from poolsite.filecoin.merkle import MerkleProof, PathElement, binary_arities, tree_arities
from poolsite.filecoin.porep.graph import DRG_PARENTS, EXPANDER_PARENTS
from poolsite.filecoin.porep.replica import repeated_parents
from poolsite.filecoin.porep.vanilla import ColumnProof, LabelingProof, VanillaPoRepProof
from poolsite.filecoin.scalars import NODE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poolsite.filecoin.porep.parameters import SealParameters

ROOTS_BYTES = 3 * NODE_BYTES
"""Head of the file: comm_d, comm_c, comm_r_last."""

PARENTS = DRG_PARENTS + EXPANDER_PARENTS
"""Parents of a node."""


@dataclass(frozen=True, slots=True)
class _Roots:
    comm_d: bytes
    comm_c: bytes
    comm_r_last: bytes


def synthetic_file_encode(proofs: Sequence[VanillaPoRepProof]) -> bytes:
    """Write the proofs of the whole set, in its order."""
    first = proofs[0]
    head = first.comm_d_proof.root + first.c_x.inclusion.root + first.comm_r_last_proof.root
    return head + b"".join(map(_record_encode, proofs))


def synthetic_record_bytes(parameters: SealParameters) -> int:
    """Return the length of one challenge's record; the file can be read at any of them."""
    shape = tree_arities(parameters.nodes, parameters.shape)
    path_nodes = 1 + sum(arity - 1 for part in shape for arity in part)
    column_nodes = parameters.layers + path_nodes
    data_nodes = parameters.nodes.bit_length()
    return 8 * (1 + PARENTS) + NODE_BYTES * (data_nodes + (1 + PARENTS) * column_nodes + path_nodes)


def synthetic_proof_read(data: bytes, index: int, *, parameters: SealParameters) -> VanillaPoRepProof:
    """Read the proof of challenge `index` of the set out of the whole file.  Raise BadBincode."""
    record_bytes = synthetic_record_bytes(parameters)
    start = ROOTS_BYTES + index * record_bytes
    head = BincodeReader(data[:ROOTS_BYTES])
    roots = _Roots(head.node(), head.node(), head.node())
    reader = BincodeReader(data[start : start + record_bytes])
    proof = _record_read(reader, roots, parameters=parameters)
    reader.finish()
    return proof


def _record_encode(proof: VanillaPoRepProof) -> bytes:
    columns = (proof.c_x, *proof.drg_parents, *proof.exp_parents)
    indices = struct.pack(f"<{len(columns)}Q", *(column.index for column in columns))
    column_bytes = b"".join(b"".join(column.rows) + _path_encode(column.inclusion) for column in columns)
    return indices + _path_encode(proof.comm_d_proof) + column_bytes + _path_encode(proof.comm_r_last_proof)


def _path_encode(proof: MerkleProof) -> bytes:
    """Write the leaf and its siblings; positions follow from the node's index."""
    elements = (*proof.base, *proof.sub, *proof.top)
    return proof.leaf + b"".join(node for element in elements for node in element.hashes)


def _record_read(reader: BincodeReader, roots: _Roots, *, parameters: SealParameters) -> VanillaPoRepProof:
    indices = [reader.u64() for _ in range(1 + PARENTS)]
    if any(index >= parameters.nodes for index in indices):
        raise BadBincode(f"a node of {indices} is outside the sector")
    binary = binary_arities(parameters.nodes)
    shape = tree_arities(parameters.nodes, parameters.shape)
    comm_d_proof = _path_read(reader, indices[0], arities=binary, root=roots.comm_d)
    c_x, *parents = (
        ColumnProof(
            index,
            tuple(reader.node() for _ in range(parameters.layers)),
            _path_read(reader, index, arities=shape, root=roots.comm_c),
        )
        for index in indices
    )
    drg_parents, exp_parents = tuple(parents[:DRG_PARENTS]), tuple(parents[DRG_PARENTS:])
    labeling_proofs = []
    for layer in range(1, parameters.layers + 1):
        hashed = [column.rows[layer - 1] for column in drg_parents]
        if layer > 1:
            hashed += [column.rows[layer - 2] for column in exp_parents]
        labeling_proofs.append(LabelingProof(repeated_parents(hashed), layer, indices[0]))
    return VanillaPoRepProof(
        comm_d_proof=comm_d_proof,
        comm_r_last_proof=_path_read(reader, indices[0], arities=shape, root=roots.comm_r_last),
        c_x=c_x,
        drg_parents=drg_parents,
        exp_parents=exp_parents,
        labeling_proofs=tuple(labeling_proofs),
        encoding_proof=labeling_proofs[-1],
    )


def _path_read(
    reader: BincodeReader, index: int, *, arities: tuple[tuple[int, ...], ...], root: bytes
) -> MerkleProof:
    leaf = reader.node()
    parts = []
    for part in arities:
        elements = []
        for arity in part:
            index, own = divmod(index, arity)
            elements.append(PathElement(tuple(reader.node() for _ in range(arity - 1)), own))
        parts.append(tuple(elements))
    base, sub, top = parts
    return MerkleProof(base, sub, top, root, leaf)
