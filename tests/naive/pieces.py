"""A staged sector in memory, as add_piece leaves it on disk, and the commitment to it."""

from __future__ import annotations

from collections.abc import Sequence

from poolsite.filecoin.commd import BadPiece, piece_alignment
from poolsite.filecoin.fr32 import fr32_pad, padded_bytes
from poolsite.filecoin.merkle import binary_arities, merkle_tree
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.filecoin.sha254 import sha254_node


def data_commitment(padded: bytes) -> bytes:
    """Return the root of tree_d over padded data of 32 · 2^k bytes."""
    nodes = tuple(padded[at : at + NODE_BYTES] for at in range(0, len(padded), NODE_BYTES))
    return merkle_tree(nodes, arities=binary_arities(len(nodes)), node_hash=sha254_node).root


def staged_sector(sector_bytes: int, raw_pieces: Sequence[bytes]) -> bytes:
    """Return the padded sector in which add_piece has put `raw_pieces`, zero-filled to its end.

    Raise BadPiece if they do not fit.
    """
    staged = bytearray()
    written = 0
    for raw in raw_pieces:
        alignment = piece_alignment(written, len(raw))
        staged += bytes(padded_bytes(alignment.left))
        staged += fr32_pad(raw + bytes(alignment.right))
        written += alignment.left + alignment.room
    if len(staged) > sector_bytes:
        raise BadPiece("Pieces are larger than sector.")
    return bytes(staged) + bytes(sector_bytes - len(staged))
