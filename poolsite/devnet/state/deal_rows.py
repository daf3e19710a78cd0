"""The rows of the market actor: deals, how far they are, and when they are looked at.

Source: builtin-actors actors/market/src/state.rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.devnet.state.records import Big  # row codecs read the annotations

DEALS: Final = "deals"
"""Number of a deal to `Deal`."""
DEAL_STATES: Final = "dealstates"
"""Number of a deal that is in a sector to `DealState`."""
PENDING_DEALS: Final = "pendingdeals"
"""Bytes of a proposal's CID to `DealNumber`, until the deal is first looked at."""
DEAL_EVENTS: Final = "dealevents"
"""Epoch to `DealEvents`."""


def sector_deals_of(provider: int) -> str:
    """Table of the deals in a miner's sectors, by sector number."""
    return f"sectordeals/{provider}"


@dataclass(frozen=True, slots=True)
class MarketState:
    """The market actor's own numbers."""

    next_deal: int
    """Number of the next deal."""
    client_collateral: Big
    provider_collateral: Big
    storage_fee: Big
    """What all deals lock, attoFIL."""


NEW_MARKET: Final = MarketState(0, 0, 0, 0)
"""A market without deals."""


@dataclass(frozen=True, slots=True)
class Deal:
    """A published deal."""

    proposal: bytes
    """The proposal in CBOR, its parties by actor number."""
    allocation: int | None
    """Allocation of verified data, until the deal is activated."""


@dataclass(frozen=True, slots=True)
class DealState:
    """A deal in a sector."""

    sector: int
    start: int
    """Epoch of activation."""
    updated: int
    """Epoch until which it is paid, -1 before the first payment."""


@dataclass(frozen=True, slots=True)
class DealNumber:
    """An entry of the map of pending proposals."""

    number: int


@dataclass(frozen=True, slots=True)
class DealEvents:
    """What the market looks at in one epoch."""

    deals: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SectorDeals:
    """The deals of one sector."""

    deals: tuple[int, ...]
