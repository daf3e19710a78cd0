"""Work in parallel: the rows of 0 … total are spread over threads, as kernels release the GIL."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from threading import Lock, Thread
from typing import Any

THREADS_VARIABLE = "POOLSITE_KERNEL_THREADS"
"""Environment variable: how many threads a stage uses; by default one per core of the process."""

Progress = Callable[[int, int], None]
"""Called with what is done and the total, in units of the stage's choice."""


def no_progress(done: int, total: int) -> None:
    """Report progress to nobody."""


def one_at_a_time(progress: Progress) -> Progress:
    """Return a progress that several threads may report to."""
    lock = Lock()

    def report(done: int, total: int) -> None:
        with lock:
            progress(done, total)

    return report


def thread_count() -> int:
    """Return how many threads a stage uses."""
    wanted = os.environ.get(THREADS_VARIABLE, "")
    return int(wanted) if wanted.isdigit() and int(wanted) > 0 else len(os.sched_getaffinity(0))


def ranges(total: int, size: int) -> Iterable[tuple[int, int]]:
    """Cut 0 … total into pieces of `size`: (first, end)."""
    return ((first, min(first + size, total)) for first in range(0, total, size))


class _Share:
    """Pieces that several threads take from one end until there are none, or one has failed."""

    def __init__(self, work: Callable[[int, int], Any], pieces: Iterable[tuple[int, int]]) -> None:
        self.work = work
        self.left = deque(pieces)
        self.done = 0
        self.errors: list[BaseException] = []
        self.lock = Lock()

    def take(self) -> Iterator[int]:
        """Do one piece after the other; gives what all threads have done after each."""
        while True:
            try:
                first, end = self.left.popleft()
            except IndexError:
                return
            self.work(first, end)
            with self.lock:
                self.done += end - first
            yield self.done

    def help(self) -> None:
        """Do pieces beside the caller; an error ends the work of all."""
        try:
            for _ in self.take():
                pass
        except BaseException as error:  # noqa: BLE001  # raised by the caller
            self.errors.append(error)
            self.left.clear()


def parallel_for(
    work: Callable[[int, int], Any], total: int, *, size: int, progress: Progress = no_progress
) -> None:
    """Call work(first, end) for all pieces of 0 … total, on all cores; in order on a single one.

    The caller's thread takes its share and alone calls `progress`: of rows that take milliseconds, starting
    a thread for it and waking it would be several hundredths.  The first error stops the rest and is raised.
    """
    pieces = list(ranges(total, size))
    share = _Share(work, pieces)
    helpers = [Thread(target=share.help) for _ in range(min(thread_count(), len(pieces)) - 1)]
    reported = 0
    try:
        for helper in helpers:
            helper.start()
        for reported in share.take():
            progress(reported, total)
    except BaseException:
        share.left.clear()
        raise
    finally:
        for helper in helpers:
            if helper.ident is not None:
                helper.join()
    if share.errors:
        raise share.errors[0]
    if reported < total:
        progress(total, total)
