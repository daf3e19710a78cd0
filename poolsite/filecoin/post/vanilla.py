"""The vanilla PoSt proof of one sector and its bincode bytes, as they cross the FFI.

Source: filecoin-project/rust-fil-proofs filecoin-proofs/src/types/mod.rs FallbackPoStSectorProof,
storage-proofs-post/src/fallback/vanilla.rs Proof, SectorProof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolsite.filecoin.bincode import BadBincode, BincodeReader, u64_encode, vector_encode
from poolsite.filecoin.merkle_codec import merkle_proof_encode, merkle_proof_read

if TYPE_CHECKING:
    from poolsite.filecoin.merkle import MerkleProof

INCLUSION_BYTES = 76
"""Shortest encoding of an inclusion proof, bytes: variant, root, leaf and an empty path."""

SECTOR_BYTES = 72
"""Shortest encoding of a sector's part, bytes: no inclusion proofs, comm_c, comm_r_last."""


@dataclass(frozen=True, slots=True)
class VanillaPoStProof:
    """What shows that one sector is still stored."""

    sector_number: int
    """The sector."""
    comm_r: bytes
    """Its commitment."""
    inclusion_proofs: tuple[MerkleProof, ...]
    """Paths of the challenged nodes in tree_r_last."""
    comm_c: bytes
    """Root of tree_c."""
    comm_r_last: bytes
    """Root of tree_r_last."""


def post_proof_encode(proof: VanillaPoStProof) -> bytes:
    """Write the proof of one sector (a vector of sectors that has one item)."""
    inclusions = vector_encode(map(merkle_proof_encode, proof.inclusion_proofs))
    sector = inclusions + proof.comm_c + proof.comm_r_last
    return u64_encode(proof.sector_number) + proof.comm_r + vector_encode((sector,))


def post_proof_decode(data: bytes) -> VanillaPoStProof:
    """Read what `post_proof_encode` wrote.  Raises BadBincode."""
    reader = BincodeReader(data)
    sector_number, comm_r = reader.u64(), reader.node()
    sectors = reader.vector(_sector_read, item_bytes=SECTOR_BYTES)
    reader.finish()
    if len(sectors) != 1:
        raise BadBincode(f"{len(sectors)} sectors in the proof of one")
    return VanillaPoStProof(sector_number, comm_r, *sectors[0])


def _sector_read(reader: BincodeReader) -> tuple[tuple[MerkleProof, ...], bytes, bytes]:
    """Read a sector's part of a proof: inclusion proofs, comm_c, comm_r_last.  Raises BadBincode."""
    return reader.vector(merkle_proof_read, item_bytes=INCLUSION_BYTES), reader.node(), reader.node()
