"""Requests for allocations of verified data, which a transfer of data cap carries to the registry.

Source: go-state-types builtin/v18/verifreg/verifreg_types.go AllocationRequests; FIP-0045.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.actors.batch import BatchReturn
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.codec import Int64, Uint64, cbor_tuple

DATACAP_PER_BYTE: Final = 10**18
"""Units of the data cap token that stand for one byte."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class AllocationRequest:
    """A piece that a client wants a miner to store as verified data."""

    provider: Uint64
    """The miner."""
    data: Cid
    """Commitment to the piece."""
    size: Uint64
    """Padded size in bytes."""
    term_min: Int64
    """Shortest term in epochs."""
    term_max: Int64
    """Longest term in epochs."""
    expiration: Int64
    """Last epoch in which the allocation can be claimed."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ClaimExtensionRequest:
    """A longer term for a claim, paid with data cap."""

    provider: Uint64
    """The miner."""
    claim: Uint64
    """Number of the claim."""
    term_max: Int64
    """Longest term in epochs."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class AllocationRequests:
    """What a transfer pays for."""

    allocations: tuple[AllocationRequest, ...]
    """New allocations."""
    extensions: tuple[ClaimExtensionRequest, ...]
    """Longer terms."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class AllocationsResponse:
    """What became of the requests."""

    allocation_results: BatchReturn
    """How the allocations fared."""
    extension_results: BatchReturn
    """How the extensions fared."""
    new_allocations: tuple[Uint64, ...]
    """Numbers of the allocations made."""
