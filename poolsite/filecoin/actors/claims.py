"""Claims in the verified registry: the term for which a miner's sector stores an allocation.

Source: go-state-types builtin/v18/verifreg/verifreg_types.go; builtin-actors
actors/verifreg/src/{types,lib}.rs, whose ClaimAllocationsReturn this is (Go's still has an older form);
FIP-0045.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from poolsite.filecoin.actors.batch import BatchReturn
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.codec import (
    Int64,
    JsonName,
    TokenAmount,
    Uint64,
    cbor_tuple,
)
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET

CLAIM_TERM_MAX: Final = 5 * 365 * EPOCHS_PER_DAY_MAINNET
"""Longest term of an allocation or a claim, in epochs of any network: 5 years of the main one's.

Source: builtin-actors runtime/src/runtime/policy.rs MAXIMUM_VERIFIED_ALLOCATION_TERM.
"""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class AllocationClaim:
    """One allocation that a sector claims; size and data must be those of the allocation."""

    client: Uint64
    """Actor ID of the allocation's client."""
    allocation_id: Annotated[Uint64, JsonName("AllocationId")]
    """The claim gets the same ID."""
    data: Cid
    """CommP of the piece."""
    size: Uint64
    """Padded size in bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorAllocationClaims:
    """The allocations that one sector claims; all of them or none."""

    sector: Uint64
    """Sector number."""
    sector_expiry: Int64
    """Epoch at which the sector expires; its distance must lie in each allocation's term."""
    claims: tuple[AllocationClaim, ...]
    """Allocations whose data the sector holds."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ClaimAllocationsParams:
    """Turn allocations into claims; only miner actors call it, in activating sectors."""

    sectors: tuple[SectorAllocationClaims, ...]
    """Those that are being activated, each with what it claims."""
    all_or_nothing: bool
    """Abort if one sector's claims fail; otherwise only that sector's fail."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class SectorClaimSummary:
    """What one sector claimed."""

    claimed_space: TokenAmount
    """Bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ClaimAllocationsReturn:
    """Which sectors could claim, and how much."""

    sector_results: BatchReturn
    """By index of the sector in the request."""
    sector_claims: tuple[SectorClaimSummary, ...]
    """One entry per successful sector, in order."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetClaimsParams:
    """Look up claims of one miner."""

    provider: Uint64
    """Actor ID of the miner."""
    claim_ids: tuple[Uint64, ...]
    """Claims keep the IDs of their allocations."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class Claim:
    """Verified data that a miner stores, from an allocation that it claimed."""

    provider: Uint64
    """Actor ID of the miner."""
    client: Uint64
    """Actor ID of the client that made the allocation."""
    data: Cid
    """CommP of the piece."""
    size: Uint64
    """Padded size in bytes."""
    term_min: Int64
    """Epochs since `term_start` for which the miner committed to store it."""
    term_max: Int64
    """Epochs since `term_start` for which it can count as verified; after them anyone may remove the
    claim."""
    term_start: Int64
    """Epoch of the claim."""
    sector: Uint64
    """Number of the sector that holds it."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetClaimsReturn:
    """The claims that exist."""

    batch_info: BatchReturn
    """By index of the ID in the request; ErrNotFound for those that do not exist."""
    claims: tuple[Claim, ...]
    """The found ones, in the order of the request."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ClaimTerm:
    """A claim and its new longest term."""

    provider: Uint64
    """Actor ID of the miner that holds it."""
    claim_id: Annotated[Uint64, JsonName("ClaimId")]
    """The ID of the allocation that it came from."""
    term_max: Int64
    """Epochs since the claim's start: not less than the present term, at most 5 years."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ExtendClaimTermsParams:
    """Lengthen terms of claims without data cap; only each claim's client may."""

    terms: tuple[ClaimTerm, ...]
    """Each is judged by itself: a refused one does not fail the others."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveExpiredClaimsParams:
    """Remove claims whose longest term has passed; anyone may call it."""

    provider: Uint64
    """Actor ID of the miner that holds them."""
    claim_ids: tuple[Uint64, ...]
    """Empty for all expired ones."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RemoveExpiredClaimsReturn:
    """Which claims were removed."""

    considered: tuple[Uint64, ...]
    """Claim IDs: the given ones, or the expired ones found."""
    results: BatchReturn
    """By index in `considered`; ErrForbidden for a claim that has not expired."""
