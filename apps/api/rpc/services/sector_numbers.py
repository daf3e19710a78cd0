"""`Filecoin.SectorNum*` of lotus-miner: its reservations of sector numbers, for the one miner of a token.

A number that is freed is not given again: who had it may have used it.
Source: lotus api/api_storage.go SectorNum*; storage/pipeline/numassign.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.api.rpc.dispatcher import Call
from apps.chain.node.client import chain_client
from apps.core import clock
from apps.core.errors import BadValue
from apps.miners.onchain.actors import numbers_allocated
from apps.miners.selectors.miners import miners_visible
from apps.sectors.selectors.numbers import numbers_in_use, numbers_of, reservations_named
from apps.sectors.services.reservations import NumberRequest, numbers_reserve, reservation_end
from poolsite.filecoin.bitfield import (
    BitField,
    bitfield_from_json,
    bitfield_of_runs,
    bitfield_to_json,
    bitfield_union,
)
from poolsite.filecoin.kinds import BadField
from poolsite.wire.jsonrpc.messages import Json
from poolsite.wire.jsonrpc.parameters import BOOL, NUMBER, TEXT, BadParam, Param, RpcMethod

if TYPE_CHECKING:
    from apps.miners.models import Miner


def _numbers(value: Json) -> BitField:
    """Read a bitfield as lotus writes it, as run lengths."""
    try:
        return bitfield_from_json(value)
    except (BadField, ValueError) as error:
        raise BadParam(str(error)) from None


def own_miner(call: Call) -> Miner:
    """Return the miner that a caller's numbers are of.  Raises BadValue where it has several."""
    rows = [row for row in miners_visible(call.principal) if row.tenant_id == call.principal.tenant_id]
    rows = [row for row in rows if row.actor_id is not None and call.principal.may_mine(row.actor_id)]
    if len(rows) != 1:
        raise BadValue(
            f"the token is for {len(rows)} miners: use one limited to a single miner", field="miner"
        )
    return rows[0]


def assigner_meta(call: Call) -> Json:
    """Show the numbers that are taken, and the next one."""
    miner = own_miner(call)
    allocated = bitfield_union(
        BitField(((span.start, span.stop),))
        for span in numbers_allocated(chain_client(), miner.address)
        if span
    )
    reserved = bitfield_union(map(bitfield_of_runs, reservations_named(miner).values()))
    used = numbers_in_use(miner)
    row = numbers_of(miner)
    barred = bitfield_union([allocated, reserved, used])
    number = 0 if row is None else row.next_number
    for start, end in barred.ranges:
        if start <= number < end:
            number = end
    return {
        "Reserved": bitfield_to_json(reserved),
        "Allocated": bitfield_to_json(allocated),
        "InUse": bitfield_to_json(used),
        "Next": number,
    }


def reservations(call: Call) -> Json:
    """List the reservations by their names."""
    reserved = reservations_named(own_miner(call))
    return {name: bitfield_to_json(bitfield_of_runs(runs)) for name, runs in reserved.items()}


def reserve(call: Call, name: str, numbers: BitField, _is_forced: bool = False) -> None:
    """Reserve these numbers; what somebody has already is refused, also where lotus would be forced."""
    _reserve(call, NumberRequest(name=name, numbers=numbers, allocated=_allocated(call)))


def reserve_count(call: Call, name: str, count: int) -> Json:
    """Reserve the next numbers."""
    return _reserve(call, NumberRequest(name=name, count=count, allocated=_allocated(call)))


def _allocated(call: Call) -> list[range]:
    return numbers_allocated(chain_client(), own_miner(call).address)


def _reserve(call: Call, request: NumberRequest) -> Json:
    row = numbers_reserve(own_miner(call), request=request, principal=call.principal, now=clock.now())
    return bitfield_to_json(bitfield_of_runs(row.runs))


def free(call: Call, name: str) -> None:
    """Release a reservation."""
    miner = own_miner(call)
    uuid = reservations_named(miner, key="uuid").get(name, "")
    reservation_end(miner, uuid=str(uuid), event="RELEASE", principal=call.principal, now=clock.now())


BITFIELD: Final = Param("*bitfield.BitField", _numbers)
NUMBER_METHODS: Final[dict[str, RpcMethod]] = {
    "Filecoin.SectorNumAssignerMeta": RpcMethod("read", assigner_meta, asks_node=True),
    "Filecoin.SectorNumReservations": RpcMethod("read", reservations),
    "Filecoin.SectorNumReserve": RpcMethod(
        "admin", reserve, (TEXT, BITFIELD, BOOL), void=True, asks_node=True, optional=1
    ),
    "Filecoin.SectorNumReserveCount": RpcMethod("admin", reserve_count, (TEXT, NUMBER), asks_node=True),
    "Filecoin.SectorNumFree": RpcMethod("admin", free, (TEXT,), void=True),
}
"""lotus-miner's methods of the same names, with its permissions."""
