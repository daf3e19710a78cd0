"""`Filecoin.*` of sophon-miner: who mines, wins and blocks, start and stop, warm-up, records.

Their names are none of a node's, so they stand in the same table.  A caller sees the miners that it may see.
Source: sophon-miner api/api_miner.go MinerAPI, miner/multiminer.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from apps.api.rpc.dispatcher import Call
from apps.blocks.rounds.warm_up import warm_up
from apps.blocks.rounds.winners import Winner, winners_count
from apps.blocks.selectors.mining_miners import miners_on
from apps.blocks.selectors.rounds import rounds_of, rounds_won
from apps.blocks.services.mining import mining_set
from apps.blocks.states import LOSSES, RoundState
from apps.core.errors import DomainError
from apps.miners.errors import MinerUnknown
from apps.miners.selectors.miners import miner_get, miners_visible
from poolsite.filecoin.address import Address, id_address
from poolsite.filecoin.block import BlockMsg
from poolsite.filecoin.codec import from_cbor
from poolsite.wire.jsonrpc.messages import Json, RpcError
from poolsite.wire.jsonrpc.parameters import ADDRESS, NUMBER, OBJECT, BadParam, RpcMethod, address, list_of

if TYPE_CHECKING:
    from apps.blocks.models import Round
    from apps.miners.models import Miner

LIST_DEFAULT: Final = 20_000
ERRORS_MAX: Final = 20
RECORDS_MAX: Final = 288
"""sophon-miner's MaxRecordPerQuery."""
MINE_STATES: Final[dict[str, int]] = {
    RoundState.WON: 0,
    RoundState.SUBMITTED: 1,
    RoundState.INCLUDED: 1,
    RoundState.LATE: 2,
    RoundState.PROOF_TIMEOUT: 2,
    RoundState.ORPHANED: 3,
    RoundState.BASE_CHANGED: 3,
}
"""Mining, Success, TimeOut, ChainForked; all others are 4, Error."""
STEP_NAMES: Final = {
    "base_info": "getBaseInfo",
    "ticket": "computeTicket",
    "election": "computeElectionProof",
    "proof": "computePostProof",
    "messages": "selectMessage",
    "create": "createBlock",
}


def own(call: Call, addresses: Sequence[Address] = ()) -> list[Miner]:
    """Return the caller's miners on the chain; of those named, if any are, never others than its own."""
    rows = [row for row in miners_visible(call.principal) if row.actor_id is not None]
    numbers = {one.actor_id for one in addresses if one.protocol == 0}
    return [row for row in rows if not addresses or row.actor_id in numbers]


def infos(rows: Sequence[Miner]) -> list[Json]:
    """Return MinerInfos as JSON."""
    on = miners_on(rows)
    return [
        {
            "Addr": row.address,
            "Id": row.tenant.name,
            "Name": row.tenant.name,
            "OpenMining": row.pk in on,
        }
        for row in rows
    ]


def update_address(call: Call, skip: int, limit: int) -> list[Json]:
    """List the miners that blocks are made for: they are read at each round, so nothing is to be updated."""
    found = [info for info in infos(own(call)) if info["OpenMining"]]
    return found[max(skip, 0) :][: limit if limit > 0 else LIST_DEFAULT]


def list_address(call: Call) -> list[Json]:
    """List the caller's miners."""
    return infos(own(call))


def states_for_mining(call: Call, addresses: list[Address]) -> list[Json]:
    """Show who mines, with the reasons of the last losses."""
    rows = own(call, addresses)
    on = miners_on(rows)
    return [
        {"Addr": row.address, "IsMining": row.pk in on and row.qa_power > 0, "Err": _losses(row) or None}
        for row in rows
    ]


def _losses(miner: Miner) -> list[str]:
    rows = rounds_of(miner).filter(state__in=LOSSES)[:ERRORS_MAX]
    return [f"epoch {row.epoch}: {row.get_state_display()}: {row.reason}" for row in rows]


def count_winners(call: Call, addresses: list[Address], start: int, end: int) -> list[Json]:
    """Draw the epochs from start to end again, for each miner."""
    rows = own(call, addresses)
    known = {row.address for row in rows}
    found = [Winner(str(one), reason="miner not exist") for one in addresses if str(one) not in known]
    found += [winners_count(row, first=min(start, end), last=max(start, end)) for row in rows]
    return [
        {
            "miner": one.miner,
            "totalWinCount": one.total,
            "msg": one.reason,
            "winEpochList": [
                {"epoch": win.epoch, "winCount": win.wins, "msg": win.reason} for win in one.epochs
            ],
        }
        for one in found
    ]


