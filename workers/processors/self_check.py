"""Checking vanilla proofs with the kernels before they leave the host: all paths of a batch row by row.

A damaged tree, layer or replica makes a path that does not lead to its root.  The readable
verifier in `poolsite.filecoin.porep.verification` is the oracle of this one.
Source: rust-fil-proofs storage-proofs-porep/src/stacked/vanilla/params.rs Proof::verify.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.scalars import SCALAR_MODULUS, trimmed
from workers.kernels import binary_tree, poseidon
from workers.processors.errors import BadProof
from workers.storage.mapped import Nodes

if TYPE_CHECKING:
    from poolsite.filecoin.merkle import MerkleProof, PathElement
    from poolsite.filecoin.porep.vanilla import ColumnProof, LabelingProof, VanillaPoRepProof

RowHash = Callable[[Nodes, Nodes, int], None]


def _poseidon_row(children: Nodes, parents: Nodes, arity: int) -> None:
    poseidon.hash_row(children, parents, arity=arity)


def _sha_row(children: Nodes, parents: Nodes, _arity: int) -> None:
    binary_tree.hash_row(children.view(np.uint32).reshape(-1, 8), parents.view(np.uint32).reshape(-1, 8))


def paths_lead_to_roots(proofs: Sequence[MerkleProof], *, row_hash: RowHash = _poseidon_row) -> list[bool]:
    """Return for each proof (all of one shape) whether its path hashes from its leaf to its root."""
    if not proofs:
        return []
    nodes = np.frombuffer(b"".join(proof.leaf for proof in proofs), np.uint64).reshape(-1, 4).copy()
    paths = [(*proof.base, *proof.sub, *proof.top) for proof in proofs]
    for elements in zip(*paths, strict=True):
        arity = len(elements[0].hashes) + 1
        children = b"".join(map(_children, elements, map(np.ndarray.tobytes, nodes)))
        row_hash(np.frombuffer(children, np.uint64).reshape(-1, 4).copy(), nodes, arity)
    return [node.tobytes() == proof.root for node, proof in zip(nodes, proofs, strict=True)]


def data_paths_lead_to_roots(proofs: Sequence[MerkleProof]) -> list[bool]:
    """Return the same for paths of tree-d."""
    return paths_lead_to_roots(proofs, row_hash=_sha_row)


def _children(element: PathElement, node: bytes) -> bytes:
    own = element.index
    return b"".join((*element.hashes[:own], node, *element.hashes[own:]))


def porep_proofs_check(
    proofs: Sequence[VanillaPoRepProof], *, replica_id: bytes, roots: tuple[bytes, bytes, bytes]
) -> None:
    """Check vanilla proofs against (comm_d, comm_c, comm_r_last).  Raises BadProof."""
    comm_d, comm_c, comm_r_last = roots
    data = [proof.comm_d_proof for proof in proofs]
    replica = [proof.comm_r_last_proof for proof in proofs]
    columns = [column for proof in proofs for column in (proof.c_x, *proof.drg_parents, *proof.exp_parents)]
    _paths_check("tree-d", data, root=comm_d, row_hash=_sha_row)
    _paths_check("tree-r-last", replica, root=comm_r_last)
    _paths_check("tree-c", [column.inclusion for column in columns], root=comm_c)
    if column_hashes(columns) != [column.inclusion.leaf for column in columns]:
        raise BadProof("a column does not hash to its leaf of tree-c: a layer or tree-c is damaged")
    for proof in proofs:
        _labels_check(proof, replica_id)


def _paths_check(
    name: str, proofs: Sequence[MerkleProof], *, root: bytes, row_hash: RowHash = _poseidon_row
) -> None:
    if any(proof.root != root for proof in proofs):
        raise BadProof(f"{name} has an unexpected root")
    if not all(paths_lead_to_roots(proofs, row_hash=row_hash)):
        raise BadProof(f"a path of {name} does not lead to its root: the file is damaged")


def column_hashes(columns: Iterable[ColumnProof]) -> list[bytes]:
    """Return the Poseidon hash of each column."""
    rows = [np.frombuffer(b"".join(column.rows), np.uint64).reshape(-1, 4) for column in columns]
    if not rows:
        return []
    joined = np.concatenate(rows)
    out = np.empty((len(rows), 4), np.uint64)
    poseidon.hash_row(joined, out, arity=len(rows[0]))
    return [node.tobytes() for node in out]


def _labels_check(proof: VanillaPoRepProof, replica_id: bytes) -> None:
    for labeling in proof.labeling_proofs:
        if _label(labeling, replica_id) != proof.c_x.rows[labeling.layer_index - 1]:
            raise BadProof(f"a label of layer {labeling.layer_index} is not the hash of its parents")
    key = int.from_bytes(_label(proof.encoding_proof, replica_id), "little")
    data = int.from_bytes(proof.comm_d_proof.leaf, "little")
    if (key + data) % SCALAR_MODULUS != int.from_bytes(proof.comm_r_last_proof.leaf, "little"):
        raise BadProof("a node of the replica is not its label plus its data: the sealed file is damaged")


def _label(labeling: LabelingProof, replica_id: bytes) -> bytes:
    header = labeling.layer_index.to_bytes(4, "big") + labeling.node.to_bytes(8, "big") + bytes(20)
    return trimmed(sha256(replica_id + header + b"".join(labeling.parents)).digest())
