"""Luck: how many wins a miner had against what its share of the power let expect.

Wins are Poisson distributed around the sum of the rounds' expected wins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Luck:
    """Wins of a span with the band that they are expected in."""

    wins: int
    expected: float
    half: tuple[int, int]
    """Half of all such spans have so many wins."""
    most: tuple[int, int]
    """Nine of ten have."""
    tail: float
    """Probability of no more wins than these."""

    @property
    def share(self) -> float | None:
        """Return wins per expected win; None where nothing was to be expected."""
        return self.wins / self.expected if self.expected > 0 else None


def luck_of(wins: int, expected: float) -> Luck:
    """Return the luck of a span."""
    return Luck(
        wins=wins,
        expected=expected,
        half=(quantile(expected, 0.25), quantile(expected, 0.75)),
        most=(quantile(expected, 0.05), quantile(expected, 0.95)),
        tail=cumulative(wins, expected),
    )


def epochs_to_win(expected: float) -> float | None:
    """Return the mean number of epochs to the next win at so many expected wins an epoch; None for none."""
    return -1 / math.expm1(-expected) if expected > 0 else None


def term(count: int, expected: float) -> float:
    """Return the probability of exactly so many wins; by logarithms, since the factors overflow."""
    if expected <= 0:
        return 1.0 if count == 0 else 0.0
    return math.exp(count * math.log(expected) - expected - math.lgamma(count + 1))


def cumulative(count: int, expected: float) -> float:
    """Return the probability of so many wins or less."""
    return min(sum(term(one, expected) for one in range(count + 1)), 1.0)


def quantile(expected: float, share: float) -> int:
    """Return the least number of wins that `share` of all spans do not exceed."""
    total, count = term(0, expected), 0
    limit = expected + 40 * math.sqrt(expected) + 40
    while total < share and count < limit:
        count += 1
        total += term(count, expected)
    return count
