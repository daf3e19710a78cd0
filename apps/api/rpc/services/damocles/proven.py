"""What damocles' command line asks of proven sectors: where their files are, into which of them data can go.

Source: damocles-manager/core/types.go ProvingSectorInfo, SnapUpFetchResult, core/prover.go
PrivateSectorInfo.
"""

from __future__ import annotations

from typing import Any, Final

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.damocles.forms import CID, COUNT, SECTOR, unsigned
from apps.chain.node.client import chain_client
from apps.core import clock
from apps.damocles.services.sector_locks import SectorName, sector_find
from apps.damocles.services.stores import damocles_store, store_path_find
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.services.runs.update_windows import snap_candidates_find
from poolsite.filecoin.bitfield import bitfield_of, bitfield_to_json
from poolsite.wire.jsonrpc.messages import Json, RpcError
from poolsite.wire.jsonrpc.parameters import Param, RpcMethod, text

CANDIDATES_MAX: Final = 1_000
"""Sectors of one answer, those that live longest."""


def _unsigned_or_none(value: Json) -> int | None:
    return None if value is None else unsigned(value)


def proving_sector_info(call: Call, name: SectorName) -> Json:
    """Show a sector as the chain has it, with the places of its files.  Raises NotDamocles, RpcError."""
    sector = sector_find(call.principal, name=name)
    found: dict[str, Any] | None = chain_client().call(
        "StateSectorGetInfo", sector.miner.address, sector.number, None
    )
    if found is None:
        raise RpcError(f"get sector info: the chain has no sector {name}")
    store = damocles_store(call.principal, name=sector.store, now=clock.now()) if sector.store else None
    if store is None:
        raise RpcError(f"get private sector info: no store has the files of {name}")
    is_updated = found.get("SectorKeyCID") is not None
    root = store_path_find(store)
    cache = f"{root}/{'update-cache' if is_updated else 'cache'}/{name}"
    replica = f"{root}/{'update' if is_updated else 'sealed'}/{name}"
    private = {
        "Accesses": {"SealedFile": store.name, "CacheDir": store.name},
        "CacheDirPath": cache,
        "SealedSectorPath": replica,
        "CacheDirURI": cache,
        "SealedSectorURI": replica,
    }
    return {"OnChain": found, "Private": private}


def _candidates(call: Call, miner_id: int) -> list[list[int]]:
    """Return the numbers of the sectors into which data can go now, by deadline."""
    miner, work = miner_get(call.principal, f"f0{miner_id}"), sealing_context_read()
    by_deadline: list[list[int]] = [[] for _ in range(work.network.proving.deadlines)]
    for sector in snap_candidates_find(miner, work=work, limit=CANDIDATES_MAX):
        if sector.deadline is not None:
            by_deadline[sector.deadline].append(sector.number)
    return by_deadline


def snap_up_candidates(call: Call, miner_id: int) -> Json:
    """List the sectors into which data can go, a bitfield for each deadline, null for none."""
    return [bitfield_to_json(bitfield_of(one)) if one else None for one in _candidates(call, miner_id)]


def snap_up_pre_fetch(call: Call, miner_id: int, deadline: int | None) -> Json:
    """Count them; nothing is stored for it, as the console looks when a piece waits.  Raises RpcError."""
    found = _candidates(call, miner_id)
    if deadline is not None and deadline >= len(found):
        raise RpcError(f"prefetch: there is no deadline {deadline}")
    counted = found if deadline is None else [found[deadline]]
    return {"Total": sum(map(len, counted)), "Diff": 0}


def unseal_piece(call: Call, name: SectorName, cid: str, _offset: int, _size: int, _dest: str) -> Json:
    """Refuse, with where the bytes are to be had.  Raises NotDamocles, RpcError."""
    sector_find(call.principal, name=name)
    raise RpcError(
        f"the console unseals pieces itself: use GET /api/v1/pieces/{cid}/data,"
        " or let a market fetch them with Gateway.SectorsUnsealPiece"
    )


PROVEN: Final[dict[str, RpcMethod]] = {
    "Venus.ProvingSectorInfo": RpcMethod("read", proving_sector_info, (SECTOR,), asks_node=True),
    "Venus.SnapUpCandidates": RpcMethod("read", snap_up_candidates, (COUNT,), asks_node=True),
    "Venus.SnapUpPreFetch": RpcMethod(
        "read", snap_up_pre_fetch, (COUNT, Param("*uint64", _unsigned_or_none)), asks_node=True
    ),
    "Venus.UnsealPiece": RpcMethod("read", unseal_piece, (SECTOR, CID, COUNT, COUNT, Param("*string", text))),
}
