"""Poseidon columns and trees on an NVIDIA card, where a trial finds it faster than all cores of this machine.

A piece of a tree is copied to the card layer by layer, hashed row by row there, and copied back whole; the
replica itself is made by the CPU.  A card that fails at a piece (out of memory, lost) loses nothing: the CPU
makes that piece, and after FAILURES of them everything until the process ends.  So it does after the first
wrong hash, of which more may have passed, and after a piece that the card does not end.
"""

from __future__ import annotations

import functools
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from msgspec.structs import replace

from poolsite.filecoin.merkle import BASE_ARITY
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.wire.hardware import TreesTrial
from workers.gpus import (
    CARD_VARIABLE,
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
from workers.kernels import poseidon
from workers.kernels.poseidon_constants import PARTIAL_ROUNDS
from workers.loading import loaded
from workers.processors.parallel import parallel_for
from workers.processors.trees import CHUNK_LEVELS, grow_octonary
from workers.storage.mapped import Nodes
from workers.storage.sector import tree_nodes

CARD_LEVELS: Final = 6
"""A piece has at most 8^6 leaves: 97 MiB of the card with eleven layers."""
TRIED_LEVELS: Final = 5
"""A trial's piece, and the smallest that a card gets: a smaller one does not fill it."""
CHECKED_LEAVES: Final = BASE_ARITY
"""Leaves of the first look at a card: whether its hashes are right at all."""
LAYERS: Final = 11
"""The most layers of any sector."""
ROOMS: Final = 3
"""Pieces on the card at a time: one is copied in, one hashed, one copied out."""
AUDITED: Final = 8
"""Parents of each piece, chosen at random, that the CPU hashes again."""
TRIAL_S: Final = 120.0
"""Longest trial, with compiling the kernel: the child has to greet within `pool_child.READY_S`."""
PIECE_S: Final = 120.0
"""A piece that takes so long is given up: card or driver hangs.  A stage may be silent for longer."""


class _Room:
    """Memory of the card for one piece at a time, with its own stream."""

    def __init__(self, cuda: Any, leaves: int) -> None:
        self.stream = cuda.stream()
        self.columns = cuda.device_array((LAYERS * leaves, 8), np.uint32)
        self.tree = cuda.device_array((tree_nodes(leaves, BASE_ARITY), 8), np.uint32)


class Card:
    """The card of this process; its rooms are shared by all threads."""

    def __init__(self) -> None:
        """Open the first card.  Raises CardError, and whatever the driver raises."""
        kernels = loaded("workers.kernels.poseidon_cuda:KERNEL")
        self._cuda, self._hash, self._threads = kernels
        if not self._cuda.is_available():
            raise CardError("numba finds no driver for it")
        self._constants: dict[int, Any] = {}
        self._lock = threading.Lock()
        self._rooms: queue.Queue[_Room] = queue.Queue()
        self._made = 0
        self.levels = self._levels_fit()

    @property
    def memory_bytes(self) -> int:
        """Return the card's memory; 0 where it is simulated."""
        total = self._cuda.current_context().get_memory_info()[1]
        return int(total) if total < float("inf") else 0

    def _levels_fit(self) -> int:
        """Return the levels of the largest piece of which ROOMS fit into half of the free memory."""
        free = self._cuda.current_context().get_memory_info()[0] / 2
        for levels in range(CARD_LEVELS, 0, -1):
            leaves = BASE_ARITY**levels
            if ROOMS * NODE_BYTES * (LAYERS * leaves + tree_nodes(leaves, BASE_ARITY)) <= free:
                return levels
        raise CardError("it has no free memory")

    @contextmanager
    def _room(self) -> Iterator[_Room]:
        """Wait for a room; up to ROOMS are made as they are needed."""
        with self._lock:
            is_new = self._rooms.empty() and self._made < ROOMS
            self._made += is_new
        try:
            room = _Room(self._cuda, BASE_ARITY**self.levels) if is_new else self._rooms.get()
        except BaseException:
            with self._lock:
                self._made -= is_new
            raise
        try:
            yield room
        finally:
            self._rooms.put(room)

    def constants(self, arity: int) -> Any:
        """Return the constants of an arity on the card."""
        with self._lock:
            if arity not in self._constants:
                self._constants[arity] = self._cuda.to_device(_words(poseidon.constants_words(arity)))
            return self._constants[arity]

    def columns_grow(self, layers: Sequence[Nodes], tree: Nodes, leaves: int) -> None:
        """Fill a flat tree of arity 8 over the columns of `layers`, leaves included."""
        with self._room() as room:
            for number, layer in enumerate(layers):
                part = room.columns[number * leaves : (number + 1) * leaves]
                part.copy_to_device(_words(layer), stream=room.stream)
            self._launch(room, room.columns, leaves, 1, room.tree[:leaves], len(layers))
            self._grow(room, tree, leaves)

    def grow(self, tree: Nodes, leaves: int) -> None:
        """Fill the rows above the leaves of a flat tree of arity 8."""
        with self._room() as room:
            room.tree[:leaves].copy_to_device(_words(tree[:leaves]), stream=room.stream)
            self._grow(room, tree, leaves)

    def _grow(self, room: _Room, tree: Nodes, leaves: int) -> None:
        start, width = 0, leaves
        while width > 1:
            above = width // BASE_ARITY
            lower, upper = room.tree[start : start + width], room.tree[start + width :][:above]
            self._launch(room, lower, 1, BASE_ARITY, upper, BASE_ARITY)
            start, width = start + width, above
        room.tree[: start + 1].copy_to_host(_words(tree[: start + 1]), stream=room.stream)
        room.stream.synchronize()

    def _launch(
        self, room: _Room, nodes: Any, element_step: int, message_step: int, out: Any, arity: int
    ) -> None:
        blocks = -(-out.shape[0] // self._threads)
        rounds = PARTIAL_ROUNDS[arity]
        launched = self._hash[blocks, self._threads, room.stream]
        launched(nodes, element_step, message_step, out, self.constants(arity), arity, rounds)


def _words(nodes: Nodes) -> Any:
    """Return contiguous nodes as u32[n, 8], without a copy."""
    return np.ascontiguousarray(nodes).view(np.uint32).reshape(-1, 8)


class TreeMaker:
    """Makes pieces of trees by the card of this process, or by the calling thread."""

    def __init__(self, card: Card | None, trial: TreesTrial | None) -> None:
        self.trial = trial
        """Result of the card's trial; None: there is no card."""
        self._card = card
        self._failures = 0

    def levels(self, most: int) -> int:
        """Return the levels of a piece of a tree that has `most`."""
        card = self._card
        if card is None or (most < TRIED_LEVELS and not card_is("always")):
            return min(most, CHUNK_LEVELS)
        return min(most, card.levels)

    def columns_grow(self, layers: Sequence[Nodes], tree: Nodes, leaves: int) -> None:
        """Fill a flat tree of arity 8 over the columns of `layers`, leaves included."""

        def by_card(card: Card, made: Nodes) -> None:
            card.columns_grow(layers, made, leaves)

        def audit(made: Nodes) -> None:
            _columns_audit(layers, made[:leaves])

        if not self._is_made(by_card, tree, leaves, audit=audit):
            poseidon.hash_columns(list(layers), tree[:leaves])
            grow_octonary(tree, leaves)

    def grow(self, tree: Nodes, leaves: int) -> None:
        """Fill the rows above the leaves of a flat tree of arity 8."""

        def by_card(card: Card, made: Nodes) -> None:
            made[:leaves] = tree[:leaves]
            card.grow(made, leaves)

        if not self._is_made(by_card, tree, leaves):
            grow_octonary(tree, leaves)

    def _is_made(
        self,
        by_card: Callable[[Card, Nodes], None],
        tree: Nodes,
        leaves: int,
        *,
        audit: Callable[[Nodes], None] | None = None,
    ) -> bool:
        """Return whether the card made a piece; it gets none that is too small, or not whole."""
        card = self._card
        is_fit = leaves > BASE_ARITY**CHUNK_LEVELS or card_is("always")
        if card is None or not is_fit or leaves > BASE_ARITY**card.levels:
            return False
        made = np.empty_like(tree)  # its own: a card that hangs may write to it at any time
        try:
            in_time(lambda: by_card(card, made), PIECE_S)
            if audit is not None:
                audit(made)
            _rows_audit(made, leaves)
        except Exception as error:  # noqa: BLE001  # drivers raise many kinds, and the CPU makes all of it again
            self._failed(error)
            return False
        self._failures = 0
        tree[:] = made
        return True

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        reason = card_reason(error)
        card_say(f"the card failed at a piece of a tree, which the CPU makes: {reason}")
        is_over = self._failures >= FAILURES or isinstance(error, WrongResult | CardHangs)
        if is_over and self._card is not None:
            self._card = None
            if self.trial is not None:
                self.trial = replace(self.trial, is_gpu=False, error=reason)
            how = f"{FAILURES} times in a row" if self._failures >= FAILURES else "once too often"
            card_say(f"the card failed {how}: the CPU makes trees from here on")


@functools.cache
def tree_maker() -> TreeMaker:
    """Return how this process makes trees; a card is tried at the first call, for some seconds."""
    name = card_model()
    if not name:
        return TreeMaker(None, None)

    def card_try() -> tuple[Card, TreesTrial]:
        card = Card()
        return card, _tried(card, TreesTrial(gpu=name, memory_bytes=card.memory_bytes))

    card: Card | None = None
    try:
        card, trial = in_time(card_try, TRIAL_S)
    except Exception as error:  # noqa: BLE001  # as in TreeMaker: a host without its card goes on
        trial = TreesTrial(gpu=name, error=card_reason(error))
    card_say(trial_text(trial))
    return TreeMaker(card if trial.is_gpu else None, trial)


def _tried(card: Card, found: TreesTrial) -> TreesTrial:
    """Compare a card's hashes with the CPU's, first some and then a piece, for which both are timed.

    Raises CardError if one differs, and whatever the driver raises.
    """
    _equal_check(card, CHECKED_LEAVES)
    if card_is("always"):
        return replace(found, is_gpu=True)
    gpu_s, cpu_s = _equal_check(card, BASE_ARITY ** min(TRIED_LEVELS, card.levels))
    ms = [max(1, round(1000 * seconds)) for seconds in (gpu_s, cpu_s)]
    return replace(found, is_gpu=gpu_s < cpu_s, gpu_ms=ms[0], cpu_ms=ms[1])


def _equal_check(card: Card, leaves: int) -> tuple[float, float]:
    """Make one piece by the card and by all cores; return the seconds of each.  Raises CardError."""
    rows = np.random.default_rng(leaves).integers(0, 1 << 62, (LAYERS, leaves, 4), np.uint64)
    layers, trees = list(rows), np.zeros((2, tree_nodes(leaves, BASE_ARITY), 4), np.uint64)
    started = time.perf_counter()
    card.columns_grow(layers, trees[0], leaves)
    halfway = time.perf_counter()

    def work(first: int, end: int) -> None:
        poseidon.hash_columns([layer[first:end] for layer in layers], trees[1][first:end])

    parallel_for(work, leaves, size=BASE_ARITY**CHUNK_LEVELS)
    grow_octonary(trees[1], leaves)
    ended = time.perf_counter()
    if not np.array_equal(trees[0], trees[1]):
        raise CardError("its hashes are wrong")
    return halfway - started, ended - halfway


def trial_text(trial: TreesTrial) -> str:
    """Return a line for the log: who makes trees, and why."""
    if trial.error:
        return f"trees by the CPU: {trial.gpu} cannot be used: {trial.error}"
    who = f"trees by {trial.gpu}" if trial.is_gpu else "trees by the CPU"
    if not trial.gpu_ms:
        return f"{who}: {CARD_VARIABLE} says so"
    return f"{who}: {trial.gpu} took {trial.gpu_ms} ms for a piece, all cores {trial.cpu_ms} ms"


def _columns_audit(layers: Sequence[Nodes], columns: Nodes) -> None:
    """Hash some columns again.  Raises CardError if one differs."""
    for at in _some(len(columns)):
        found = poseidon.hash_values([layer[at].tobytes() for layer in layers])
        _same_check(found, columns[at])


def _rows_audit(tree: Nodes, leaves: int) -> None:
    """Hash some parents of each row again.  Raises CardError if one differs."""
    start, width = 0, leaves
    while width > 1:
        above = start + width
        width //= BASE_ARITY
        for at in _some(width):
            children = tree[start + BASE_ARITY * at :][:BASE_ARITY]
            _same_check(poseidon.hash_values([child.tobytes() for child in children]), tree[above + at])
        start = above


def _some(count: int) -> list[int]:
    return [secrets.randbelow(count) for _ in range(min(AUDITED, count))]


def _same_check(found: bytes, node: Nodes) -> None:
    if found != node.tobytes():
        raise WrongResult("a hash is wrong")
