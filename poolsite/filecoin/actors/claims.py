"""Claims of miners on verified data: how they come to be, are asked for, lengthened and removed.

Source: go-state-types builtin/v18/verifreg/verifreg_types.go; FIP-0045.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from poolsite.filecoin.actors.batch import BatchReturn
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.codec import (
    Int64,
    JsonName,
    TokenAmount,
    Uint64,
    cbor_tuple,
)


@cbor_tuple
@dataclass(frozen=True, slots=True)
class AllocationClaim:
    """One allocation that a sector claims."""

    client: Uint64
    """Actor number of the client."""
    allocation_id: Annotated[Uint64, JsonName("AllocationId")]
    """Number of the allocation."""
    data: Cid
    """Commitment to the piece."""
    size: Uint64
    """Padded size in bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorAllocationClaims:
    """The allocations that a sector claims."""

    sector: Uint64
    """Number of the sector."""
    sector_expiry: Int64
    """Epoch at which the sector ends."""
    claims: tuple[AllocationClaim, ...]
    """Claims."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ClaimAllocationsParams:
    """Claim allocations for sectors."""

    sectors: tuple[SectorAllocationClaims, ...]
    """Sectors concerned."""
    all_or_nothing: bool
    """Fail all if one fails."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorClaimSummary:
    """What a sector claimed."""

    claimed_space: TokenAmount
    """Bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ClaimAllocationsReturn:
    """What the sectors claimed."""

    sector_results: BatchReturn
    """How the sectors fared."""
    sector_claims: tuple[SectorClaimSummary, ...]
    """Space claimed, sector by sector."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetClaimsParams:
    """Ask for claims."""

    provider: Uint64
    """The miner."""
    claim_ids: tuple[Uint64, ...]
    """Numbers of the claims."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class Claim:
    """Verified data that a miner stores."""

    provider: Uint64
    """The miner."""
    client: Uint64
    """Actor number of the client."""
    data: Cid
    """Commitment to the piece."""
    size: Uint64
    """Padded size in bytes."""
    term_min: Int64
    """Shortest term in epochs."""
    term_max: Int64
    """Longest term in epochs."""
    term_start: Int64
    """Epoch at which the term began."""
    sector: Uint64
    """Number of the sector."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetClaimsReturn:
    """The claims found."""

    batch_info: BatchReturn
    """How the lookups fared."""
    claims: tuple[Claim, ...]
    """Claims."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ClaimTerm:
    """A claim's new longest term."""

    provider: Uint64
    """The miner."""
    claim_id: Annotated[Uint64, JsonName("ClaimId")]
    """Number of the claim."""
    term_max: Int64
    """Longest term in epochs."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ExtendClaimTermsParams:
    """Lengthen claims."""

    terms: tuple[ClaimTerm, ...]
    """One entry for each claim."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveExpiredClaimsParams:
    """Remove expired claims."""

    provider: Uint64
    """The miner."""
    claim_ids: tuple[Uint64, ...]
    """Numbers of the claims."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveExpiredClaimsReturn:
    """The claims removed."""

    considered: tuple[Uint64, ...]
    """The items looked at."""
    results: BatchReturn
    """How they fared."""
