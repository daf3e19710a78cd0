"""Requests for allocations of verified data, which a transfer of data cap carries to the registry.

Source: go-state-types builtin/v18/verifreg/verifreg_types.go AllocationRequests; FIP-0045.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.batch import BATCH_RETURN, BatchReturn
from poolsite.filecoin.codec import CID, INT64, UINT64, Field, Struct, list_of

if TYPE_CHECKING:
    from poolsite.filecoin.cids import Cid

DATACAP_PER_BYTE: Final = 10**18
"""Units of the data cap token that stand for one byte."""


@dataclass(frozen=True, slots=True)
class AllocationRequest:
    """A piece that a client wants a miner to store as verified data."""

    provider: int
    """The miner."""
    data: Cid
    """Commitment to the piece."""
    size: int
    """Padded size in bytes."""
    term_min: int
    """Shortest term in epochs."""
    term_max: int
    """Longest term in epochs."""
    expiration: int
    """Last epoch in which the allocation can be claimed."""


ALLOCATION_REQUEST: Final = Struct(
    AllocationRequest,
    Field("provider", "Provider", UINT64),
    Field("data", "Data", CID),
    Field("size", "Size", UINT64),
    Field("term_min", "TermMin", INT64),
    Field("term_max", "TermMax", INT64),
    Field("expiration", "Expiration", INT64),
)


@dataclass(frozen=True, slots=True)
class ClaimExtensionRequest:
    """A longer term for a claim, paid with data cap."""

    provider: int
    """The miner."""
    claim: int
    """Number of the claim."""
    term_max: int
    """Longest term in epochs."""


CLAIM_EXTENSION_REQUEST: Final = Struct(
    ClaimExtensionRequest,
    Field("provider", "Provider", UINT64),
    Field("claim", "Claim", UINT64),
    Field("term_max", "TermMax", INT64),
)


@dataclass(frozen=True, slots=True)
class AllocationRequests:
    """What a transfer pays for."""

    allocations: tuple[AllocationRequest, ...]
    """New allocations."""
    extensions: tuple[ClaimExtensionRequest, ...]
    """Longer terms."""


ALLOCATION_REQUESTS: Final = Struct(
    AllocationRequests,
    Field("allocations", "Allocations", list_of(ALLOCATION_REQUEST.kind())),
    Field("extensions", "Extensions", list_of(CLAIM_EXTENSION_REQUEST.kind())),
)


@dataclass(frozen=True, slots=True)
class AllocationsResponse:
    """What became of the requests."""

    allocation_results: BatchReturn
    """How the allocations fared."""
    extension_results: BatchReturn
    """How the extensions fared."""
    new_allocations: tuple[int, ...]
    """Numbers of the allocations made."""


ALLOCATIONS_RESPONSE: Final = Struct(
    AllocationsResponse,
    Field("allocation_results", "AllocationResults", BATCH_RETURN.kind()),
    Field("extension_results", "ExtensionResults", BATCH_RETURN.kind()),
    Field("new_allocations", "NewAllocations", list_of(UINT64)),
)
