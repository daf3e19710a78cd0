"""Calls of the storage market actor that read one deal.

Source: go-state-types builtin/v18/market/market_types.go; builtin-actors actors/market/src/{types,lib}.rs.
"""

from __future__ import annotations

from dataclasses import dataclass

from poolsite.filecoin.actors.label import DealLabel
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.codec import Int64, TokenAmount, Uint64, cbor_transparent, cbor_tuple


@cbor_transparent
@dataclass(frozen=True, slots=True)
class DealQueryParams:
    """Query one property of a published deal."""

    id: Uint64
    """Deal ID."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetDealDataCommitmentReturn:
    """A deal's piece."""

    data: Cid
    """CommP."""
    size: Uint64
    """Padded size in bytes."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetDealActorReturn:
    """A deal's client or provider, by method."""

    actor_id: Uint64
    """Number of its f0 address."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetDealLabelReturn:
    """A deal's label."""

    label: DealLabel
    """As the client wrote it: text or bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetDealTermReturn:
    """When a deal runs."""

    start: Int64
    """First epoch."""
    duration: Int64
    """Epochs."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetDealAmountReturn:
    """A deal's total price or one side's collateral, by method."""

    amount: TokenAmount
    """attoFIL."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetDealVerifiedReturn:
    """Whether a deal was published as verified."""

    verified_deal: bool
    """True: publishing it spent the client's data cap on an allocation."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetDealActivationReturn:
    """When a deal was activated and terminated; a terminated or cleaned-up one fails with code 32."""

    activated: Int64
    """Epoch, which may be before the deal's start; -1 for not yet."""
    terminated: Int64
    """Epoch; -1 for not terminated."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetDealSectorReturn:
    """The sector that holds an activated deal; others fail with code 32 (over) or 33 (not activated)."""

    sector: Uint64
    """Sector number."""
