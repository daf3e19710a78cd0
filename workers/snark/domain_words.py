"""The roots of unity with 64-bit limbs: the path of every CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.scalars import SCALAR_MODULUS
from workers.kernels import ntt_words
from workers.kernels.field import WORD_BITS, limbs
from workers.kernels.r1cs import scale_rows
from workers.snark.arrays import silent
from workers.snark.threads import each_of
from workers.snark.witness import FROM_MONTGOMERY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.snark.arrays import Progress, Words


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