def list_blocks(call: Call, query: dict[str, Json]) -> list[Json]:
    """List wins with what became of them, newest first."""
    addresses = query.get("miners") or []
    if not isinstance(addresses, list):
        raise RpcError("json: cannot unmarshal into Go struct field .miners of type []address.Address")
    rows = own(call, [_address(one) for one in addresses])
    limit, offset = _integer(query, "limit") or LIST_DEFAULT, _integer(query, "offset")
    return [_block(row) for row in rounds_won(rows)[offset : offset + limit]]


def _address(value: Json) -> Address:
    try:
        return address(value)
    except BadParam as error:
        raise RpcError(str(error)) from None


def _integer(query: dict[str, Json], name: str) -> int:
    value = query.get(name) or 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise RpcError(f"json: cannot unmarshal into Go struct field .{name} of type int")
    return value


def _block(row: Round) -> Json:
    block = getattr(row, "block", None)
    parents = from_cbor(BlockMsg, bytes(block.unsigned)).header.parents if block is not None else ()
    return {
        "ParentEpoch": row.base_height,
        "ParentKey": "{" + ",".join(map(str, parents)) + "}",
        "Epoch": row.epoch,
        "Miner": row.miner.address,
        "Cid": "" if block is None else block.cid,
        "WinningAt": row.at.isoformat(),
        "MineState": MINE_STATES.get(row.state, 4),
        "Consuming": sum(length for name, _, length in row.steps if name not in ("wait", "submit")),
    }


def warmup_for_miner(call: Call, miner: Address) -> None:
    """Go the way of a win with a throw-away challenge.  Raises RpcError with the step that failed."""
    done = warm_up(_mine(call, miner), viewer=call.principal)
    if done.failed:
        raise RpcError(f"{done.failed}: {done.reason}")


def _mine(call: Call, miner: Address) -> Miner:
    try:
        return miner_get(call.principal, str(miner))
    except MinerUnknown:
        raise RpcError(f"{miner} not exist") from None


def start(call: Call, addresses: list[Address]) -> None:
    """Make blocks for these miners."""
    _set_all(call, addresses, is_on=True)


def stop(call: Call, addresses: list[Address]) -> None:
    """Make no blocks for these miners."""
    _set_all(call, addresses, is_on=False)


def _set_all(call: Call, addresses: list[Address], *, is_on: bool) -> None:
    rows = [_mine(call, one) for one in addresses]
    for row in rows:
        try:
            mining_set(row, is_on=is_on, principal=call.principal)
        except DomainError as error:
            raise RpcError(f"{row.address}: {error.reason}") from None


def query_record(call: Call, query: dict[str, Json]) -> list[Json]:
    """Show rounds from an epoch on, each step by the peer's name for it."""
    if not query.get("miner"):
        raise RpcError("json: the field Miner is needed")
    miner, first = _mine(call, _address(query["miner"])), _integer(query, "epoch")
    limit = _integer(query, "limit") or 1
    if limit > RECORDS_MAX:
        raise RpcError(f"query exceed MaxRecordPerQuery({RECORDS_MAX})")
    rows = rounds_of(miner, first=first, last=first + limit - 1).order_by("epoch")
    return [_record(row) for row in rows]


def _record(row: Round) -> Json:
    steps = {STEP_NAMES[name]: f"{length}ms" for name, _, length in row.steps if name in STEP_NAMES}
    return {
        "miner": str(id_address(row.miner.actor_id or 0)),
        "epoch": str(row.epoch),
        "baseEpoch": str(row.base_height),
        "nullRounds": str(row.epoch - row.base_height - 1),
        "isEligible": str(row.is_eligible).lower(),
        "winCount": str(row.win_count),
        **steps,
        **({"error": row.reason} if row.state in LOSSES else {}),
        "info": row.get_state_display(),
    }


ADDRESSES: Final = list_of(ADDRESS)
MINER_METHODS: Final[dict[str, RpcMethod]] = {
    "Filecoin.UpdateAddress": RpcMethod("admin", update_address, (NUMBER, NUMBER)),
    "Filecoin.ListAddress": RpcMethod("read", list_address),
    "Filecoin.StatesForMining": RpcMethod("read", states_for_mining, (ADDRESSES,)),
    "Filecoin.CountWinners": RpcMethod("read", count_winners, (ADDRESSES, NUMBER, NUMBER), is_long=True),
    "Filecoin.ListBlocks": RpcMethod("read", list_blocks, (OBJECT,)),
    "Filecoin.WarmupForMiner": RpcMethod("write", warmup_for_miner, (ADDRESS,), void=True, is_long=True),
    "Filecoin.Start": RpcMethod("admin", start, (ADDRESSES,), void=True),
    "Filecoin.Stop": RpcMethod("admin", stop, (ADDRESSES,), void=True),
    "Filecoin.QueryRecord": RpcMethod("read", query_record, (OBJECT,)),
}
"""sophon-miner's methods that a node has not."""
