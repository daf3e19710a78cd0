"""Fixed point numbers with 128 bits behind the point, as reward and power estimates are kept.

Source: go-state-types builtin/v18/util/math (ln.go, polyval.go), util/smoothing/alpha_beta_filter.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

PRECISION: Final = 128
"""Bits behind the point."""
ONE: Final = 1 << PRECISION
"""1.0 in Q.128."""
LN_2: Final = 235865763225513294137944142764154484399
"""Natural logarithm of 2 in Q.128."""
VELOCITY_EPSILON: Final = 302231454903657293676544
"""Squares of velocities up to this (2^-50) count as no change."""

_LN_NUM: Final = (
    261417938209272870992496419296200268025,
    7266615505142943436908456158054846846897,
    32458783941900493142649393804518050491988,
    17078670566130897220338060387082146864806,
    -35150353308172866634071793531642638290419,
    -20351202052858059355702509232125230498980,
    -1563932590352680681114104005183375350999,
)
"""Numerator of the quotient of polynomials that stands for ln on 1 to 2: Q.128, highest power first."""
_LN_DEN: Final = (
    49928077726659937662124949977867279384,
    2508163877009111928787629628566491583994,
    21757751789594546643737445330202599887121,
    53400635271583923415775576342898617051826,
    41248834748603606604000911015235164348839,
    9015227820322455780436733526367238305537,
    340282366920938463463374607431768211456,
)
"""Its denominator, likewise."""


def polynomial(coefficients: Sequence[int], x: int, *, precision: int = PRECISION) -> int:
    """Return the value in 2^-precision by Horner's scheme, highest power first, each product rounded down.

    Down for negative ones too, as the shift does in Go: rounding towards 0 would give other winners.
    """
    result = coefficients[0]
    for coefficient in coefficients[1:]:
        result = (result * x >> precision) + coefficient
    return result


def natural_log(z: int) -> int:
    """Return ln(z) of a positive number in Q.128.

    z is x 2^k with x in 1 to 2, so that ln(z) = k ln 2 + ln(x); the approximation holds for that x alone.
    Source: ln.go Ln.
    """
    power = z.bit_length() - 1 - PRECISION
    x = z >> power if power > 0 else z << -power
    return power * LN_2 + (polynomial(_LN_NUM, x) << PRECISION) // polynomial(_LN_DEN, x)
