"""Print what a card makes of pieces of a proof in numba's simulator as JSON; a process of its own.

Run: NUMBA_ENABLE_CUDASIM=1 POOLSITE_CARD=always python -m tests.unit.workers.snark.simulated_card
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

from tests.naive.field import EDGES, MODULUS
from tests.unit.workers.snark.golden_circuits import golden_secrets
from workers.kernels.field import WORD_BITS, limbs
from workers.snark import card
from workers.snark.domain import Domain
from workers.snark.multiexp import multiexp
from workers.snark.multiples import multiples
from workers.snark.points import G1, G2

SIZES = (0, 1, 3, 4)
"""Transforms, by bits."""


def quotient_twice(bits: int) -> list[str]:
    """h as the CPU makes it, as the first piece of all, and as the card does."""
    rng, size = random.Random(bits), 1 << bits
    values = [([*EDGES, *(rng.randrange(MODULUS) for _ in range(size))][:size]) for _ in range(2)]
    rows = [limbs(own, bits=WORD_BITS) for own in values]
    rows.append(limbs([a * b for a, b in zip(*values, strict=True)], bits=WORD_BITS))
    return [Domain(bits).quotient([row.copy() for row in rows]).tobytes().hex() for _ in range(2)]


def sum_twice(group: Any) -> list[str]:
    """A sum as the CPU and as the card make it: with infinity, equal and opposite points in one bucket."""
    rng, secrets = random.Random(3), golden_secrets("window")
    multiples_of = [5] * 6 + [MODULUS - 5] * 3 + [rng.randrange(MODULUS) for _ in range(12)]
    factors = [3] * 9 + [0, 1, 1] + [rng.randrange(2, 1 << 12) for _ in range(9)]
    made, factors_rows = (limbs(own, bits=WORD_BITS, montgomery=False) for own in (multiples_of, factors))
    points = multiples(group, secrets.g1 if group is G1 else secrets.g2, made)
    points[-1] = 0
    return [multiexp(group, points, factors_rows, threads=2).tobytes().hex() for _ in range(2)]


def main() -> dict[str, list[str]]:
    """Both results of each piece."""
    card.PIECE_POINTS, card.PIECE_SUMS = 2, 3  # so that sums have rounds
    twice = {f"h of 2^{bits}": quotient_twice(bits) for bits in SIZES}
    twice |= {group.name: sum_twice(group) for group in (G1, G2)}
    return twice | {"won": sorted(kind for kind, trial in card.card_work().trials.items() if trial.is_card)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()))
