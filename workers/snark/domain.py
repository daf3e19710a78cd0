"""The roots of unity over which a circuit's rows are values of polynomials.

Source: filecoin-project/bellperson src/domain.rs EvaluationDomain.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from poolsite.filecoin.scalars import SCALAR_MODULUS
from workers.kernels.cpu import has_ifma
from workers.snark.arrays import silent
from workers.snark.domain_lanes import LEAST_BITS, MOST_BITS, LaneDomain
from workers.snark.domain_words import WordDomain

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

    def coefficients(self, values: Words) -> Words:
        """Return the polynomial with these values (u64[size, 4], Montgomery), its coefficients in order.

        The values are overwritten.
        """
        return self._path().coefficients(values)

    def quotient(self, rows: Sequence[Words], *, threads: int = 1, progress: Progress = silent) -> Words:
        """Return the coefficients of h = (a · b - c) / (x^size - 1): u64[size, 4], canonical, in order.

        `rows` are the values of a, b and c, u64[size, 4] each, Montgomery; they are overwritten.  The last
        result is 0.
        """
        return self._path().quotient(rows, coset=GENERATOR, threads=threads, progress=progress)

    def _path(self) -> LaneDomain | WordDomain:
        return self._lanes if has_ifma() and LEAST_BITS <= self.bits <= MOST_BITS else self._words

    @cached_property
    def _lanes(self) -> LaneDomain:
        return LaneDomain(self.bits, self.root)

    @cached_property
    def _words(self) -> WordDomain:
        return WordDomain(self.size, self.root)


@lru_cache(maxsize=4)
def domain_for(rows: int) -> Domain:
    """Return the smallest domain that holds so many rows."""
    return Domain((rows - 1).bit_length())


def domain_size(rows: int) -> int:
    """Return the size of the smallest domain that holds so many rows, without making its tables."""
    return 1 << (rows - 1).bit_length()
