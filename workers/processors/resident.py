"""Allocates large arrays: one thread at a time checks the free memory and touches every page."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from workers.processors.errors import NotEnoughRoom
from workers.storage.mapped import resident_bytes
from workers.storage.memory import NotEnoughMemory, memory_check

if TYPE_CHECKING:
    from workers.storage.mapped import Bytes

WAIT_S = 60.0
"""While a thread waits for another's allocation it calls `alive` this often, so that it is not taken for
hung."""
PART_BYTES = 1 << 30
"""Bytes touched between two calls of `alive`."""

_allocating = threading.Lock()


def resident_allocate(count: int, *, size_bytes: int, purpose: str, alive: Callable[[], None]) -> list[Bytes]:
    """Return `count` pieces of zeroed memory whose pages are all there.  Raises NotEnoughRoom.

    The system gives pages when they are written: a layer's, minutes or hours after the check.  `alive` is
    called meanwhile, as that may take seconds a GiB in a virtual machine.
    """
    while not _allocating.acquire(timeout=WAIT_S):
        alive()
    try:
        memory_check(count * size_bytes, purpose)
        pieces = [resident_bytes(size_bytes) for _ in range(count)]
        for piece in pieces:
            for first in range(0, size_bytes, PART_BYTES):
                piece[first : first + PART_BYTES : mmap.PAGESIZE] = 0
                alive()
        return pieces
    except NotEnoughMemory as error:
        raise NotEnoughRoom(str(error)) from None
    finally:
        _allocating.release()
