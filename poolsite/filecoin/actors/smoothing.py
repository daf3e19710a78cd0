"""Smoothed estimates that the reward and power actors pass on.

Source: go-state-types builtin/v18/util/smoothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from poolsite.filecoin.codec import TokenAmount, cbor_tuple


@cbor_tuple
@dataclass(frozen=True, slots=True)
class FilterEstimate:
    """An estimate with its trend, both fixed point with 128 bits behind the point."""

    position_estimate: TokenAmount
    """Q.128 estimate of the value."""
    velocity_estimate: TokenAmount
    """Q.128 estimate of its change per epoch."""
