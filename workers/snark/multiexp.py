"""Sums of many multiples of points (multi-scalar multiplication), and many multiples of one point.

Source: spec snark section 5.1: signed windows, buckets summed by rounds of independent affine additions.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.kernels.buckets import pair_up, signed_digits, sort_into_buckets
from workers.snark.arrays import silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from workers.snark.arrays import Codes, Integers, Progress, Words
    from workers.snark.points import Group

SCALAR_BITS = 255
SMALLEST_WINDOW, LARGEST_WINDOW = 4, 16
TABLE_BITS = 8
"""Window of the multiples of one point."""
CHUNK_POINTS = 1 << 22
"""Points that are summed at a time: their digits and buckets take 0.3 GB, and 0.4 GB for each thread."""
MULTIPLES_CHUNK = 1 << 15
"""Multiples of one point that are made at a time."""


def multiexp(
    group: Group,
    points: Words,
    scalars: Words,
    *,
    threads: int = 1,
    progress: Progress = silent,
) -> Words:
    """Return Σ scalar · point as one affine row.

    points: u64[n, words]; scalars: u64[n, 4], canonical; zeros and ones cost nothing and an addition.
    `progress` is called with the windows done and their number; what it raises stops the work.
    """
    rest = scalars[:, 1] | scalars[:, 2] | scalars[:, 3]
    is_small = rest == 0
    ones = np.nonzero(is_small & (scalars[:, 0] == 1))[0].astype(np.uint32)
    others = np.nonzero(~(is_small & (scalars[:, 0] <= 1)))[0].astype(np.uint32)
    chunks = [others[at : at + CHUNK_POINTS] for at in range(0, len(others), CHUNK_POINTS)]
    windows = [window_count(len(chunk)) for chunk in chunks]
    parts = np.zeros((len(chunks) + 1, group.words), np.uint64)
    total = sum(windows)
    for place, chunk in enumerate(chunks):
        parts[place] = _pippenger(
            group,
            points,
            scalars,
            chunk,
            threads=threads,
            progress=partial(_progress_after, sum(windows[:place]), total, progress),
        )
    if len(ones):
        parts[-1] = _sum(group, points, ones)
    return _sum(group, parts, np.arange(len(parts), dtype=np.uint32))


def _progress_after(before: int, total: int, progress: Progress, done: int, _: int) -> None:
    """Report the windows of a chunk as part of all."""
    progress(before + done, total)


def _sum(group: Group, points: Words, chosen: Codes) -> Words:
    """Return the sum of some of the points."""
    starts, lengths = np.zeros(1, np.int64), np.array([len(chosen)], np.int64)
    total: Words = bucket_sums(group, points, starts, lengths, chosen)[0]
    return total


def window_bits(count: int) -> int:
    """Return the width of a window for so many points."""
    return max(SMALLEST_WINDOW, min(LARGEST_WINDOW, count.bit_length() - 4))


def window_count(count: int) -> int:
    return (SCALAR_BITS + window_bits(count)) // window_bits(count)


def _pippenger(
    group: Group,
    points: Words,
    scalars: Words,
    chosen: Codes,
    *,
    threads: int,
    progress: Progress,
) -> Words:
    bits, windows = window_bits(len(chosen)), window_count(len(chosen))
    digits = np.zeros((windows, len(chosen)), np.int32)
    signed_digits(scalars, chosen, bits, digits)
    totals = np.zeros((windows, 3, group.words // 2), np.uint64)

    def window_sum(window: int) -> None:
        _window(group, points, digits[window], chosen, totals[window], 1 << bits - 1)

    for done, _ in enumerate(each_of(window_sum, range(windows), threads=threads), 1):
        progress(done, windows)
    out = np.zeros(group.words, np.uint64)
    group.join_windows(totals, bits, out)
    return out


def _window(
    group: Group,
    points: Words,
    digits: np.ndarray[Any, np.dtype[np.int32]],
    chosen: Codes,
    total: Words,
    buckets: int,
) -> None:
    """Sum one window's buckets, each times its digit."""
    starts, lengths = np.zeros(buckets, np.int64), np.zeros(buckets, np.int64)
    order = np.zeros(len(digits), np.uint32)
    used = sort_into_buckets(digits, chosen, starts, lengths, order)
    summed = bucket_sums(group, points, starts, lengths, order[:used])
    rows = np.where(lengths > 0, starts, -1)
    group.sum_buckets(summed, rows, total)


