"""Work on many rows spread over the cores: kernels release the GIL, so plain threads do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

THREADS_VARIABLE = "POOLSITE_KERNEL_THREADS"
"""Environment variable: how many threads a stage uses; by default one per core of the process."""

Progress = Callable[[int, int], None]
"""Called with what is done and the total, in units of the stage's choice."""


def silent(done: int, total: int) -> None:
    """Report progress to nobody."""


def thread_count() -> int:
    """Return how many threads a stage uses."""
    wanted = os.environ.get(THREADS_VARIABLE, "")
    return int(wanted) if wanted.isdigit() and int(wanted) > 0 else len(os.sched_getaffinity(0))


def ranges(total: int, size: int) -> Iterable[tuple[int, int]]:
    """Cut 0 … total into pieces of `size`: (first, end)."""
    return ((first, min(first + size, total)) for first in range(0, total, size))


def spread(work: Callable[[int, int], Any], total: int, *, size: int, progress: Progress = silent) -> None:
    """Call work(first, end) for all pieces of 0 … total, on all cores; in order on a single one.

    The first error stops the rest and is raised.
    """
    pieces = list(ranges(total, size))
    threads = min(thread_count(), len(pieces))
    if threads < 2:
        for first, end in pieces:
            work(first, end)
            progress(end, total)
        return
    done = 0
    with ThreadPoolExecutor(threads) as pool:
        futures = [(end - first, pool.submit(work, first, end)) for first, end in pieces]
        try:
            for rows, future in futures:
                future.result()
                done += rows
                progress(done, total)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
