"""What a manifest of pieces commits to.

Source: builtin-actors actors/miner/src/lib.rs unsealed_cid_from_pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import bad_argument
from poolsite.filecoin.cids import BadCid, cid_to_commd
from poolsite.filecoin.commd import BadPiece, Piece, comm_d_from_pieces
from poolsite.filecoin.sha254 import sha254_zero

if TYPE_CHECKING:
    from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest
    from poolsite.filecoin.cids import Cid


def pieces_commitment(manifest: Sequence[PieceActivationManifest], size: int) -> bytes:
    """Return the commitment of a manifest's pieces.  Raises ActorError 16 for pieces that do not fit."""
    return commitment_of([(piece.cid, piece.size) for piece in manifest], size)


def commitment_of(contents: Sequence[tuple[Cid, int]], size: int) -> bytes:
    """Return the commitment of pieces (CID, padded bytes) with zeros behind them to the sector's end.

    Raises ActorError 16 for pieces that do not fit.
    """
    try:
        pieces = [Piece(padded_bytes=padded, comm_p=cid_to_commd(cid)) for cid, padded in contents]
        at = sum(piece.padded_bytes for piece in pieces)
        while 0 < at < size:
            room = min(at & -at, size - at)
            pieces.append(Piece(padded_bytes=room, comm_p=sha254_zero(room)))
            at += room
        return comm_d_from_pieces(size, pieces)
    except (BadPiece, BadCid):
        reason = "failed to compute unsealed sector CID"
        raise bad_argument(f"{reason}: {reason}; exit code: illegal argument") from None
