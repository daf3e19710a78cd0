"""Labels from pages, of which a node of 128 sectors is one, beside labels in whole layers, in one run.

Two layers of sixteen sectors, 512 MiB each, lie in memory; of 128 sectors a ring of the last nodes and what
drives would have read.  The graph is as large as the layers, or that of 32 GiB.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from workers.kernels import graph, labels
from workers.kernels.cpu import has_avx512
from workers.kernels.labels_portable import ALL_PARENTS, DRG_PARENTS
from workers.kernels.lanes import NODES, WIDE
from workers.processors.bench import pin
from workers.processors.bench_cases import parameters_of_size
from workers.processors.parent_cache import drg_seed, feistel_keys
from workers.storage.mapped import resident_bytes

WHOLE_NODES, GRAPH_NODES = 1 << 20, 1 << 30
RING_NODES: Final = 1 << 15
ROWS: Final = 4096
PASSES: Final = 7
GROUPS: Final = 8
STRIDE: Final = NODES * GROUPS
WHOLE, PAGES = "labels, sixteen sectors in whole layers of 512 MiB", "labels, 128 sectors in pages of 4 KiB"


@dataclass(frozen=True, slots=True)
class Figure:
    """Million labels a second, and the whole layers' as what pages are compared with."""

    name: str
    value: float
    unit: str
    peer: float | None = None
    limit: float | None = None
    digits: int = 2


def cases() -> list[str]:
    """Name both ways, where there are lanes."""
    return [WHOLE, PAGES] if has_avx512() else []


def run(case: str) -> Figure:
    """Measure both ways by turns, once; return one."""
    pin()
    whole, pages = _rates()
    if case == WHOLE:
        return Figure(case, whole, "M labels/s")
    return Figure(case, pages, "M labels/s", peer=whole, limit=whole)


@functools.cache
def _rates() -> tuple[float, float]:
    ids = np.arange(8 * WIDE, dtype=np.uint32).reshape(WIDE, 8)
    ways = _whole(ids), _pages(ids)
    for way in ways:
        way(0)
    rates = [[way(turn) for way in ways] for turn in range(1, PASSES + 1)]
    return max(first for first, _ in rates), max(second for _, second in rates)


def _rows(nodes: int) -> Callable[[int], np.ndarray[Any, np.dtype[np.uint32]]]:
    parameters = parameters_of_size()
    seed, tables = drg_seed(parameters), graph.feistel_tables(feistel_keys(parameters), nodes)

    def rows_of(first: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
        rows = np.empty((ROWS, ALL_PARENTS), np.uint32)
        graph.parent_rows(seed, tables, np.uint64(nodes), False, first, rows)
        return rows

    return rows_of


def _memory(size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    memory = resident_bytes(size)
    memory[::4096] = 1
    return memory


def _whole(ids: np.ndarray[Any, np.dtype[np.uint32]]) -> Callable[[int], float]:
    layers = [_memory(NODES * WHOLE_NODES).view(np.uint32).reshape(-1, WIDE, 8) for _ in range(2)]
    rows_of = _rows(WHOLE_NODES)

    def rate(turn: int) -> float:
        first = WHOLE_NODES // 2 + 16 * ROWS + ROWS * turn
        rows, started = rows_of(first), time.thread_time()
        labels.label_rows(ids, layers[0], layers[1], layer=2, first=first, parents=rows)
        return WIDE * ROWS / (time.thread_time() - started) / 1e6

    return rate


def _pages(ids: np.ndarray[Any, np.dtype[np.uint32]]) -> Callable[[int], float]:
    ring, rows_of = _memory(STRIDE * RING_NODES), _rows(GRAPH_NODES)
    room = _memory(STRIDE * ROWS * ALL_PARENTS // 2 * 3)
    kernel = labels.rows_of(WIDE)

    def rate(turn: int) -> float:
        first = GRAPH_NODES // 2 + RING_NODES * turn
        rows, floor = rows_of(first).astype(np.int64), first + ROWS - RING_NODES
        is_near = (np.arange(ALL_PARENTS) < DRG_PARENTS) & (rows >= floor)
        places = np.cumsum(~is_near).reshape(rows.shape) - 1
        addresses = np.where(
            is_near, ring.ctypes.data + rows % RING_NODES * STRIDE, room.ctypes.data + places * STRIDE
        )
        room[: STRIDE * (places[-1, -1] + 1)] += 1  # as drives fill it
        target, started = ring.ctypes.data + first % RING_NODES * STRIDE, time.thread_time()
        for group in range(GROUPS):
            kernel(ids, 2, first, addresses, target, STRIDE, NODES * group)
        return WIDE * GROUPS * ROWS / (time.thread_time() - started) / 1e6

    return rate
