"""The roots of unity over which a circuit's rows are values of polynomials.

Source: filecoin-project/bellperson src/domain.rs EvaluationDomain.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.scalars import SCALAR_MODULUS
from workers.kernels import ntt_words
from workers.kernels.cpu import has_lanes
from workers.kernels.field import WORD_BITS, limbs
from workers.kernels.r1cs import scale_rows
from workers.snark.arrays import silent
from workers.snark.card import Piece, card_work
from workers.snark.domain_lanes import LEAST_BITS, MOST_BITS, LaneDomain
from workers.snark.threads import each_of
from workers.snark.witness import FROM_MONTGOMERY

if TYPE_CHECKING:
    from workers.snark.arrays import Progress, Words
    from workers.snark.card import ProofCard


class WordDomain:
    """Tables and passes for as many roots of unity as `size`, a power of two."""

    def __init__(self, size: int, root: int) -> None:
        self.size = size
        half = max(size // 2, 1)
        self.roots = _powers(1, root, half)
        self.inverse_roots = _powers(1, pow(root, -1, SCALAR_MODULUS), half)

    def coefficients(self, values: Words) -> Words:
        """Return the polynomial with these values (Montgomery), which are overwritten, in order."""
        ntt_words.transform_split(values, self.inverse_roots)
        scale = _powers(pow(self.size, -1, SCALAR_MODULUS), 1, self.size)
        ntt_words.multiply_reversed(values, scale)
        out = np.empty_like(values)
        ntt_words.reorder_reversed(values, out)
        return out

    def quotient(
        self, rows: Sequence[Words], *, coset: int, threads: int = 1, progress: Progress = silent
    ) -> Words:
        """Return the canonical coefficients of (a · b - c) / (x^size - 1), divided over a coset, in order."""
        inverse_size = pow(self.size, -1, SCALAR_MODULUS)
        onto_coset = _powers(inverse_size, coset, self.size)

        def move(place: int) -> None:
            ntt_words.transform_split(rows[place], self.inverse_roots)
            ntt_words.multiply_reversed(rows[place], onto_coset)
            ntt_words.transform_join(rows[place], self.roots)

        for done, _ in enumerate(each_of(move, range(len(rows)), threads=threads), 1):
            progress(done, len(rows) + 1)
        a, b, c = rows
        vanishing = pow(pow(coset, self.size, SCALAR_MODULUS) - 1, -1, SCALAR_MODULUS)
        ntt_words.quotient_rows(a, b, c, limbs([vanishing], bits=WORD_BITS)[0])
        ntt_words.transform_split(a, self.inverse_roots)
        ntt_words.multiply_reversed(a, _powers(inverse_size, pow(coset, -1, SCALAR_MODULUS), self.size))
        ntt_words.reorder_reversed(a, b)
        scale_rows(b, FROM_MONTGOMERY, b)
        progress(len(rows) + 1, len(rows) + 1)
        return b


def _powers(first: int, factor: int, count: int) -> Words:
    out = np.empty((count, 4), np.uint64)
    start, step = limbs([first, factor], bits=WORD_BITS)
    ntt_words.powers(start, step, out)
    return out


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

        def by_cpu() -> Words:
            return self._path().quotient(rows, coset=GENERATOR, threads=threads, progress=progress)

        if not card_work().takes("h", self.size):
            return by_cpu()

        def by_card(card: ProofCard) -> Words:
            return card.quotient(rows, root=self.root, coset=GENERATOR)

        return card_work().made(
            Piece("h", by_card, by_cpu, is_good=lambda h: not h[-1].any(), done=lambda: progress(1, 1))
        )

    def _path(self) -> LaneDomain | WordDomain:
        return self._lanes if has_lanes() and LEAST_BITS <= self.bits <= MOST_BITS else self._words

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
