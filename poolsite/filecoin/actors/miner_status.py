"""What contracts may ask a miner of a sector: whether it is alive and where it is proven.

Source: go-state-types builtin/v18/miner/miner_types.go, abi/sector.go; FIP-0112.
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
    """Ask where a sector is."""

    sector_number: Uint64
    """Number of the sector."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GenerateSectorLocationReturn:
    """A sector's status, and what lets the miner check it later."""

    status: Uint64
    """SectorStatusCode."""
    aux_data: bytes
    """CBOR of its deadline and partition."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ValidateSectorStatusParams:
    """Ask whether a sector still has a status."""

    sector_number: Uint64
    """Number of the sector."""
    status: Uint64
    """SectorStatusCode."""
    aux_data: bytes
    """What GenerateSectorLocation gave."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class ValidateSectorStatusReturn:
    """Whether it has."""

    valid: bool
    """True if the status holds."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetNominalSectorExpirationParams:
    """Ask when a sector ends."""

    sector_number: Uint64
    """Number of the sector."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetNominalSectorExpirationReturn:
    """When it ends unless something happens."""

    expiration: Int64
    """Epoch."""
