"""Transforms and sums of points on an NVIDIA card, where the first piece of each was faster than all cores.

The card's results are the CPU's, bit by bit.  A piece at which it fails (out of memory, lost) is made by the
CPU; after FAILURES in a row, one wrong result or one that does not end, all are until the process ends.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from poolsite.filecoin.scalars import SCALAR_MODULUS
from poolsite.wire.hardware import ProofsTrial, ProofTrial
from workers.gpus import (
    FAILURES,
    CardError,
    CardHangs,
    WrongResult,
    card_is,
    card_model,
    card_reason,
    card_say,
    in_time,
)
from workers.kernels import ntt_words
from workers.kernels.buckets import sort_into_buckets
from workers.kernels.curve_fields import G1_WORDS
from workers.kernels.field import WORD_BITS, limbs
from workers.loading import loaded
from workers.snark.threads import each_of

if TYPE_CHECKING:
    from workers.snark.arrays import Codes, Integers, Words
    from workers.snark.points import Group

LEAST_SIZE: Final = 1 << 20
"""A transform, or points of a sum, that a card gets: less is soon done, and a WinningPoSt must not wait."""
PIECE_S: Final = 120.0
"""A piece that takes so long is given up: card or driver hangs.  It compiles the kernels, too."""
LOW_BITS: Final = 14
"""Powers of a table from which all are made."""
PIECE_POINTS, PIECE_SUMS = 256, 32
"""Most points, and sums, that a thread adds up: the longest chain of additions."""
SPARE: Final = 0.9
"""Part of the card's free memory that may be taken."""
_BITS_32: Final = 32


