"""`Gateway.*` of markets: a piece out of a sealed sector, by a storage that listens or by our hosts.

Source: filecoin-project/venus venus-shared/api/gateway/v1, v2; sophon-gateway marketevent/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.gateway.miners import NoConnection, miner_check, provider_request
from apps.core import clock
from apps.gateway.hub.client import hub_database
from apps.gateway.hub.routes import market_route
from apps.gateway.selectors.reverse import DROPLET, reverse_of
from apps.miners.errors import MinerUnknown
from apps.pieces.errors import PieceUnknown
from apps.sectors.services.runs.deliveries import UnsealOrder, is_kept_unsealed, piece_deliver
from apps.users.rules.principals import Principal
from apps.users.selectors.grants import miner_owner
from poolsite.filecoin.address import Address
from poolsite.filecoin.cids import Cid, cid_to_json
from poolsite.filecoin.fr32 import BadPadding, unpadded_bytes
from poolsite.wire.jsonrpc.messages import Json, RpcError
from poolsite.wire.jsonrpc.parameters import NUMBER, BadParam, Param, fields, number

UNSEAL_S: Final = 7 * 3600.0
"""sophon-gateway's timeout for pieces that must be unsealed first."""


@dataclass(frozen=True, slots=True)
class SectorRef:
    """A sector as a caller names it."""

    number: int
    is_padded: bool
    """Clients of the first version name it by a structure, and count padded bytes."""

    def unpadded(self, count: int) -> int:
        """Return a number of bytes of this caller's as unpadded ones.  Raises RpcError."""
        try:
            return unpadded_bytes(count) if self.is_padded else count
        except BadPadding as error:
            raise RpcError(str(error)) from None


def sector_ref(value: Json) -> SectorRef:
    """Read a sector number, or the older `{"ID": {"Miner", "Number"}, "ProofType"}`."""
    if not isinstance(value, dict):
        return SectorRef(number(value), is_padded=False)
    try:
        return SectorRef(number(fields(fields(value)["id"])["number"]), is_padded=True)
    except KeyError:
        raise BadParam("json: cannot unmarshal into Go value of type storage.SectorRef") from None


SECTOR_REF: Final = Param(NUMBER.go, sector_ref)


async def sectors_unseal_piece(
    call: Call, miner: Address, piece: Cid, sector: SectorRef, offset: int, size: int, dest: str
) -> Json:
    """Unseal a piece by the miner's storage, or by ours; the answer is the state it is in."""
    await miner_check(call, miner)
    first, count = sector.unpadded(offset), sector.unpadded(size)
    payload = {
        "PieceCid": cid_to_json(piece),
        "Miner": str(miner),
        "Sid": sector.number,
        "Offset": first,
        "Size": count,
        "Dest": dest,
    }
    owner = await hub_database(miner_owner, actor_id=miner.actor_id)
    route = market_route(miner.actor_id)
    try:
        return await provider_request(owner, route, miner, "SectorsUnsealPiece", payload, seconds=UNSEAL_S)
    except NoConnection as nobody:
        order = UnsealOrder(str(miner), sector.number, str(piece), first, count, dest)
        try:
            return await hub_database(_deliver, order, by=call.principal)
        except MinerUnknown:
            raise nobody from None


def _deliver(order: UnsealOrder, *, by: Principal) -> str:
    return piece_deliver(order, market=reverse_of(DROPLET), by=by, now=clock.now())


async def is_unsealed(
    call: Call, miner: Address, piece: Cid, sector: SectorRef, _offset: int, _size: int
) -> bool:
    """Return whether a piece of a sector is kept unsealed here."""
    await miner_check(call, miner)
    try:
        return bool(
            await hub_database(
                is_kept_unsealed, call.principal, miner=str(miner), piece_cid=str(piece), number=sector.number
            )
        )
    except (MinerUnknown, PieceUnknown):
        return False
