"""Lotus' forms of a sector, as the record that an import reads.

Source: lotus api/api_storage.go SectorInfo (`SectorsStatus`), storage/pipeline/types.go SectorInfo
(`lotus-shed`), chain/types SectorOnChainInfo (`StateSectorGetInfo`), storage/pipeline/types.go SectorPiece.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.core.errors import BadValue
from apps.core.marked_texts import gettext


def record_from_lotus(body: Mapping[str, Any], *, miner_id: int | None) -> Mapping[str, Any]:
    """Return a record of any known form as damocles' `SectorState`; lotus' names no miner, so it is given.

    Raises BadValue for what the chain tells anyway, and for lotus' form without a miner.
    """
    if "ID" in body or not ("SectorID" in body or "SectorNumber" in body):
        return body
    if "SealedCID" in body:
        raise BadValue(
            gettext(
                "this is the chain's own entry (StateSectorGetInfo), which has neither ticket nor pieces: "
                "send lotus-miner's SectorInfo or damocles' SectorState"
            ),
            field="records",
        )
    if miner_id is None:
        raise BadValue(
            gettext("this is lotus' SectorInfo, which does not name its miner: name it beside the records"),
            field="miner",
        )
    upgraded = body.get("UpdateSealed")
    return {
        "ID": {"Miner": miner_id, "Number": body.get("SectorID", body.get("SectorNumber"))},
        "SectorType": body["SealProof"] if "SealProof" in body else body["SectorType"],
        "Pre": {"CommR": body["CommR"], "CommD": body["CommD"]},
        "Ticket": _drawn(body, "Ticket"),
        "Seed": _drawn(body, "Seed"),
        "Pieces": [_piece(piece) for piece in body.get("Pieces") or ()],
        "Upgraded": bool(upgraded),
        "UpgradedInfo": {"SealedCID": upgraded, "UnsealedCID": body.get("UpdateUnsealed")},
    }


def _drawn(body: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return a ticket or a seed; None for none."""
    whole = body.get(name) or {"Value": body.get(f"{name}Value"), "Epoch": body.get(f"{name}Epoch")}
    return {name: whole["Value"], "Epoch": whole["Epoch"]} if whole["Value"] else None


def _piece(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a SectorPieceV2 of a SectorPiece."""
    deal = body.get("DealInfo") or {}
    proposal = deal.get("DealProposal") or {}
    claim = (deal.get("PieceActivationManifest") or {}).get("VerifiedAllocationKey")
    client = proposal.get("Client") if claim is None else f"f0{claim['Client']}"
    return {
        "Piece": body["Piece"],
        "DealInfo": {
            "DealID": deal.get("DealID") or 0,
            "AllocationID": 0 if claim is None else claim["ID"],
            "Client": client,
        },
    }
