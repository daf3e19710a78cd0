"""Many multiples of one point, by a table of its windows."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

from workers.kernels.buckets import signed_digits
from workers.snark.arrays import silent
from workers.snark.multiexp import SCALAR_BITS
from workers.snark.threads import each_of

if TYPE_CHECKING:
    from workers.snark.arithmetic import Path
    from workers.snark.arrays import Progress, Words
    from workers.snark.points import Group

SMALLEST_TABLE_WINDOW, LARGEST_TABLE_WINDOW = 2, 14
"""Windows of the multiples of one point: the rows of one should stay in the cache."""

MULTIPLES_CHUNK = 1 << 15
"""Multiples of one point that are made at a time."""


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
    path, bits = group.path, _table_bits(len(scalars))
    table = _table(path, base, bits)
    size = len(table)
    rows = path.rows_empty(size + threads * MULTIPLES_CHUNK)
    rows[:size] = table
    free: SimpleQueue[int] = SimpleQueue()
    for place in range(size, len(rows), MULTIPLES_CHUNK):
        free.put(place)
    out = np.empty((len(scalars), group.words), np.uint64)

    def work(first: int) -> None:
        place = free.get()
        try:
            some = scalars[first : first + MULTIPLES_CHUNK]
            _multiples(path, rows, place, some, bits)
            out[first : first + len(some)] = path.points_of(rows[place : place + len(some)])
        finally:
            free.put(place)

    starts = range(0, len(scalars), MULTIPLES_CHUNK)
    for done, _ in enumerate(each_of(work, starts, threads=threads), 1):
        progress(min(done * MULTIPLES_CHUNK, len(scalars)), len(scalars))
    return out


def _table_bits(count: int) -> int:
    """Return the window with the fewest additions: one for each multiple, and one for each row of a table."""
    widths = range(SMALLEST_TABLE_WINDOW, LARGEST_TABLE_WINDOW + 1)
    return min(widths, key=lambda bits: _windows_of(bits) * (count + (1 << bits - 1)))


def _windows_of(bits: int) -> int:
    return (SCALAR_BITS + bits) // bits


def _multiples(path: Path, rows: Words, place: int, scalars: Words, bits: int) -> None:
    """Write multiples to rows from a place on; the table comes first in them."""
    count, size = len(scalars), (1 << bits - 1) + 1
    digits = np.zeros((_windows_of(bits), count), np.int32)
    signed_digits(scalars, np.arange(count, dtype=np.uint32), bits, digits, 0, count)
    own = np.arange(place, place + count, dtype=np.uint32)
    for window, some in enumerate(digits):
        entries = (some >> 1).astype(np.uint32) + np.uint32(window * size)
        entries |= (some & 1).astype(np.uint32) << np.uint32(31)
        if window:
            path.add_pairs(rows, own, entries, rows, own)
        else:
            path.copy_points(rows, entries, rows, own)


def _table(path: Path, base: Words, bits: int) -> Words:
    """Return 0 to 2^(bits - 1) times 2^(bits w) · base for each window w."""
    windows, half = _windows_of(bits), 1 << bits - 1
    powers = path.rows_empty(windows * bits)
    powers[:1] = path.rows_of(base.reshape(1, -1), np.zeros(1, np.uint32))[0]
    at = np.arange(windows * bits, dtype=np.uint32)
    for power in at[:-1]:
        path.add_pairs(
            powers, at[power : power + 1], at[power : power + 1], powers, at[power + 1 : power + 2]
        )
    table = path.rows_empty(windows * (half + 1))
    table[:] = 0
    firsts = np.arange(windows, dtype=np.uint32)[:, None] * np.uint32(half + 1)
    for place in range(bits):
        table[(firsts + np.uint32(1 << place)).reshape(-1)] = powers[place::bits]
    for place in range(1, bits - 1):
        rest = np.arange(1, 1 << place, dtype=np.uint32)
        low = (firsts + rest).reshape(-1)
        high = np.broadcast_to(firsts + np.uint32(1 << place), (windows, len(rest))).reshape(-1)
        path.add_pairs(table, np.ascontiguousarray(high), low, table, low + np.uint32(1 << place))
    return table
