"""Smoothed estimates that the reward and power actors hand on.

Each epoch the filter predicts value + trend, and corrects both by parts of the prediction's error; pledge and
fees follow the smoothed values, so that no single epoch moves them.

Source: go-state-types builtin/v18/util/smoothing/alpha_beta_filter.go.
"""

from __future__ import annotations

from dataclasses import dataclass

from poolsite.filecoin.codec import TokenAmount, cbor_tuple


@cbor_tuple
@dataclass(frozen=True, slots=True)
class FilterEstimate:
    """State of an alpha-beta filter: a value and its trend, as integers of 2^-128."""

    position_estimate: TokenAmount
    """The value."""
    velocity_estimate: TokenAmount
    """Its change per epoch."""
