"""The rows of the power and reward actors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.devnet.state.records import Big  # row codecs read the annotations

CLAIMS: Final = "claims"
"""Miner's id to `Claim`."""


@dataclass(frozen=True, slots=True)
class Smoothed:
    """A smoothed estimate with its velocity, both Q.128."""

    position: Big
    velocity: Big


@dataclass(frozen=True, slots=True)
class PowerState:
    """The power actor."""

    miner_count: int
    """Miners that were ever created."""
    pledge: Big
    """Sum of all initial pledges and pre-commit deposits, attoFIL."""
    smoothed: Smoothed
    """Smoothed quality-adjusted power, never below the network's floor."""


@dataclass(frozen=True, slots=True)
class RewardState:
    """The reward actor."""

    epoch_reward: Big
    """attoFIL that one epoch mints at most."""
    smoothed: Smoothed
    """Smoothed reward per epoch."""
    baseline: Big
    """Baseline power in bytes."""
    paid: Big
    """Sum of all block rewards so far."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A miner's power."""

    raw: Big
    """Bytes."""
    quality: Big
    """Quality-adjusted bytes."""
