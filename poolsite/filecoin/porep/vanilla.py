"""The vanilla PoRep proof of one challenge and its bincode bytes.

Source: filecoin-project/rust-fil-proofs storage-proofs-porep/src/stacked/vanilla/{params,column,column_proof,
labeling_proof,encoding_proof}.rs (serde derives).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolsite.filecoin.bincode import BincodeReader, u32_encode, u64_encode, vector_encode
from poolsite.filecoin.merkle_codec import merkle_proof_encode, merkle_proof_read

if TYPE_CHECKING:
    from poolsite.filecoin.merkle import MerkleProof

COLUMN_PROOF_BYTES = 88
"""Less than the shortest encoding of a column proof, bytes; bounds the work of a false count."""

LABELING_PROOF_BYTES = 20
"""Shortest encoding of a labeling proof, bytes: no parents, layer and node."""


@dataclass(frozen=True, slots=True)
class ColumnProof:
    """A column of labels and its place in tree_c."""

    index: int
    """The node whose labels these are."""
    rows: tuple[bytes, ...]
    """Its label in each layer, from layer 1."""
    inclusion: MerkleProof
    """Path of the column's hash in tree_c."""


@dataclass(frozen=True, slots=True)
class LabelingProof:
    """Everything hashed into one label but the replica id; the encoding proof has the same form."""

    parents: tuple[bytes, ...]
    """The 37 parent labels as hashed."""
    layer_index: int
    """The layer, from 1."""
    node: int
    """The challenged node."""


@dataclass(frozen=True, slots=True)
class VanillaPoRepProof:
    """What shows that one challenged node was sealed."""

    comm_d_proof: MerkleProof
    """Path of the node's data in tree_d (`comm_d_proofs` on the wire)."""
    comm_r_last_proof: MerkleProof
    """Path of the replica's node in tree_r_last."""
    c_x: ColumnProof
    """Column of the challenged node."""
    drg_parents: tuple[ColumnProof, ...]
    """Columns of its DRG parents, in hashing order."""
    exp_parents: tuple[ColumnProof, ...]
    """Columns of its expander parents."""
    labeling_proofs: tuple[LabelingProof, ...]
    """The label of each layer."""
    encoding_proof: LabelingProof
    """The label of the last layer once more, as the key of the encoding."""


def porep_proof_encode(proof: VanillaPoRepProof) -> bytes:
    """Write the proof of one challenge."""
    return b"".join(
        (
            merkle_proof_encode(proof.comm_d_proof),
            merkle_proof_encode(proof.comm_r_last_proof),
            _column_proof_encode(proof.c_x),
            vector_encode(map(_column_proof_encode, proof.drg_parents)),
            vector_encode(map(_column_proof_encode, proof.exp_parents)),
            vector_encode(map(_labeling_proof_encode, proof.labeling_proofs)),
            _labeling_proof_encode(proof.encoding_proof),
        )
    )


def porep_proof_decode(data: bytes) -> VanillaPoRepProof:
    """Read what `porep_proof_encode` wrote.  Raises BadBincode."""
    reader = BincodeReader(data)
    proof = VanillaPoRepProof(
        comm_d_proof=merkle_proof_read(reader),
        comm_r_last_proof=merkle_proof_read(reader),
        c_x=_column_proof_read(reader),
        drg_parents=reader.vector(_column_proof_read, item_bytes=COLUMN_PROOF_BYTES),
        exp_parents=reader.vector(_column_proof_read, item_bytes=COLUMN_PROOF_BYTES),
        labeling_proofs=reader.vector(_labeling_proof_read, item_bytes=LABELING_PROOF_BYTES),
        encoding_proof=_labeling_proof_read(reader),
    )
    reader.finish()
    return proof


def _column_proof_encode(proof: ColumnProof) -> bytes:
    """Return the column's node (u32), its labels as a vector, and its path."""
    return u32_encode(proof.index) + vector_encode(proof.rows) + merkle_proof_encode(proof.inclusion)


def _column_proof_read(reader: BincodeReader) -> ColumnProof:
    """Read a column proof.  Raises BadBincode."""
    return ColumnProof(reader.u32(), reader.nodes(), merkle_proof_read(reader))


def _labeling_proof_encode(proof: LabelingProof) -> bytes:
    """Return the parents' labels as a vector, the layer (u32) and the node (u64)."""
    return vector_encode(proof.parents) + u32_encode(proof.layer_index) + u64_encode(proof.node)


def _labeling_proof_read(reader: BincodeReader) -> LabelingProof:
    """Read a labeling proof.  Raises BadBincode."""
    return LabelingProof(reader.nodes(), reader.u32(), reader.u64())
