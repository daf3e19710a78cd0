"""Requests for allocations of verified data, which a transfer of data cap carries to the verified registry.

Source: go-state-types builtin/v18/verifreg/verifreg_types.go AllocationRequests; builtin-actors
actors/verifreg/src/lib.rs validate_new_allocation, validate_claim_extension; FIP-0045.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.actors.batch import BatchReturn
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.codec import Int64, Uint64, cbor_tuple

DATACAP_PER_BYTE: Final = 10**18
"""Units of the data cap token that stand for one byte: it has 18 decimals, as FIL has."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class AllocationRequest:
    """A piece that a client wants a miner to store as verified data; the client is who sends the data cap."""

    provider: Uint64
    """Actor ID of the miner that may claim it."""
    data: Cid
    """CommP of the piece."""
    size: Uint64
    """Padded size in bytes, at least 1 MiB; so much data cap is taken."""
    term_min: Int64
    """Shortest time from claim to sector expiration, epochs; at least 180 days."""
    term_max: Int64
    """Longest time from claim to sector expiration, epochs; at most 5 years."""
    expiration: Int64
    """Last epoch in which it can be claimed, at most 60 days ahead; afterwards the data cap can be taken
    back."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ClaimExtensionRequest:
    """A longer term for an unexpired claim, paid with data cap of the claim's size; any client may pay."""

    provider: Uint64
    """Actor ID of the miner that holds the claim."""
    claim: Uint64
    """Claim ID."""
    term_max: Int64
    """Epochs since the claim's start: more than the present term, and ending at most 5 years from now."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class AllocationRequests:
    """The operator data of a transfer of data cap to the verified registry.

    The amount transferred must be exactly the sum of all sizes; all requests succeed or the transfer fails.
    """

    allocations: tuple[AllocationRequest, ...]
    """New ones, to be claimed by miners."""
    extensions: tuple[ClaimExtensionRequest, ...]
    """Claims that are to last longer."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class AllocationsResponse:
    """The registry's answer to such a transfer."""

    allocation_results: BatchReturn
    """By index in `allocations`; all succeed, as one bad request fails the transfer."""
    extension_results: BatchReturn
    """By index in `extensions`; all succeed as well."""
    new_allocations: tuple[Uint64, ...]
    """Allocation IDs, in the order of the requests."""
