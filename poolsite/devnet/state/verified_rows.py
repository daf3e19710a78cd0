"""The rows of verified data: data cap, allocations and claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.devnet.state.records import Big  # row codecs read the annotations
from poolsite.filecoin.cids import Cid  # row codecs read the annotations

VERIFIERS: Final = "verifiers"
"""Actor id to the `DataCap` in bytes that it may hand out."""
DATACAPS: Final = "datacaps"
"""Actor id to the `DataCap` that it has, in units of the token."""
REMOVALS: Final = "datacapremovals"
"""(Verifier's id, client's id) to the `Count` of the verifier's requests to take data cap."""


def allowances_of(owner: int) -> str:
    """Table of what others may spend of somebody's data cap: operator's id to `DataCap`."""
    return f"allowances/{owner}"


def allocations_of(client: int) -> str:
    """Table of a client's allocations of verified data, by number."""
    return f"allocations/{client}"


def data_claims_of(provider: int) -> str:
    """Table of a miner's claims on verified data, by number."""
    return f"dataclaims/{provider}"


@dataclass(frozen=True, slots=True)
class VerifregState:
    """The verified registry."""

    next_allocation: int
    """Number of the next allocation."""


@dataclass(frozen=True, slots=True)
class DataCap:
    """An amount of data cap."""

    amount: Big


@dataclass(frozen=True, slots=True)
class Count:
    """How often something happened."""

    number: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """Data cap that a client set aside for a piece at a miner."""

    client: int
    provider: int
    data: Cid
    """Commitment to the piece."""
    size: int
    """Padded bytes."""
    term_min: int
    term_max: int
    """Bounds of the sector's life, epochs."""
    expiration: int
    """Last epoch in which it can be claimed."""


@dataclass(frozen=True, slots=True)
class DataClaim:
    """Verified data that a miner stores."""

    client: int
    data: Cid
    size: int
    term_min: int
    term_max: int
    term_start: int
    """Epoch of the claim."""
    sector: int
