"""What contracts can ask a miner about a sector: whether it is alive, where it is proven, when it expires.

SectorStatusCode: 0 dead (terminated or never committed), 1 active, 2 faulty.  Source: go-state-types
builtin/v18/miner/miner_types.go, abi/sector.go; builtin-actors actors/miner/src/{types,lib}.rs; FIP-0112.
"""

from __future__ import annotations

from dataclasses import dataclass

from poolsite.filecoin.codec import (
    Int64,
    Uint64,
    cbor_transparent,
    cbor_tuple,
)


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GenerateSectorLocationParams:
    """Find a sector's deadline and partition by a full search; meant for calls off chain."""

    sector_number: Uint64
    """Number among the miner's sectors, at most 2^63 - 1."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GenerateSectorLocationReturn:
    """A sector's status, and where it is, in the form that ValidateSectorStatus takes."""

    status: Uint64
    """SectorStatusCode."""
    aux_data: bytes
    """CBOR of [deadline, partition]; [-1, -1] for a sector that is not in state."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ValidateSectorStatusParams:
    """Check cheaply, at a known place, whether a sector has a status."""

    sector_number: Uint64
    """Number among the miner's sectors, at most 2^63 - 1."""
    status: Uint64
    """SectorStatusCode that is claimed."""
    aux_data: bytes
    """From GenerateSectorLocation; the call fails with ErrNotFound if the sector is not there."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class ValidateSectorStatusReturn:
    """Whether the sector has the claimed status."""

    valid: bool
    """False where the sector is at that place with another status."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetNominalSectorExpirationParams:
    """Query the expiration of a sector that is in state, alive or terminated."""

    sector_number: Uint64
    """Number among the miner's sectors, at most 2^63 - 1; ErrNotFound if it is not in state."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetNominalSectorExpirationReturn:
    """The committed expiration; a termination or long fault may end the sector earlier."""

    expiration: Int64
    """Epoch."""
