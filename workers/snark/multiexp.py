"""Sums of many multiples of points (multi-scalar multiplication).

Signed windows, buckets summed by rounds of independent affine additions.
Source: supranational/blst src/multi_scalar.c (windows, buckets), src/bulk_addition.c (rounds).
"""

from __future__ import annotations

from itertools import count
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.kernels.buckets import pair_up, signed_digits, sort_into_buckets
from workers.snark.arrays import silent
from workers.snark.card import Piece, card_work, sorted_windows
from workers.snark.threads import each_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.snark.arithmetic import Path
    from workers.snark.arrays import Codes, Integers, Progress, Words
    from workers.snark.card import ProofCard
    from workers.snark.points import Group

    Digits = np.ndarray[Any, np.dtype[np.int32]]

SCALAR_BITS = 255
SMALLEST_WINDOW, LARGEST_WINDOW = 4, 16
CHUNK_POINTS = 1 << 22
"""Points that are summed at a time: rows and digits take 0.8 GB, buckets 0.4 GB for each thread."""
TOGETHER_POINTS = 1 << 17
"""Windows of so many points in all are summed together: few points make short rounds."""


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
    path = group.path
    rest = scalars[:, 1] | scalars[:, 2] | scalars[:, 3]
    is_small = rest == 0
    ones = np.nonzero(is_small & (scalars[:, 0] == 1))[0].astype(np.uint32)
    others = np.nonzero(~(is_small & (scalars[:, 0] <= 1)))[0].astype(np.uint32)
    chunks = [others[at : at + CHUNK_POINTS] for at in range(0, len(others), CHUNK_POINTS)]
    parts = _chunk_sums(group, points, scalars, chunks, threads=threads, progress=progress)
    parts += [_sum(path, points, ones[at : at + CHUNK_POINTS]) for at in range(0, len(ones), CHUNK_POINTS)]
    if not parts:
        return np.zeros(group.words, np.uint64)
    return _sum(path, np.array(parts), np.arange(len(parts), dtype=np.uint32))