def bucket_sums(
    group: Group,
    points: Words,
    starts: Integers,
    lengths: Integers,
    order: Codes,
) -> Words:
    """Return the sum of each bucket's points: pairs are added until each bucket has one.

    starts, lengths: overwritten; then `starts` is the row of each sum, `lengths` 1, or 0 without points.
    order:           the points' rows, bucket after bucket; the highest bit negates.
    """
    pairs = np.zeros((3, len(order) // 2 + 1), np.uint32)
    singles = np.zeros((2, len(starts) + 1), np.uint32)
    source = points
    while True:
        paired, single, rows = pair_up(starts, lengths, order, pairs, singles)
        target = np.empty((max(rows, 1), group.words), np.uint64)
        group.add_pairs(source, pairs[0, :paired], pairs[1, :paired], target, pairs[2, :paired])
        group.copy_points(source, singles[0, :single], target, singles[1, :single])
        source, order = target, np.arange(rows, dtype=np.uint32)
        if int(lengths.max(initial=0)) <= 1:
            return source


def multiples(
    group: Group,
    base: Words,
    scalars: Words,
    *,
    threads: int = 1,
    progress: Progress = silent,
) -> Words:
    """Return scalar · base for each scalar: u64[n, words] from canonical u64[n, 4].

    `progress` is called with the points done and their number; what it raises stops the work.
    """
    table = _table(group, base)
    out = np.empty((len(scalars), group.words), np.uint64)

    def work(first: int) -> None:
        out[first : first + MULTIPLES_CHUNK] = _multiples(
            group, table, scalars[first : first + MULTIPLES_CHUNK]
        )

    starts = range(0, len(scalars), MULTIPLES_CHUNK)
    for done, _ in enumerate(each_of(work, starts, threads=threads), 1):
        progress(min(done * MULTIPLES_CHUNK, len(scalars)), len(scalars))
    return out


def each_of(work: Callable[[int], None], items: Iterable[int], *, threads: int) -> Iterator[None]:
    """Yield after each item that is done, in order; what is left is dropped once the caller stops."""
    pool = ThreadPoolExecutor(threads)
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)


def _multiples(group: Group, table: Words, scalars: Words) -> Words:
    digits = scalars.astype("<u8").view(np.uint8).reshape(len(scalars), 4 * 64 // TABLE_BITS)
    size = 1 << TABLE_BITS
    rows = np.zeros((len(table) + len(scalars), group.words), np.uint64)
    rows[: len(table)] = table
    own = np.arange(len(table), len(rows), dtype=np.uint32)
    for window in range(digits.shape[1]):
        entries = (digits[:, window].astype(np.uint32) + np.uint32(window * size)).astype(np.uint32)
        group.add_pairs(rows, own, entries, rows, own)
    return rows[len(table) :]


def _table(group: Group, base: Words) -> Words:
    """Return 0 to 255 times 2^(8 w) · base for each window w."""
    windows, size = 256 // TABLE_BITS, 1 << TABLE_BITS
    table = np.zeros((windows * size, group.words), np.uint64)
    table[1] = base
    first = np.arange(windows, dtype=np.uint32) * np.uint32(size)
    # powers of two first: the last of a window doubled is the first of the next
    last = np.zeros((1, group.words), np.uint64)
    zero = np.zeros(1, np.uint32)
    for window in range(windows):
        at = int(first[window])
        for place in range(1, TABLE_BITS):
            half, whole = (np.array([at + (1 << place + shift)], np.uint32) for shift in (-1, 0))
            group.add_pairs(table, half, half, table, whole)
        if window + 1 < windows:
            top = np.array([at + size // 2], np.uint32)
            group.add_pairs(table, top, top, last, zero)
            table[at + size + 1] = last[0]
    for place in range(1, TABLE_BITS):
        for rest in range(1, 1 << place):
            high, low = first + np.uint32(1 << place), first + np.uint32(rest)
            group.add_pairs(table, high, low, table, high + np.uint32(rest))
    return table
