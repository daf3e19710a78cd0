"""What contracts may ask a miner of a sector: whether it is alive and where it is proven.

Source: go-state-types builtin/v18/miner/miner_types.go, abi/sector.go; FIP-0112.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.codec import BOOL, BYTES, INT64, UINT64, Field, Struct


@dataclass(frozen=True, slots=True)
class GenerateSectorLocationParams:
    """Ask where a sector is."""

    sector_number: int
    """Number of the sector."""


GENERATE_SECTOR_LOCATION_PARAMS: Final = Struct(
    GenerateSectorLocationParams, Field("sector_number", "SectorNumber", UINT64)
)


@dataclass(frozen=True, slots=True)
class GenerateSectorLocationReturn:
    """A sector's status, and what lets the miner check it later."""

    status: int
    """SectorStatusCode."""
    aux_data: bytes
    """CBOR of its deadline and partition."""


GENERATE_SECTOR_LOCATION_RETURN: Final = Struct(
    GenerateSectorLocationReturn, Field("status", "Status", UINT64), Field("aux_data", "AuxData", BYTES)
)


@dataclass(frozen=True, slots=True)
class ValidateSectorStatusParams:
    """Ask whether a sector still has a status."""

    sector_number: int
    """Number of the sector."""
    status: int
    """SectorStatusCode."""
    aux_data: bytes
    """What GenerateSectorLocation gave."""


VALIDATE_SECTOR_STATUS_PARAMS: Final = Struct(
    ValidateSectorStatusParams,
    Field("sector_number", "SectorNumber", UINT64),
    Field("status", "Status", UINT64),
    Field("aux_data", "AuxData", BYTES),
)


@dataclass(frozen=True, slots=True)
class ValidateSectorStatusReturn:
    """Whether it has."""

    valid: bool
    """True if the status holds."""


VALIDATE_SECTOR_STATUS_RETURN: Final = Struct(
    ValidateSectorStatusReturn, Field("valid", "Valid", BOOL), bare=True
)


@dataclass(frozen=True, slots=True)
class GetNominalSectorExpirationParams:
    """Ask when a sector ends."""

    sector_number: int
    """Number of the sector."""


GET_NOMINAL_SECTOR_EXPIRATION_PARAMS: Final = Struct(
    GetNominalSectorExpirationParams, Field("sector_number", "SectorNumber", UINT64), bare=True
)


@dataclass(frozen=True, slots=True)
class GetNominalSectorExpirationReturn:
    """When it ends unless something happens."""

    expiration: int
    """Epoch."""


GET_NOMINAL_SECTOR_EXPIRATION_RETURN: Final = Struct(
    GetNominalSectorExpirationReturn, Field("expiration", "Expiration", INT64), bare=True
)
