"""Work on the threads of a proof: kernels release the GIL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor


def each_of(work: Callable[[int], None], items: Iterable[int], *, threads: int) -> Iterator[None]:
    """Yield after each item that is done, in order; what is left is dropped once the caller stops."""
    pool = ThreadPoolExecutor(threads)
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)
