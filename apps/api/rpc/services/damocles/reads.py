"""What damocles' own command line asks a manager: sectors, stores, randomness; and records that it brings.

Source: damocles-manager/core/api.go SealerCliAPI, RandomnessAPI.
"""

from __future__ import annotations

from typing import Any, Final, cast

from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.damocles import answers
from apps.api.rpc.services.damocles.forms import ANY_RECORD, CID, COUNT, NAME, SECTOR, TIPSET
from apps.chain.node.client import chain_client
from apps.core import clock
from apps.damocles.selectors import sector_on_side, sectors_listed, sectors_with_pieces
from apps.damocles.services.sector_locks import SectorName, sector_find
from apps.damocles.services.store_reservations import damocles_release, store_reservations_list
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.sector_records import record_of, records_of
from apps.sectors.selectors.stores import stores_visible
from apps.sectors.services.adoptions.records import records_import
from apps.sectors.services.sealing.tickets import miner_entropy_encode
from poolsite.filecoin.randomness import Tag
from poolsite.wire.damocles import MANAGER_VERSION, SectorSide
from poolsite.wire.jsonrpc.messages import Json, RpcError
from poolsite.wire.jsonrpc.parameters import BOOL, RpcMethod


def version(_call: Call) -> str:
    """Return the version of damocles-manager whose forms these are."""
    return MANAGER_VERSION


def _check(side: str) -> None:
    if side not in list(SectorSide):
        raise RpcError(f"unexpected sector state: {side}")


def list_sectors(call: Call, side: str, work: int) -> list[Json]:
    """List sectors by what is done with them."""
    _check(side)
    return cast("list[Json]", records_of(sectors_listed(call.principal, side, work)))


def find_sector(call: Call, side: str, name: SectorName) -> Json:
    """Show a sector under way, or one that is not.  Raises NotDamocles."""
    _check(side)
    sector = sector_find(call.principal, name=name)
    if not sector_on_side(call.principal, side, sector):
        raise RpcError(f"sector state not found: {name} is {sector.state.lower()}")
    return record_of(sector)


def find_sector_in_all_states(call: Call, name: SectorName) -> Json:
    """Show a sector.  Raises NotDamocles."""
    return record_of(sector_find(call.principal, name=name))


def find_sectors_with_deal(call: Call, side: str, deal: int) -> list[Json]:
    """List the sectors that a deal's piece lies in."""
    _check(side)
    return cast("list[Json]", records_of(sectors_with_pieces(call.principal, side, deal=deal)))


def find_sector_with_piece(call: Call, side: str, cid: str) -> Json:
    """Show the sector that a piece lies in."""
    _check(side)
    found = sectors_with_pieces(call.principal, side, piece_cid=cid)
    if not found:
        raise RpcError(f"sector state not found: none has {cid}")
    return record_of(found[0])


def import_sector(call: Call, side: str, record: dict[str, Any], override: bool) -> bool:
    """Fill in what a record tells of a proving sector; whether it told anything.  Raises RpcError."""
    if side != SectorSide.OFFLINE or override:
        raise RpcError(
            "an import only fills in missing data of proving sectors: use offline, without override"
        )
    (done,) = records_import([record], by=call.principal)
    if done.refusal:
        raise RpcError(done.refusal)
    return bool(done.filled)


def sector_indexer_find(call: Call, index: str, name: SectorName) -> Json:
    """Show the store of a sector's files, of its replica or of the one with data."""
    sector = sector_find(call.principal, name=name)
    is_indexed = (sector.key_comm_r is not None) == (index == "upgrade")
    store = sector.store if is_indexed else ""
    return {"Found": bool(store), "Instance": {"SealedFile": store, "CacheDir": store}}


def store_list(call: Call) -> list[Json]:
    """List the stores with what is kept free in them."""
    rows = stores_visible(call.principal, now=clock.now()).filter(tenant_id=call.principal.own_id)
    return [
        answers.store_detail_form(
            store,
            [
                one
                for one in store_reservations_list(store)
                if call.principal.may_mine(one.sector.miner.actor_id or 0)
            ],
        )
        for store in rows.order_by("name")
    ]


def store_release_reserved(call: Call, name: SectorName) -> bool:
    """Release what is kept free for a sector; whether anything was."""
    return damocles_release(call.principal, name=name, now=clock.now())


def get_ticket(call: Call, key: str, epoch: int, miner_id: int) -> Json:
    """Draw a ticket."""
    miner = miner_get(call.principal, f"f0{miner_id}")
    found = chain_client().state_get_randomness_from_tickets(
        Tag.SEAL_RANDOMNESS, epoch, entropy=miner_entropy_encode(miner), key=key
    )
    return {"Ticket": answers.b64(found), "Epoch": epoch}


def get_seed(call: Call, key: str, epoch: int, miner_id: int) -> Json:
    """Draw a seed."""
    return {"Seed": _beacon(call, Tag.INTERACTIVE_SEAL_CHALLENGE_SEED, key, epoch, miner_id), "Epoch": epoch}


def get_challenge_rand(call: Call, key: str, epoch: int, miner_id: int) -> Json:
    """Draw what a window's challenges come from."""
    return {"Epoch": epoch, "Rand": _beacon(call, Tag.WINDOWED_POST_CHALLENGE_SEED, key, epoch, miner_id)}


def get_commit_rand(_call: Call, key: str, epoch: int) -> Json:
    """Draw what a window's proof names of the chain."""
    client = chain_client()
    found = client.state_get_randomness_from_tickets(Tag.POST_CHAIN_COMMIT, epoch, entropy=b"", key=key)
    return {"Epoch": epoch, "Rand": answers.b64(found)}


def _beacon(call: Call, tag: Tag, key: str, epoch: int, miner_id: int) -> str:
    entropy = miner_entropy_encode(miner_get(call.principal, f"f0{miner_id}"))
    return answers.b64(chain_client().state_get_randomness_from_beacon(tag, epoch, entropy=entropy, key=key))


READS: Final[dict[str, RpcMethod]] = {
    "Venus.Version": RpcMethod("read", version),
    "Venus.ListSectors": RpcMethod("read", list_sectors, (NAME, COUNT)),
    "Venus.FindSector": RpcMethod("read", find_sector, (NAME, SECTOR)),
    "Venus.FindSectorInAllStates": RpcMethod("read", find_sector_in_all_states, (SECTOR,)),
    "Venus.FindSectorsWithDeal": RpcMethod("read", find_sectors_with_deal, (NAME, COUNT)),
    "Venus.FindSectorWithPiece": RpcMethod("read", find_sector_with_piece, (NAME, CID)),
    "Venus.ImportSector": RpcMethod("sign", import_sector, (NAME, ANY_RECORD, BOOL)),
    "Venus.SectorIndexerFind": RpcMethod("read", sector_indexer_find, (NAME, SECTOR)),
    "Venus.StoreList": RpcMethod("read", store_list),
    "Venus.StoreReleaseReserved": RpcMethod("write", store_release_reserved, (SECTOR,)),
    "Venus.GetTicket": RpcMethod("read", get_ticket, (TIPSET, COUNT, COUNT), asks_node=True),
    "Venus.GetSeed": RpcMethod("read", get_seed, (TIPSET, COUNT, COUNT), asks_node=True),
    "Venus.GetWindowPoStChanlleengeRand": RpcMethod(
        "read", get_challenge_rand, (TIPSET, COUNT, COUNT), asks_node=True
    ),
    "Venus.GetWindowPoStCommitRand": RpcMethod("read", get_commit_rand, (TIPSET, COUNT), asks_node=True),
}