def _chunk_sums(
    group: Group,
    points: Words,
    scalars: Words,
    chunks: list[Codes],
    *,
    threads: int,
    progress: Progress,
) -> list[Words]:
    """Return the sum of each chunk; several chunks at a time where one has fewer windows than threads."""
    windows = [window_count(len(chunk)) for chunk in chunks]
    least = 1 + card_work().is_chosen(group.name)  # one is sorted while the card has another
    at_once = max(1, min(len(chunks), max(least, threads // max(windows, default=1))))
    done, lock, sums = count(1), Lock(), [np.zeros(0, np.uint64)] * len(chunks)

    def window_done() -> None:
        with lock:
            progress(next(done), sum(windows))

    def chunk_sum(place: int) -> None:
        own = chunks[place]
        sums[place] = _pippenger(
            group, points, scalars, own, threads=max(1, threads // at_once), done=window_done
        )

    for _ in each_of(chunk_sum, range(len(chunks)), threads=at_once):
        pass
    return sums


def _sum(path: Path, points: Words, chosen: Codes) -> Words:
    """Return the sum of some of the points."""
    starts, lengths = np.zeros(1, np.int64), np.array([len(chosen)], np.int64)
    rows, order = path.rows_of(points, chosen)
    total: Words = path.points_of(bucket_sums(Room(path), rows, starts, lengths, order)[:1])[0]
    return total


def window_bits(count: int) -> int:
    """Return the width of a window for so many points."""
    return max(SMALLEST_WINDOW, min(LARGEST_WINDOW, count.bit_length() - 4))


def window_count(count: int) -> int:
    """Return in how many windows of bits the scalars of `count` points are taken."""
    return (SCALAR_BITS + window_bits(count)) // window_bits(count)


def _pippenger(
    group: Group,
    points: Words,
    scalars: Words,
    chosen: Codes,
    *,
    threads: int,
    done: Callable[[], None],
) -> Words:
    """Return the sum of some points, and call `done` after each window."""
    bits, windows = window_bits(len(chosen)), window_count(len(chosen))
    digits = np.zeros((windows, len(chosen)), np.int32)
    part = -(-len(chosen) // threads)

    def cut(first: int) -> None:
        signed_digits(scalars, chosen, bits, digits, first, min(first + part, len(chosen)))

    for _ in each_of(cut, range(0, len(chosen), part), threads=threads):
        pass

    def by_cpu() -> Words:
        return _windows_sum(group, points, chosen, digits, bits, threads=threads, done=done)

    if not card_work().takes(group.name, len(chosen)):
        return by_cpu()
    own = points[chosen]  # its own: a card that hangs may read it at any time
    order, starts, lengths = sorted_windows(digits, 1 << bits - 1, threads=threads)

    def by_card(card: ProofCard) -> Words:
        planes, out = card.bucket_planes(group, own, order, starts, lengths), np.zeros(group.words, np.uint64)
        group.join_windows(planes, 1, out)
        return out

    def is_good(out: Words) -> bool:
        return group.path.first_off_curve(out.reshape(1, -1)) < 0

    def all_done() -> None:
        for _ in range(windows):
            done()

    return card_work().made(Piece(group.name, by_card, by_cpu, is_good, all_done))


def _windows_sum(
    group: Group,
    points: Words,
    chosen: Codes,
    digits: Digits,
    bits: int,
    *,
    threads: int,
    done: Callable[[], None],
) -> Words:
    """Return the sum of some points by their digits, and call `done` after each window."""
    windows = len(digits)
    totals = np.zeros((windows, 3, group.words // 2), np.uint64)
    rows, order = group.path.rows_of(points, chosen, threads=threads)
    together = max(1, min(-(-windows // threads), TOGETHER_POINTS // len(chosen)))

    rooms: SimpleQueue[Room] = SimpleQueue()
    for _ in range(threads):
        rooms.put(Room(group.path))

    def window_sums(first: int) -> None:
        end, room = min(first + together, windows), rooms.get()
        try:
            _windows(room, rows, digits[first:end], order, totals[first:end], 1 << bits - 1)
        finally:
            rooms.put(room)

    left = windows
    for _ in each_of(window_sums, range(0, windows, together), threads=threads):
        for _window in range(min(together, left)):
            left -= 1
            done()
    out = np.zeros(group.words, np.uint64)
    group.join_windows(totals, bits, out)
    return out


def _windows(room: Room, rows: Words, digits: Digits, chosen: Codes, totals: Words, buckets: int) -> None:
    """Sum the buckets of some windows, each times its digit."""
    starts, lengths = np.zeros((2, len(digits), buckets), np.int64)
    order = np.zeros(digits.size, np.uint32)
    used = 0
    for place, own in enumerate(digits):
        sorted_ = sort_into_buckets(own, chosen, starts[place], lengths[place], order[used:])
        starts[place] += used
        used += sorted_
    summed = bucket_sums(room, rows, starts.reshape(-1), lengths.reshape(-1), order[:used])
    for place, total in enumerate(totals):
        room.path.sum_buckets(summed, starts[place], lengths[place], total)


class Room:
    """Memory of the rounds of a thread, used again for each window: fresh memory has to be cleared first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows = [path.rows_empty(0), path.rows_empty(0)]

    def rows(self, turn: int, count: int) -> Words:
        """Return rows with anything in them, not those of the turn before."""
        if len(self._rows[turn % 2]) < count:
            self._rows[turn % 2] = self.path.rows_empty(count)
        return self._rows[turn % 2][:count]


def bucket_sums(
    room: Room,
    points: Words,
    starts: Integers,
    lengths: Integers,
    order: Codes,
) -> Words:
    """Return rows of which each bucket's sum is one: pairs are added until each bucket has one.

    room:            of a thread; what is returned is in it.
    points:          rows of the path.
    starts, lengths: overwritten; then `starts` is the row of each sum, `lengths` 1, or 0 without points.
    order:           the points' rows, bucket after bucket; the highest bit negates.
    """
    pairs = np.zeros((3, len(order) // 2 + 1), np.uint32)
    singles = np.zeros((2, len(starts) + 1), np.uint32)
    source, path = points, room.path
    for turn in count():
        paired, single, rows = pair_up(starts, lengths, order, pairs, singles)
        target = room.rows(turn, max(rows, 1))
        path.add_pairs(source, pairs[0, :paired], pairs[1, :paired], target, pairs[2, :paired])
        path.copy_points(source, singles[0, :single], target, singles[1, :single])
        source, order = target, np.arange(rows, dtype=np.uint32)
        if int(lengths.max(initial=0)) <= 1:
            break
    return source
