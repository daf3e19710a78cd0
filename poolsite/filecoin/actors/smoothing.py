"""Smoothed estimates that the reward and power actors pass on.

Source: go-state-types builtin/v18/util/smoothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.codec import AMOUNT, Field, Struct


@dataclass(frozen=True, slots=True)
class FilterEstimate:
    """An estimate with its trend, both fixed point with 128 bits behind the point."""

    position_estimate: int
    """Q.128 estimate of the value."""
    velocity_estimate: int
    """Q.128 estimate of its change per epoch."""


FILTER_ESTIMATE: Final = Struct(
    FilterEstimate,
    Field("position_estimate", "PositionEstimate", AMOUNT),
    Field("velocity_estimate", "VelocityEstimate", AMOUNT),
)
