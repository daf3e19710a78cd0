"""Telling the market of the pieces that came into sectors.

Source: builtin-actors actors/miner/src/notifications.rs; FIP-0076, FIP-0109 (only the market is told).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.actor_errors import OK, ActorError, bad_argument
from poolsite.devnet.actors.ledger import MARKET
from poolsite.devnet.actors.nested import nested_call
from poolsite.filecoin.actors.market import Method
from poolsite.filecoin.actors.market_deals import (
    PieceChange,
    SectorChanges,
    SectorContentChangedParams,
    SectorContentChangedReturn,
)
from poolsite.filecoin.address import address_to_bytes, id_address
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.gas_model import NOTIFY_MARKET

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest
    from poolsite.filecoin.address import Address

RECEIVER_ABORTED: Final = 1002
"""Exit code: the actor that was told failed."""
REJECTED: Final = 1004
"""Exit code: the actor that was told did not accept a piece."""


def pieces_notify(
    call: Call,
    sectors: Sequence[tuple[int, int, Sequence[PieceActivationManifest]]],
    *,
    must_succeed: bool,
) -> int:
    """Notify of the pieces of activated sectors (number, expiration, pieces); return the gas that it takes.

    Raises ActorError 16, 1002 or 1004 if all must succeed and one does not.
    """
    by_receiver: dict[Address, list[SectorChanges]] = {}
    for number, expiration, pieces in sectors:
        for receiver, changes in _by_receiver(pieces).items():
            entry = SectorChanges(number, expiration, tuple(changes))
            by_receiver.setdefault(receiver, []).append(entry)
    for receiver in sorted(by_receiver, key=address_to_bytes):
        if receiver == id_address(MARKET):
            _market_notify(
                call, sorted(by_receiver[receiver], key=lambda entry: entry.sector), must_succeed=must_succeed
            )
        elif must_succeed:
            raise bad_argument(f"disallowed notification receiver: {receiver}")
    return NOTIFY_MARKET * len(by_receiver.get(id_address(MARKET), ()))


def _by_receiver(pieces: Sequence[PieceActivationManifest]) -> dict[Address, list[PieceChange]]:
    changes: dict[Address, list[PieceChange]] = {}
    for piece in pieces:
        for entry in piece.notify:
            changes.setdefault(entry.address, []).append(PieceChange(piece.cid, piece.size, entry.payload))
    return changes


def _market_notify(call: Call, changes: list[SectorChanges], *, must_succeed: bool) -> None:
    receiver = id_address(MARKET)
    params = to_cbor(SectorContentChangedParams(tuple(changes)))
    method = Method.SECTOR_CONTENT_CHANGED_EXPORTED
    code, returned = nested_call(call, to=receiver, value=0, method=method, params=params)
    if not must_succeed:
        return
    if code != OK:
        raise ActorError(RECEIVER_ABORTED, f"receiver aborted with {code}")
    accepted = from_cbor(SectorContentChangedReturn, returned).accepted
    for entry, verdicts in zip(changes, accepted, strict=True):
        for piece, is_accepted in zip(entry.added, verdicts, strict=True):
            if not is_accepted:
                payload = list(piece.payload)
                raise ActorError(
                    REJECTED,
                    f"sector change rejected by {receiver} for sector {entry.sector} piece {piece.data} "
                    f"payload RawBytes {{ {payload} }}",
                )
