"""How much faster two cores are than one: wall time, best of many short passes, same process.

On a machine with other work the best pass is the one that had both cores to itself.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.kernels import poseidon
from workers.processors.parallel import THREADS_VARIABLE, parallel_for
from workers.processors.parent_cache import PARENTS, parents_compute
from workers.processors.sector_record import parameters_of
from workers.processors.trees import binary_row

if TYPE_CHECKING:
    from workers.storage.mapped import Nodes


PASSES = 40
CORES = tuple(sorted(os.sched_getaffinity(0)))
"""Those of the process before anybody pinned it."""


def _nodes(count: int) -> Nodes:
    return np.random.default_rng(2).integers(0, 1 << 62, (count, 4), np.uint64)


def _poseidon(arity: int) -> Callable[[], Any]:
    count = 1 << 14 - arity // 4  # about 15 ms
    values, out = _nodes(arity * count), np.empty((count, 4), np.uint64)

    def part(first: int, end: int) -> None:
        poseidon.hash_row(values[arity * first : arity * end], out[first:end], arity=arity)

    return lambda: parallel_for(part, count, size=count // 16)


def _tree_d() -> Callable[[], Any]:
    leaves = _nodes(1 << 19)
    above = np.empty((1 << 18, 4), np.uint64)
    return lambda: binary_row(leaves, above)


def _parents() -> Callable[[], Any]:
    parameters = parameters_of(8 << 20, "V1_1", None)
    rows = np.empty((parameters.nodes, PARENTS), np.uint32)
    return lambda: parents_compute(parameters, rows)


CASES: dict[str, Callable[[], Callable[[], Any]]] = {
    "poseidon arity 2": lambda: _poseidon(2),
    "poseidon arity 8": lambda: _poseidon(8),
    "poseidon arity 11": lambda: _poseidon(11),
    "a row of tree-d": _tree_d,
    "parents": _parents,
}
"""What is spread over the cores, by name; each returns the work of one pass."""


def speeds(name: str) -> tuple[float, float]:
    """Return passes a second on two cores and on one."""
    work = CASES[name]()
    return _speed(work, 2), _speed(work, 1)


def _speed(work: Callable[[], Any], threads: int) -> float:
    with _cores(threads):
        work()
        seconds = []
        for _ in range(PASSES):
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
        return 1 / min(seconds)


@contextlib.contextmanager
def _cores(count: int) -> Iterator[None]:
    """Limit the process to `count` cores and as many threads a stage."""
    before, variable = os.sched_getaffinity(0), os.environ.get(THREADS_VARIABLE, "")
    os.sched_setaffinity(0, CORES[:count])
    os.environ[THREADS_VARIABLE] = str(count)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
        os.environ[THREADS_VARIABLE] = variable
