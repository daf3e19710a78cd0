"""comm_d: the commitment to a sector's unsealed data, from the commitments of its pieces.

Source: filecoin-project/rust-fil-proofs filecoin-proofs/src/pieces.rs, src/api/mod.rs add_piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from poolsite.filecoin.fr32 import PADDED_BLOCK_BYTES, RAW_BLOCK_BYTES, unpadded_bytes
from poolsite.filecoin.sha254 import sha254_node, sha254_zero


class BadPiece(ValueError):
    """A piece or list of pieces that cannot lie in a sector."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece as the sector's commitment sees it."""

    padded_bytes: int
    """Size after Fr32 padding, a power of two from 128 on."""
    comm_p: bytes
    """Root of the binary SHA-254 tree over the padded piece."""


@dataclass(frozen=True, slots=True)
class PieceAlignment:
    """Where a piece goes that is added after others, in unpadded bytes."""

    left: int
    """Zero bytes before the piece, so that it starts at a multiple of its room."""
    room: int
    """The piece's room: the smallest 127 · 2^k that holds it."""
    right: int
    """Zero bytes after the piece inside its room."""


def comm_d_from_pieces(sector_bytes: int, pieces: Sequence[Piece]) -> bytes:
    """Join the commitments of `pieces`, in order, with zero pieces wherever alignment leaves a gap.

    A piece lies at a multiple of its own size, since its root must be a node of tree_d.  The pieces go onto a
    stack on which equal neighbours are joined at once; before a larger piece the stack is filled up with
    zeros until its top is as large.

    The last piece is not extended to the sector's end: pieces that cover less give the commitment of the
    smaller tree, as in rust-fil-proofs; callers append zero pieces until the sector is full.

    Raises BadPiece with the reference implementation's text.
    """
    if not pieces:
        return sha254_zero(sector_bytes)
    if len(pieces) > unpadded_bytes(sector_bytes) // RAW_BLOCK_BYTES:
        raise BadPiece("Too many pieces")
    for piece in pieces:
        if piece.padded_bytes > sector_bytes:
            raise BadPiece("Piece is larger than sector.")
        if piece.padded_bytes < PADDED_BLOCK_BYTES or piece.padded_bytes.bit_count() != 1:
            raise BadPiece(f"Piece size ({piece.padded_bytes}) must be a power of 2.")
    stack: list[Piece] = []
    for piece in pieces:
        while stack and stack[-1].padded_bytes < piece.padded_bytes:
            _push(stack, _zero_piece(stack[-1].padded_bytes))
        _push(stack, piece)
    while len(stack) > 1:
        _push(stack, _zero_piece(stack[-1].padded_bytes))
    if stack[0].padded_bytes > sector_bytes:
        raise BadPiece("Pieces are larger than sector.")
    return stack[0].comm_p


def piece_alignment(written_bytes: int, piece_bytes: int) -> PieceAlignment:
    """Return the alignment of a piece of `piece_bytes` after `written_bytes` (both unpadded).

    The room is what the piece takes once it is padded to a power of two; the piece begins at a multiple of
    it. Source: rust-fil-proofs filecoin-proofs/src/pieces.rs get_piece_alignment.
    """
    room = RAW_BLOCK_BYTES
    while room < piece_bytes:
        room *= 2
    return PieceAlignment(left=-written_bytes % room, room=room, right=room - piece_bytes)


def _zero_piece(size: int) -> Piece:
    """Return the piece of `size` zero bytes (padded) that fills a gap."""
    return Piece(size, sha254_zero(size))


def _push(stack: list[Piece], piece: Piece) -> None:
    """Put `piece` on the stack and join equal neighbours, the lower one on the left."""
    stack.append(piece)
    while len(stack) > 1 and stack[-1].padded_bytes == stack[-2].padded_bytes:
        right, left = stack.pop(), stack.pop()
        stack.append(Piece(2 * left.padded_bytes, sha254_node((left.comm_p, right.comm_p))))
