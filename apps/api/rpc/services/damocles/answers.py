"""Answers of damocles-manager's methods, in the words of its Go structs.

Source: damocles-manager/core/types.go; damocles-worker/src/rpc/sealer/mod.rs.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

from apps.damocles.services.sector_locks import SectorName
from apps.damocles.services.stores import store_path_find
from apps.sectors.selectors.sector_records import PlacedPiece, piece_written
from poolsite.wire.jsonrpc.messages import Json

if TYPE_CHECKING:
    from apps.sectors.models import DamoclesRecord, Sector, Store

UNNUMBERED: Final = 2**53 - 1
"""Of a piece whose row is gone: a worker only looks whether it is zero."""


def b64(data: bytes) -> str:
    """Write bytes as Go does."""
    return b64encode(data).decode()


def sector_id(name: SectorName) -> Json:
    """Return an abi.SectorID as JSON."""
    return {"Miner": name.miner_id, "Number": name.number}


def allocated_form(sector: Sector) -> Json:
    """Return an AllocatedSector as JSON."""
    name = SectorName(sector.miner.actor_id or 0, sector.number)
    return {"ID": sector_id(name), "ProofType": sector.seal_proof}


def piece_form(placed: PlacedPiece, *, provider: int) -> Json:
    """Return a SectorPieceV2 for a worker, which fetches what has a number; the rest is zeros to it.

    A piece that claims no allocation and has no deal is numbered by its row here.
    """
    written, row = piece_written(placed, provider=provider), placed.row
    deal = written["DealInfo"]
    if placed.payload_size and not (deal["DealID"] or deal["AllocationID"]):
        deal["AllocationID"] = UNNUMBERED if row is None else row.pk
    return written


def store_form(store: Store) -> Json:
    """Return a StoreBasicInfo as JSON."""
    return {
        "Name": store.name,
        "Path": store_path_find(store),
        "Strict": False,
        "ReadOnly": bool(store.rules.get("is_read_only")),
        "Weight": int(store.rules.get("weight") or 1),
        "Meta": {},
    }


def store_detail_form(store: Store, reserved: Sequence[DamoclesRecord]) -> Json:
    """Return a StoreDetailedInfo as JSON."""
    used = max(store.total_bytes - store.free_bytes, 0)
    by = [
        {
            "By": f"s-t0{one.sector.miner.actor_id}-{one.sector.number}",
            "Size": one.reserved_bytes,
            "At": int(one.updated_at.timestamp()),
        }
        for one in reserved
    ]
    sizes = {
        "Type": "filestore",
        "Total": store.total_bytes,
        "Free": store.free_bytes,
        "Used": used,
        "UsedPercent": round(100 * used / store.total_bytes, 2) if store.total_bytes else 0.0,
        "Reserved": sum(one.reserved_bytes for one in reserved),
        "ReservedBy": by,
    }
    return {**cast("dict[str, Json]", store_form(store)), **sizes}