class ProofCard:
    """The card of this process, for one piece of work at a time."""

    def __init__(self) -> None:
        """Open the first card.  Raises CardError, and whatever the driver raises."""
        self._cuda, self._threads, self._transforms = loaded("workers.kernels.ntt_cuda:KERNELS")
        self._sums, self._steps, self._unit = loaded("workers.kernels.curve_cuda:KERNELS")
        if not self._cuda.is_available():
            raise CardError("numba finds no driver for it")

    def _launch(self, kernel: Any, count: int, *arguments: Any) -> None:
        kernel[-(-count // self._threads), self._threads](*arguments)

    def _memory_check(self, wanted: int) -> None:
        """Raise CardError where the card has not so many bytes free."""
        free = self._cuda.current_context().get_memory_info()[0]
        if wanted > SPARE * free:
            raise CardError(f"{wanted >> 20} MiB are needed, {int(free) >> 20} are free")

    def quotient(self, rows: Sequence[Words], *, root: int, coset: int) -> Words:
        """Return the canonical coefficients of (a · b - c) / (x^size - 1), in order; see `domain.Domain`.

        The rows are only read.
        """
        size = len(rows[0])
        half, bits = max(size // 2, 1), size.bit_length() - 1
        self._memory_check(32 * (3 * size + half))
        split, join, fill, scale, divide = self._transforms
        back, inverse_size = pow(root, -1, SCALAR_MODULUS), pow(size, -1, SCALAR_MODULUS)
        a, b, c = on_card = [self._cuda.to_device(_halves(row)) for row in rows]
        roots = self._cuda.device_array((half, 8), np.uint32)

        def levels(kernel: Any, values: Any, halves: Sequence[int]) -> None:
            for width in halves:
                self._launch(kernel, half, values, roots, width, half // width)

        widths = [1 << level for level in range(bits)]
        onto = self._powers(inverse_size, coset, size)
        self._launch(fill, half, *self._powers(1, back, half), roots)
        for values in on_card:
            levels(split, values, widths[::-1])
            self._launch(scale, size, values, *onto, values, _BITS_32 - bits, 0)
        self._launch(fill, half, *self._powers(1, root, half), roots)
        for values in on_card:
            levels(join, values, widths)
        vanishing = pow(pow(coset, size, SCALAR_MODULUS) - 1, -1, SCALAR_MODULUS)
        self._launch(divide, size, a, b, c, self._cuda.to_device(_halves(_montgomery([vanishing]))))
        self._launch(fill, half, *self._powers(1, back, half), roots)
        levels(split, a, widths[::-1])
        canonical = inverse_size * pow(1 << 4 * WORD_BITS, -1, SCALAR_MODULUS) % SCALAR_MODULUS
        off = self._powers(canonical, pow(coset, -1, SCALAR_MODULUS), size)
        self._launch(scale, size, a, *off, b, _BITS_32 - bits, 1)
        return _whole(b.copy_to_host())

    def _powers(self, first: int, factor: int, count: int) -> tuple[Any, Any]:
        """Return two tables on the card: the product of a row of each is first · factor^i, i below count."""
        low = min(count, 1 << LOW_BITS)
        tables = (
            _powers(first, factor, low),
            _powers(1, pow(factor, low, SCALAR_MODULUS), -(-count // low)),
        )
        one, other = (self._cuda.to_device(_halves(table)) for table in tables)
        return one, other

    def bucket_planes(
        self, group: Group, points: Words, order: Codes, starts: Integers, lengths: Integers
    ) -> Words:
        """Return, for each window and bit, the sum of the buckets k where k + 1 has the bit, as X, Y, Z.

        points:          u64[n, words]
        order:           u32[m]                points of each bucket; the highest bit negates
        starts, lengths: i64[windows, buckets] where a bucket begins in `order`, and its points
        returns:         u64[windows · bits, 3, words / 2]
        """
        windows, buckets = lengths.shape
        parts = group.words // (2 * G1_WORDS)
        pieces = int((-(-lengths // PIECE_POINTS)).sum())
        self._memory_check(points.nbytes + order.nbytes + pieces * (16 + 12 * group.words + 8))
        rows = self._cuda.to_device(_halves(points, 12))
        ends = starts.reshape(-1), lengths.reshape(-1)
        sums, is_filled = self._grouped(parts, rows, order, *ends, has_z=False)
        del rows
        bits = buckets.bit_length()
        place = (np.cumsum(is_filled) - 1).reshape(windows, buckets)
        digit = np.arange(1, buckets + 1)
        chosen = [
            row[own.astype(bool) & (digit >> bit & 1).astype(bool)]
            for row, own in zip(place, is_filled.reshape(windows, buckets), strict=True)
            for bit in range(bits)
        ]
        counts = np.array([len(one) for one in chosen], np.int64)
        codes = np.concatenate(chosen).astype(np.uint32)
        planes = np.zeros((len(chosen), 3, group.words // 2), np.uint64)
        planes[:, 1, :G1_WORDS] = self._unit
        sums, is_filled = self._grouped(parts, sums, codes, np.cumsum(counts) - counts, counts, has_z=True)
        filled = _whole(sums.copy_to_host()).reshape(-1, 3, group.words // 2)
        planes[is_filled.astype(bool)] = filled[: int(is_filled.sum())]
        return planes

    def _grouped(
        self, parts: int, rows: Any, order: Codes, starts: Integers, lengths: Integers, *, has_z: bool
    ) -> tuple[Any, Integers]:
        """Sum groups of points; return the sums of those that have any, on the card, and 1 or 0 for each.

        Sums of pieces are added until each group has one.
        """
        while True:
            most = PIECE_SUMS if has_z else PIECE_POINTS
            counts = -(-lengths // most)
            pieces = _pieces(starts, lengths, counts)
            sums = self._cuda.device_array((max(3 * parts * len(pieces), 1), 12), np.uint32)
            if len(pieces):
                steps = self._cuda.to_device(self._steps[parts, has_z])
                codes, ends = self._cuda.to_device(order), self._cuda.to_device(pieces)
                width = (2 + has_z) * parts
                self._launch(self._sums[parts], len(pieces), rows, width, codes, ends, sums, steps)
            if int(counts.max(initial=0)) <= 1:
                return sums, counts
            rows, order = sums, np.arange(len(pieces), dtype=np.uint32)
            starts, lengths, has_z = np.cumsum(counts) - counts, counts, True


def _pieces(starts: Integers, lengths: Integers, counts: Integers) -> Integers:
    """Return first and end of the pieces of each group, as equal as they can be."""
    group = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(group)) - (np.cumsum(counts) - counts)[group]
    edges = [starts[group] + lengths[group] * (number + k) // counts[group] for k in range(2)]
    return np.ascontiguousarray(np.stack(edges, axis=1))


def _halves(rows: Words, words: int = 8) -> Any:
    """Return contiguous rows as elements of 32-bit words, without a copy."""
    return np.ascontiguousarray(rows).view(np.uint32).reshape(-1, words)


def _whole(rows: Any) -> Words:
    found: Words = rows.view(np.uint64)
    return found


def _montgomery(values: list[int]) -> Words:
    return limbs(values, bits=WORD_BITS)


def _powers(first: int, factor: int, count: int) -> Words:
    out = np.empty((count, 4), np.uint64)
    start, step = _montgomery([first, factor])
    ntt_words.powers(start, step, out)
    return out


@dataclass(frozen=True, slots=True)
class Trial:
    """The first piece of a kind of work, made by both."""

    is_card: bool
    """Whether the card makes all others."""
    card_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a proof's work, and its two ways."""

    kind: str
    """The kind of work: "h", or the name of a group; each kind has its own trial."""
    by_card: Callable[[ProofCard], Words]
    """Returns memory of its own, as a card that hangs may write to it at any time."""
    by_cpu: Callable[[], Words]
    """Computes the same on the CPU, and reports progress."""
    is_good: Callable[[Words], bool]
    done: Callable[[], None]
    """Called after a result of the card's."""


class CardWork:
    """Runs pieces of proofs on this process' card, or on the CPU."""

    def __init__(self, model: str, card: ProofCard | None = None) -> None:
        """`model`: empty without a card; None for `card`: it is opened with the first piece."""
        self._model, self._card, self._is_on = model, card, bool(model)
        self._failures, self._was_used = 0, False
        self._lock = threading.Lock()
        self.trials: dict[str, Trial] = {}
        """By kinds of work."""
        self._error = ""

    @property
    def result(self) -> ProofsTrial | None:
        """Return what was found of the card so far; None: nothing."""
        if not self.trials and not self._error:
            return None
        kinds = [
            ProofTrial(
                kind=kind,
                is_gpu=trial.is_card,
                gpu_ms=max(1, round(1000 * trial.card_s)),
                cpu_ms=max(1, round(1000 * trial.cpu_s)),
            )
            for kind, trial in sorted(self.trials.items())
        ]
        return ProofsTrial(gpu=self._model, kinds=tuple(kinds), error=self._error)

    def takes(self, kind: str, size: int) -> bool:
        """Return whether the card may get a piece of so many rows or points."""
        is_large = size >= LEAST_SIZE or card_is("always")
        return self._is_on and is_large and (kind not in self.trials or self.is_chosen(kind))

    def is_chosen(self, kind: str) -> bool:
        """Return whether the card was faster at a kind of work."""
        return self._is_on and kind in self.trials and self.trials[kind].is_card

    def made(self, piece: Piece) -> Words:
        """Return a piece's result; both make the first of a kind, the faster one all others."""
        found = None
        with self._lock:
            if self._is_on and piece.kind not in self.trials:
                return self._tried(piece)
            if self.is_chosen(piece.kind):
                found = self._made(piece)
                self._was_used |= found is not None
        if found is None:
            return piece.by_cpu()
        piece.done()
        return found

    def distrust(self) -> bool:
        """Return whether the card may be the reason of a wrong proof; it gets no other piece then."""
        with self._lock:
            is_reason = self._was_used and self._is_on
            if is_reason:
                self._leave("a proof with its results was wrong")
            return is_reason

    def _made(self, piece: Piece) -> Words | None:
        """Return the card's result, None where it failed."""
        try:
            if self._card is None:
                self._card = in_time(ProofCard, PIECE_S)
            card = self._card
            made = in_time(lambda: piece.by_card(card), PIECE_S)
            if not piece.is_good(made):
                raise WrongResult(f"{piece.kind}: a result is wrong")
        except Exception as error:  # noqa: BLE001  # drivers raise many kinds, and the CPU makes it again
            self._failures += 1
            card_say(f"the card failed at a piece of a proof, which the CPU makes: {card_reason(error)}")
            is_over = self._card is None or self._failures >= FAILURES
            if is_over or isinstance(error, WrongResult | CardHangs):
                self._leave(card_reason(error))
            return None
        self._failures = 0
        return made

    def _tried(self, piece: Piece) -> Words:
        """Return the CPU's result; the card makes the piece twice before, as it compiles at first."""
        results, seconds = [], []
        for _ in range(2):
            started = time.perf_counter()
            results.append(self._made(piece))
            seconds.append(time.perf_counter() - started)
            if results[-1] is None:
                return piece.by_cpu()
        started = time.perf_counter()
        known = piece.by_cpu()
        cpu_s = time.perf_counter() - started
        if not all(np.array_equal(made, known) for made in results if made is not None):
            self._leave(f"{piece.kind}: its result is not the CPU's")
            return known
        trial = Trial(seconds[-1] < cpu_s or card_is("always"), seconds[-1], cpu_s)
        self.trials[piece.kind] = trial
        who = self._model if trial.is_card else "the CPU"
        card_say(f"{piece.kind} by {who}: {self._model} took {trial.card_s:.3f} s, all cores {cpu_s:.3f} s")
        return known

    def _leave(self, reason: str) -> None:
        self._is_on, self._card, self._error = False, None, reason
        card_say(f"the CPU makes all of the proofs from here on: {reason}")


@functools.cache
def card_work() -> CardWork:
    """Return what gives work to the card of this process."""
    return CardWork(card_model())


def sorted_windows(digits: Any, buckets: int, *, threads: int) -> tuple[Codes, Integers, Integers]:
    """Return points by buckets, of all windows: order, starts and lengths as `bucket_planes` takes them.

    digits: i32[windows, n] of `signed_digits`
    """
    windows, count = digits.shape
    starts, lengths = np.zeros((2, windows, buckets), np.int64)
    order, numbers = np.zeros(digits.size, np.uint32), np.arange(count, dtype=np.uint32)

    def work(window: int) -> None:
        own = order[window * count : (window + 1) * count]
        sort_into_buckets(digits[window], numbers, starts[window], lengths[window], own)
        starts[window] += window * count

    for _ in each_of(work, range(windows), threads=threads):
        pass
    return order, starts, lengths
