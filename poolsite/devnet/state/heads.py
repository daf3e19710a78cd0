"""The CID of an actor's own state, as StateGetActor shows it, and the object behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.state.deal_rows import DEAL_EVENTS, DEAL_STATES, DEALS, PENDING_DEALS
from poolsite.devnet.state.miner_rows import MINERS
from poolsite.devnet.state.power_rows import CLAIMS
from poolsite.devnet.state.rows import ACTORS, ESCROWS, MULTISIGS, SYSTEM
from poolsite.devnet.state.sector_rows import deadlines_of, partitions_of
from poolsite.devnet.state.tables import EMPTY_TABLE, MASK, SUM_BITS
from poolsite.filecoin.address import UNDEF, address_to_bytes
from poolsite.filecoin.cbor import encode
from poolsite.filecoin.cids import Cid, cid_of_cbor

if TYPE_CHECKING:
    from poolsite.devnet.state.rows import Actor
    from poolsite.devnet.state.tables import State

_SYSTEM_KEYS = {"init": "init", "storagepower": "power", "reward": "reward"}
_MARKET_TABLES = (ESCROWS, DEALS, DEAL_STATES, PENDING_DEALS, DEAL_EVENTS)


def actor_head(state: State, actor_id: int) -> Cid:
    """Return the CID of the actor's state."""
    return cid_of_cbor(actor_object(state, actor_id))


def actor_object(state: State, actor_id: int) -> bytes:
    """Return the actor's state as one CBOR object; tables that belong to it go in by their sums."""
    actor: Actor = state.get(ACTORS, actor_id)
    if actor.kind == "storageminer":
        row = state.row_bytes(MINERS, actor_id) or b""
        tables = [f"{name}/{actor_id}" for name in ("precommits", "sectors", "deadlines", "partitions")]
        return encode([row, [_table_sum(state, table) for table in tables]])
    if actor.kind == "multisig":
        return state.row_bytes(MULTISIGS, actor_id) or encode([])
    if actor.kind in _SYSTEM_KEYS:
        row = state.row_bytes(SYSTEM, _SYSTEM_KEYS[actor.kind]) or b""
        claims = [_table_sum(state, CLAIMS)] if actor.kind == "storagepower" else []
        return encode([row, claims])
    if actor.kind == "storagemarket":
        row = state.row_bytes(SYSTEM, "market") or b""
        return encode([row, [_table_sum(state, table) for table in _MARKET_TABLES]])
    address = actor.address or UNDEF
    return encode([address_to_bytes(address)])


def _table_sum(state: State, name: str) -> bytes:
    table = state.tables.get(name)
    return b"" if table is None else table.sum.to_bytes(64, "big")


def deadlines_object(state: State, miner: int, count: int) -> bytes:
    """Return a miner's `Deadlines` as on a real chain: the CIDs of each deadline and its partitions."""
    sums = [0] * count
    for table in (deadlines_of(miner), partitions_of(miner)):
        for bucket in state.tables.get(table, EMPTY_TABLE).buckets:
            for key, row in bucket.items():
                sums[key[0] if isinstance(key, tuple) else int(key)] += row.hash
    digests = [(total & MASK).to_bytes(SUM_BITS // 8, "big") for total in sums]
    return encode([[cid_of_cbor(encode([at, digest])) for at, digest in enumerate(digests)]])


def table_cid(state: State, name: str) -> Cid:
    """Return a CID that stands for the contents of a table."""
    return cid_of_cbor(encode([name.partition("/")[0], _table_sum(state, name)]))
