"""The roots of unity on a machine with lanes: the tables and passes of `workers.kernels.ntt_lanes`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.scalars import SCALAR_MODULUS
from workers.kernels import ntt_lanes
from workers.kernels.field import LANE_BITS, limbs
from workers.kernels.ifma import LANES
from workers.kernels.scalar_lanes import known_factors
from workers.snark.arrays import silent
from workers.snark.threads import each_of

if TYPE_CHECKING:
    from workers.snark.arrays import Integers, Progress, Words

LEAST_BITS, MOST_BITS = 6, 2 * ntt_lanes.MOST_LEVELS
"""Sizes whose columns and lines fill the lanes, and their scratches."""
TASKS = 32
"""Tasks of a pass: each makes its scratch anew, so they are not many."""
_TO_LANES = 1 << LANE_BITS * 5 - 256
"""2^260 / 2^256: a product in lanes of two forms of words is so many times too small."""
_FROM_WORDS = pow(1 << 256, -1, SCALAR_MODULUS)


class LaneDomain:
    """The 2^bits-th roots of unity as n1 · n2 rows: columns of n1 values, lines of n2."""

    def __init__(self, bits: int, root: int) -> None:
        self.size, self.root = 1 << bits, root
        self.inverse_root = pow(root, -1, SCALAR_MODULUS)
        self.inverse_size = pow(self.size, -1, SCALAR_MODULUS)
        self.columns, self.lines = _reversed(bits - bits // 2), _reversed(bits // 2)
        """Places in a column and in a line, in bit-reversed order."""
        self.n1, self.n2 = len(self.columns), len(self.lines)

    @cached_property
    def _factors(self) -> Words:
        return self._bit_reversed_powers(self.root)

    @cached_property
    def _inverse_factors(self) -> Words:
        return self._bit_reversed_powers(self.inverse_root)

    def coefficients(self, values: Words) -> Words:
        """Return the polynomial with these values (Montgomery), which are overwritten, in order."""
        out = np.empty_like(values)
        for _ in chain(self._split_columns(values, 1, 1), self._split_lines(values, 1, 1, out, 1)):
            pass
        return out

    def quotient(
        self, rows: Sequence[Words], *, coset: int, threads: int = 1, progress: Progress = silent
    ) -> Words:
        """Return the canonical coefficients of (a · b - c) / (x^size - 1), divided over a coset, in order."""
        a, b, c = rows
        inverse_coset = pow(coset, -1, SCALAR_MODULUS)
        steps = chain(
            self._onto_coset(a, coset, _TO_LANES, threads),
            self._onto_coset(b, coset, 1, threads),
            self._onto_coset(c, coset, 1, threads),
            self._divided(a, b, c, coset, threads),
            self._split_lines(a, inverse_coset, _FROM_WORDS, b, threads),
        )
        total = 4 * (len(self._tasks(self.n2)) + len(self._tasks(self.n1)))
        for done, _ in enumerate(steps, 1):
            progress(done, total)
        return b

    def _split_columns(self, rows: Words, coset: int, threads: int) -> Iterator[None]:
        """Run the first pass to coefficients, coefficient k times coset^k but for the line's part."""
        kernel = partial(ntt_lanes.columns_pass, rows)
        bases = _slots(self.inverse_root, self.n2, coset)
        rest = (self.columns, self._inverse_factors, bases, _pair(self.inverse_size))
        return self._each(kernel, rest, self.n2, threads)

    def _split_lines(self, rows: Words, coset: int, scale: int, out: Words, threads: int) -> Iterator[None]:
        """Run the second pass."""
        is_plain = coset == scale == 1
        scales = _scales(pow(coset, self.n1, SCALAR_MODULUS), 0 if is_plain else self.n2, scale)
        kernel, rest = partial(ntt_lanes.lines_pass, rows), (self.lines, self._inverse_factors, scales, out)
        return self._each(kernel, rest, self.n1, threads)

    def _onto_coset(self, rows: Words, coset: int, scale: int, threads: int) -> Iterator[None]:
        """From values to `scale` times the values over a coset, but for the last pass."""
        bases = _slots(self.root, self.n1, 1)
        scales = _scales(pow(coset, self.n1, SCALAR_MODULUS), self.n2, scale)
        rest = (self.lines, self._inverse_factors, scales, self._factors, bases, _pair(1))
        kernel = partial(ntt_lanes.coset_pass, rows)
        lines = self._each(kernel, rest, self.n1, threads)
        return chain(self._split_columns(rows, coset, threads), lines)

    def _divided(self, a: Words, b: Words, c: Words, coset: int, threads: int) -> Iterator[None]:
        """Run the last pass of all three, the quotient, and the first pass back."""
        vanishing = pow(pow(coset, self.size, SCALAR_MODULUS) - 1, -1, SCALAR_MODULUS)
        bases = _slots(self.inverse_root, self.n2, pow(coset, -1, SCALAR_MODULUS))
        divisor, first = known_factors([vanishing]), _pair(self.inverse_size)
        rest = (self.columns, self._factors, divisor, self._inverse_factors, bases, first)
        return self._each(partial(ntt_lanes.quotient_pass, (a, b, c)), rest, self.n2, threads)

    def _each(
        self, kernel: Callable[..., None], rest: tuple[Words | Integers, ...], count: int, threads: int
    ) -> Iterator[None]:
        """Yield after each task: some groups of eight of `count` columns or lines."""
        tasks = self._tasks(count)

        def work(first: int) -> None:
            kernel(np.array([first, min(first + tasks.step, tasks.stop)], np.int64), *rest)

        return each_of(work, tasks, threads=threads)

    def _tasks(self, count: int) -> range:
        groups = count // LANES
        return range(0, groups, max(1, groups // TASKS))

    def _bit_reversed_powers(self, root: int) -> Words:
        """Return the first half of a column's roots in bit-reversed order; a line's are the first of them."""
        powers = _powers(1, pow(root, self.n2, SCALAR_MODULUS), self.n1 // 2)
        return known_factors([powers[place] for place in _reversed(len(self.columns).bit_length() - 2)])


@lru_cache(maxsize=8)
def _scales(factor: int, count: int, first: int) -> Words:
    """Return first · factor^i for each value of a line, as known factors."""
    return known_factors(_powers(first, factor, count)[:count])


@lru_cache(maxsize=8)
def _slots(root: int, count: int, first: int) -> Words:
    """Return first · root^i for each of so many columns or lines, eight to a row."""
    elements = limbs(_powers(first, root, count), bits=LANE_BITS)
    return np.ascontiguousarray(elements.reshape(-1, LANES, 5).swapaxes(1, 2)).reshape(-1, 5 * LANES)


def _powers(first: int, factor: int, count: int) -> list[int]:
    out = [first]
    while len(out) < count:
        out.append(out[-1] * factor % SCALAR_MODULUS)
    return out


def _pair(value: int) -> Words:
    """Return a factor and 1."""
    return limbs([value, 1], bits=LANE_BITS)


def _reversed(bits: int) -> Integers:
    """Return the numbers below 2^bits with their bits reversed."""
    out = np.zeros(1, np.int64)
    for _ in range(bits):
        out = np.concatenate([2 * out, 2 * out + 1])
    return out
