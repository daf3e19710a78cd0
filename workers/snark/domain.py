"""The roots of unity over which a circuit's rows are values of polynomials.

Source: spec snark section 2 and 2.3; filecoin-project/bellperson src/domain.rs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.scalars import SCALAR_MODULUS
from workers.kernels import ntt_words
from workers.kernels.field import WORD_BITS, limbs
from workers.snark.arrays import silent
from workers.snark.multiexp import each_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.snark.arrays import Progress, Words

GENERATOR = 7
"""Generates the multiplicative group; the coset over which a · b - c is divided."""
TWO_ADICITY = 32
"""2^32 divides r - 1."""


class Domain:
    """The 2^bits-th roots of unity."""

    def __init__(self, bits: int) -> None:
        self.bits, self.size = bits, 1 << bits
        largest = pow(GENERATOR, SCALAR_MODULUS - 1 >> TWO_ADICITY, SCALAR_MODULUS)
        self.root = pow(largest, 1 << TWO_ADICITY - bits, SCALAR_MODULUS)
        half = max(self.size // 2, 1)
        self.roots = _powers(1, self.root, half)
        self.inverse_roots = _powers(1, pow(self.root, -1, SCALAR_MODULUS), half)

    def coefficients(self, values: Words) -> Words:
        """Return the polynomial with these values (u64[size, 4], Montgomery), its coefficients in order."""
        ntt_words.transform_split(values, self.inverse_roots)
        scale = _powers(pow(self.size, -1, SCALAR_MODULUS), 1, self.size)
        ntt_words.multiply_reversed(values, scale)
        out = np.empty_like(values)
        ntt_words.reorder_reversed(values, out)
        return out

    def quotient(self, rows: Sequence[Words], *, threads: int = 1, progress: Progress = silent) -> Words:
        """Return the coefficients of h = (a · b - c) / (x^size - 1): u64[size, 4], Montgomery, in order.

        `rows` are the values of a, b and c, u64[size, 4] each; they are overwritten.  The last result is 0.
        """
        inverse_size = pow(self.size, -1, SCALAR_MODULUS)
        onto_coset = _powers(inverse_size, GENERATOR, self.size)

        def move(place: int) -> None:
            ntt_words.transform_split(rows[place], self.inverse_roots)
            ntt_words.multiply_reversed(rows[place], onto_coset)
            ntt_words.transform_join(rows[place], self.roots)

        for done, _ in enumerate(each_of(move, range(len(rows)), threads=threads), 1):
            progress(done, len(rows) + 1)
        a, b, c = rows
        vanishing = pow(pow(GENERATOR, self.size, SCALAR_MODULUS) - 1, -1, SCALAR_MODULUS)
        ntt_words.quotient_rows(a, b, c, limbs([vanishing], bits=WORD_BITS)[0])
        ntt_words.transform_split(a, self.inverse_roots)
        ntt_words.multiply_reversed(a, _powers(inverse_size, pow(GENERATOR, -1, SCALAR_MODULUS), self.size))
        ntt_words.reorder_reversed(a, b)
        return b


@lru_cache(maxsize=4)
def domain_for(rows: int) -> Domain:
    """Return the smallest domain that holds so many rows."""
    return Domain((rows - 1).bit_length())


def domain_size(rows: int) -> int:
    """Return the size of the smallest domain that holds so many rows, without making its tables."""
    return 1 << (rows - 1).bit_length()


def _powers(first: int, factor: int, count: int) -> Words:
    out = np.empty((count, 4), np.uint64)
    start, step = limbs([first, factor], bits=WORD_BITS)
    ntt_words.powers(start, step, out)
    return out
