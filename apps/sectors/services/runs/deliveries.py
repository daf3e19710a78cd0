"""Pieces out of sealed sectors to a market, which asks until it is told that they have come.

Source: filecoin-project/venus venus-shared/types/gateway (the words), sophon-gateway marketevent/.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from apps.miners.selectors.miners import miner_get
from apps.pieces.data.destinations import target_of
from apps.pieces.data.files import is_stored
from apps.pieces.models import Piece, PieceDelivery
from apps.pieces.selectors import piece_placed
from apps.pieces.services.deliveries import delivery_fail, delivery_request
from apps.pieces.states import DeliveryState
from apps.sectors.errors.runs import UnsealFailed
from apps.sectors.services.runs.unsealing import unseal_request
from apps.sectors.states import JobState
from apps.users.rules.principals import Principal
from poolsite.filecoin.fr32 import unpadded_bytes

SET_UP, UNSEALING, UPLOADING, FINISHED, FAILED = "set_up", "unsealing", "uploading", "finished", "failed"
ENDED: Final = {DeliveryState.DELIVERED: FINISHED, DeliveryState.FAILED: FAILED}


@dataclass(frozen=True, slots=True)
class UnsealOrder:
    """What a market wants, and where to."""

    miner: str
    number: int
    """Of the sector."""
    piece_cid: str
    offset: int
    """Unpadded bytes from the sector's beginning."""
    size: int
    """Unpadded bytes."""
    dest: str


def piece_deliver(order: UnsealOrder, *, market: str, by: Principal, now: datetime) -> str:
    """Deliver bytes of a sector to a market; return how far that is, in sophon-gateway's words.

    `market`: the registered market's address.  Raises MinerUnknown, PieceUnknown, BadValue, NotUnsealed.
    """
    target = target_of(order.dest, market=market, piece_cid=order.piece_cid)
    piece = piece_placed(miner_get(by, order.miner), order.number, order.piece_cid)
    first = order.offset - unpadded_bytes(piece.offset or 0)
    delivery = delivery_request(piece, target=target, first=first, num_bytes=order.size, by=by, now=now)
    if delivery.state in ENDED:
        return ENDED[DeliveryState(delivery.state)]
    return UPLOADING if is_stored(piece) else _unsealing(piece, delivery, now=now)


def _unsealing(piece: Piece, delivery: PieceDelivery, *, now: datetime) -> str:
    """Unseal the piece; return how far that is.  Raises NotUnsealed."""
    try:
        job = unseal_request(piece, now=now)
    except UnsealFailed as error:
        delivery_fail(delivery, reason=error.reason)
        return FAILED
    return UNSEALING if job.state == JobState.LEASED else SET_UP


def is_kept_unsealed(by: Principal, *, miner: str, piece_cid: str, number: int) -> bool:
    """Return whether a piece's bytes are here.  Raises MinerUnknown, PieceUnknown."""
    return is_stored(piece_placed(miner_get(by, miner), number, piece_cid))
