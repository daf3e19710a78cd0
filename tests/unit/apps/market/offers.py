"""Active pieces that can be retrieved, and the key that signs their advertisements."""

from __future__ import annotations

from typing import Any

from apps.market.states import DealState
from apps.miners.models import Miner
from apps.pieces.data.files import piece_path
from apps.pieces.models import Piece
from poolsite.filecoin.cids import cid_parse
from poolsite.filecoin.piece_cids import SizedPiece
from poolsite.libp2p.identity import Identity
from tests import factories

IDENTITY = Identity.of_seed(bytes(32))


def offer(miner: Miner, data: bytes = b"no car", **deal: Any) -> Piece:
    """An active piece with its deal and its bytes."""
    piece = factories.piece(miner, state="ACTIVE", sector_number=0, offset=0, payload_size=len(data))
    piece_path(piece).write_bytes(data)
    sized = SizedPiece(cid_parse(piece.piece_cid).digest, len(data))
    factories.deal(miner, sized, state=DealState.ACTIVE, piece=piece, **{"is_announced": True, **deal})
    return piece
