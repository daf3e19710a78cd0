"""Claims of miners on verified data: how they come to be, are asked for, lengthened and removed.

Source: go-state-types builtin/v18/verifreg/verifreg_types.go; FIP-0045.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.batch import BATCH_RETURN, BatchReturn
from poolsite.filecoin.codec import AMOUNT, BOOL, CID, INT64, UINT64, Field, Struct, list_of

if TYPE_CHECKING:
    from poolsite.filecoin.cids import Cid


@dataclass(frozen=True, slots=True)
class AllocationClaim:
    """One allocation that a sector claims."""

    client: int
    """Actor number of the client."""
    allocation_id: int
    """Number of the allocation."""
    data: Cid
    """Commitment to the piece."""
    size: int
    """Padded size in bytes."""


ALLOCATION_CLAIM: Final = Struct(
    AllocationClaim,
    Field("client", "Client", UINT64),
    Field("allocation_id", "AllocationId", UINT64),
    Field("data", "Data", CID),
    Field("size", "Size", UINT64),
)


@dataclass(frozen=True, slots=True)
class SectorAllocationClaims:
    """The allocations that a sector claims."""

    sector: int
    """Number of the sector."""
    sector_expiry: int
    """Epoch at which the sector ends."""
    claims: tuple[AllocationClaim, ...]
    """Claims."""


SECTOR_ALLOCATION_CLAIMS: Final = Struct(
    SectorAllocationClaims,
    Field("sector", "Sector", UINT64),
    Field("sector_expiry", "SectorExpiry", INT64),
    Field("claims", "Claims", list_of(ALLOCATION_CLAIM.kind())),
)


@dataclass(frozen=True, slots=True)
class ClaimAllocationsParams:
    """Claim allocations for sectors."""

    sectors: tuple[SectorAllocationClaims, ...]
    """Sectors concerned."""
    all_or_nothing: bool
    """Fail all if one fails."""


CLAIM_ALLOCATIONS_PARAMS: Final = Struct(
    ClaimAllocationsParams,
    Field("sectors", "Sectors", list_of(SECTOR_ALLOCATION_CLAIMS.kind())),
    Field("all_or_nothing", "AllOrNothing", BOOL),
)


@dataclass(frozen=True, slots=True)
class SectorClaimSummary:
    """What a sector claimed."""

    claimed_space: int
    """Bytes."""


SECTOR_CLAIM_SUMMARY: Final = Struct(
    SectorClaimSummary,
    Field("claimed_space", "ClaimedSpace", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class ClaimAllocationsReturn:
    """What the sectors claimed."""

    sector_results: BatchReturn
    """How the sectors fared."""
    sector_claims: tuple[SectorClaimSummary, ...]
    """Space claimed, sector by sector."""


CLAIM_ALLOCATIONS_RETURN: Final = Struct(
    ClaimAllocationsReturn,
    Field("sector_results", "SectorResults", BATCH_RETURN.kind()),
    Field("sector_claims", "SectorClaims", list_of(SECTOR_CLAIM_SUMMARY.kind())),
)


@dataclass(frozen=True, slots=True)
class GetClaimsParams:
    """Ask for claims."""

    provider: int
    """The miner."""
    claim_ids: tuple[int, ...]
    """Numbers of the claims."""


GET_CLAIMS_PARAMS: Final = Struct(
    GetClaimsParams,
    Field("provider", "Provider", UINT64),
    Field("claim_ids", "ClaimIDs", list_of(UINT64)),
)


@dataclass(frozen=True, slots=True)
class Claim:
    """Verified data that a miner stores."""

    provider: int
    """The miner."""
    client: int
    """Actor number of the client."""
    data: Cid
    """Commitment to the piece."""
    size: int
    """Padded size in bytes."""
    term_min: int
    """Shortest term in epochs."""
    term_max: int
    """Longest term in epochs."""
    term_start: int
    """Epoch at which the term began."""
    sector: int
    """Number of the sector."""


CLAIM: Final = Struct(
    Claim,
    Field("provider", "Provider", UINT64),
    Field("client", "Client", UINT64),
    Field("data", "Data", CID),
    Field("size", "Size", UINT64),
    Field("term_min", "TermMin", INT64),
    Field("term_max", "TermMax", INT64),
    Field("term_start", "TermStart", INT64),
    Field("sector", "Sector", UINT64),
)


@dataclass(frozen=True, slots=True)
class GetClaimsReturn:
    """The claims found."""

    batch_info: BatchReturn
    """How the lookups fared."""
    claims: tuple[Claim, ...]
    """Claims."""


GET_CLAIMS_RETURN: Final = Struct(
    GetClaimsReturn,
    Field("batch_info", "BatchInfo", BATCH_RETURN.kind()),
    Field("claims", "Claims", list_of(CLAIM.kind())),
)


@dataclass(frozen=True, slots=True)
class ClaimTerm:
    """A claim's new longest term."""

    provider: int
    """The miner."""
    claim_id: int
    """Number of the claim."""
    term_max: int
    """Longest term in epochs."""


CLAIM_TERM: Final = Struct(
    ClaimTerm,
    Field("provider", "Provider", UINT64),
    Field("claim_id", "ClaimId", UINT64),
    Field("term_max", "TermMax", INT64),
)


@dataclass(frozen=True, slots=True)
class ExtendClaimTermsParams:
    """Lengthen claims."""

    terms: tuple[ClaimTerm, ...]
    """One entry for each claim."""


EXTEND_CLAIM_TERMS_PARAMS: Final = Struct(
    ExtendClaimTermsParams,
    Field("terms", "Terms", list_of(CLAIM_TERM.kind())),
)


@dataclass(frozen=True, slots=True)
class RemoveExpiredClaimsParams:
    """Remove expired claims."""

    provider: int
    """The miner."""
    claim_ids: tuple[int, ...]
    """Numbers of the claims."""


REMOVE_EXPIRED_CLAIMS_PARAMS: Final = Struct(
    RemoveExpiredClaimsParams,
    Field("provider", "Provider", UINT64),
    Field("claim_ids", "ClaimIDs", list_of(UINT64)),
)


@dataclass(frozen=True, slots=True)
class RemoveExpiredClaimsReturn:
    """The claims removed."""

    considered: tuple[int, ...]
    """The items looked at."""
    results: BatchReturn
    """How they fared."""


REMOVE_EXPIRED_CLAIMS_RETURN: Final = Struct(
    RemoveExpiredClaimsReturn,
    Field("considered", "Considered", list_of(UINT64)),
    Field("results", "Results", BATCH_RETURN.kind()),
)
