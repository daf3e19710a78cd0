"""Piece CIDs of version 2: the commitment of a piece with the number of its raw bytes.

    version 1   fil-commitment-unsealed, sha2-256 trunc254    baga6ea4seaq...   root
    version 2   raw, fr32-sha256-trunc254-padbintree          bafkzcib...       padding, height, root

The root is that of the smallest tree of 127 · 2^k raw bytes which holds them; the padding is the zeros that
fill it.  The chain knows version 1 only, beside a padded size.

Source: FRC-0069; filecoin-project/go-fil-commcid commcid.go PieceCidV2FromV1, PieceCidV1FromV2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.cids import COMMITMENT_LEN, BadCid, Cid, commd_cid
from poolsite.filecoin.fr32 import RAW_BLOCK_BYTES
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.filecoin.sha254 import sha254_node, sha254_zero
from poolsite.filecoin.varint import BadVarint, uvarint_read, uvarint_write

PIECE_PREFIX: Final = bytes.fromhex("01559120")
"""CIDv1, codec raw 0x55, multihash fr32-sha256-trunc254-padbintree (0x1011); the digest's length follows."""
MIN_HEIGHT: Final = 2
"""Of a tree of 127 raw bytes, the smallest."""
MAX_HEIGHT: Final = 58
"""Of the largest tree whose raw bytes are counted in 63 bits, as the varints of the specification are."""


@dataclass(frozen=True, slots=True)
class SizedPiece:
    """What a piece CID of version 2 says."""

    comm_p: bytes
    """Root of the smallest tree that holds the raw bytes."""
    payload_size: int
    """Raw bytes."""

    @property
    def padded_size(self) -> int:
        """Bytes of that tree's leaves, a power of two."""
        return NODE_BYTES << tree_height(self.payload_size)

    @property
    def cid(self) -> Cid:
        """The same as a CID of version 1."""
        return commd_cid(self.comm_p)

    def cid_in(self, size: int) -> Cid:
        """Return the CID of version 1 of the same bytes in a place of `size` padded bytes, zeros behind them.

        Raises ValueError where that is smaller than the tree.
        """
        root, covered = self.comm_p, self.padded_size
        if size < covered:
            raise ValueError(f"a piece of {covered} padded bytes does not fit into {size}")
        while covered < size:
            root, covered = sha254_node((root, sha254_zero(covered))), 2 * covered
        return commd_cid(root)


def tree_height(payload_size: int) -> int:
    """Return the height of the smallest tree that holds so many raw bytes: leaves have 32 bytes."""
    blocks = -(-max(payload_size, 1) // RAW_BLOCK_BYTES)
    return MIN_HEIGHT + (blocks - 1).bit_length()


def is_sized_cid(cid: Cid) -> bool:
    """Return whether a CID is one of version 2, whatever its digest holds."""
    return cid.data.startswith(PIECE_PREFIX)


def sized_cid(piece: SizedPiece) -> Cid:
    """Return the CID of version 2.  Raises BadCid for what is no commitment, or too large a size."""
    height = tree_height(piece.payload_size)
    if height > MAX_HEIGHT or piece.payload_size < 0:
        raise BadCid("size of the piece cannot be written")
    root = commd_cid(piece.comm_p).digest
    padding = uvarint_write((RAW_BLOCK_BYTES << (height - MIN_HEIGHT)) - piece.payload_size)
    digest = padding + bytes([height]) + root
    return Cid(PIECE_PREFIX + uvarint_write(len(digest)) + digest)


def sized_cid_read(cid: Cid) -> SizedPiece:
    """Return what a CID of version 2 says.

    Raises BadCid for another kind, and for padding that a smaller tree would do without.
    """
    if not is_sized_cid(cid):
        raise BadCid("piece CID had wrong prefix")
    digest = cid.digest
    try:
        padding, at = uvarint_read(digest, 0)
    except BadVarint as error:
        raise BadCid(f"padding of the piece: {error}") from None
    if len(digest) != at + 1 + COMMITMENT_LEN:
        raise BadCid(f"digest of a piece must have {at + 1 + COMMITMENT_LEN} bytes, has {len(digest)}")
    height = digest[at]
    if not MIN_HEIGHT <= height <= MAX_HEIGHT:
        raise BadCid(f"height of the piece's tree must be from {MIN_HEIGHT} to {MAX_HEIGHT}, is {height}")
    most = RAW_BLOCK_BYTES << (height - MIN_HEIGHT)
    if padding > most or tree_height(most - padding) != height:
        raise BadCid(f"padding of {padding} bytes does not fit a piece of {most} bytes")
    return SizedPiece(commd_cid(digest[at + 1 :]).digest, most - padding)
