"""What the chain says of the allocation that a proposal names.

Source: lotus node/impl/full/state.go StateGetAllocation, which looks the client's actor up itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.chain.node.tipsets import key_to_json
from poolsite.filecoin.cids import cid_from_json


@dataclass(frozen=True, slots=True)
class AllocationTerms:
    """An allocation, for which miner and data it is, and for how long."""

    client: int
    provider: int
    piece_cid: str
    size: int
    """Padded bytes."""
    term_min: int
    term_max: int
    expiration: int


def allocation_read(client: ChainClient, *, owner: str, number: int) -> AllocationTerms | None:
    """Return an allocation of a client by its number; None if the chain has none.  Raises NodeUnavailable."""
    try:
        return client.ask(_read, "StateGetAllocation", owner, number, key_to_json(None))
    except NodeRefused as refusal:
        if refusal.is_missing_actor:
            return None
        raise


def _read(row: dict[str, Any] | None) -> AllocationTerms | None:
    if row is None:
        return None
    return AllocationTerms(
        client=int(row["Client"]),
        provider=int(row["Provider"]),
        piece_cid=str(cid_from_json(row["Data"]) or ""),
        size=int(row["Size"]),
        term_min=int(row["TermMin"]),
        term_max=int(row["TermMax"]),
        expiration=int(row["Expiration"]),
    )
