"""Power: what sectors count for, and smoothed estimates of the network's power and reward.

Source: go-state-types builtin/v18/miner/policy.go QualityForWeight, QAPowerForWeight, QAPowerMax;
builtin/v18/util/smoothing/alpha_beta_filter.go; builtin-actors
runtime/src/builtin/reward/smooth/alpha_beta_filter.rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.fixed_point import PRECISION, VELOCITY_EPSILON, natural_log

QUALITY_BASE_MULTIPLIER: Final = 10
"""Weight of space without verified data."""
VERIFIED_DEAL_WEIGHT_MULTIPLIER: Final = 100
"""Weight of space with verified data: tenfold."""
SECTOR_QUALITY_PRECISION: Final = 20
"""Fractional bits of a sector's quality."""


def sector_quality(size: int, *, duration: int, verified_weight: int) -> int:
    """Return a sector's quality in 2^-20: 1 for committed capacity, 10 if full of verified data.

    `size` is in bytes, `duration` in epochs, `verified_weight` in byte-epochs of verified data.
    """
    space_time = size * duration
    weighted = (space_time - verified_weight) * QUALITY_BASE_MULTIPLIER
    weighted += verified_weight * VERIFIED_DEAL_WEIGHT_MULTIPLIER
    return (weighted << SECTOR_QUALITY_PRECISION) // space_time // QUALITY_BASE_MULTIPLIER


def quality_power(size: int, *, duration: int, verified_weight: int = 0) -> int:
    """Return a sector's quality-adjusted power, bytes.

    `duration` is from its power base epoch to its expiration, epochs.
    """
    quality = sector_quality(size, duration=duration, verified_weight=verified_weight)
    return size * quality >> SECTOR_QUALITY_PRECISION


def quality_power_max(size: int) -> int:
    """Return the highest power that a sector of `size` bytes can have: full of verified data."""
    return size * VERIFIED_DEAL_WEIGHT_MULTIPLIER // QUALITY_BASE_MULTIPLIER


@dataclass(frozen=True, slots=True)
class Estimate:
    """A smoothed value with its trend, as integers of 2^-128 (FilterEstimate)."""

    position: int
    """The value."""
    velocity: int = 0
    """Its change per epoch."""

    @property
    def value(self) -> int:
        """Return the value as a whole number, rounded down."""
        return self.position >> PRECISION


def cumulative_ratio(epochs: int, *, numerator: Estimate, denominator: Estimate) -> int:
    """Return the sum over the coming `epochs` of numerator / denominator, both on their trends, in 2^-128.

    The integral over t from 0 to T of (p1 + v1 t) / (p2 + v2 t), in closed form:

        (v2 p1 (ln(p2 + v2 T) - ln p2) + v1 (p2 (ln p2 - ln(p2 + v2 T)) + v2 T)) / v2^2

    Where v2 is next to nothing that would divide by 0, and the denominator counts as constant.

    Source: alpha_beta_filter.go ExtrapolatedCumSumOfRatio with relative start 0.
    """
    delta = epochs << PRECISION
    pos_1, vel_1 = numerator.position, numerator.velocity
    pos_2, vel_2 = denominator.position, denominator.velocity
    squared = vel_2 * vel_2 >> PRECISION
    if squared <= VELOCITY_EPSILON:
        # The denominator hardly changes, and below its trend squared is divided by: take it as constant, and
        # the numerator as it is in the middle of the time.
        return (pos_1 + (vel_1 * (delta >> 1) >> PRECISION)) * delta // pos_2
    log_now = natural_log(pos_2)
    log_then = natural_log(pos_2 + (delta * vel_2 >> PRECISION))
    first = vel_2 * (pos_1 * (log_then - log_now)) >> PRECISION
    second = vel_1 * (pos_2 * (log_now - log_then) + vel_2 * delta) >> PRECISION
    return (first + second) // squared
