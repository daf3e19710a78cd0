"""Reads pages at random from all drives at once: by io_uring, or by threads where it is forbidden.

io_uring is opened without a library; the loop over requests is a kernel without the GIL (`kernels.uring`).
Source: Linux, include/uapi/linux/io_uring.h; man io_uring_setup, io_uring_register.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from workers.kernels import uring
from workers.storage.files import LIBC

if TYPE_CHECKING:
    from workers.storage.mapped import Bytes

SETUP, REGISTER = 425, 427
"""Numbers of the system calls, on every architecture."""
COOP_TASKRUN: Final = 1 << 8
"""No interrupt of the thread for each completion.  From Linux 5.19 on."""
RW_CUR_POS: Final = 1 << 3
"""A feature of Linux 5.6, with which reads into memory that is not registered came, too."""
MAP_POPULATE: Final = 0x8000
SQES_OFFSET: Final = 0x10000000
REGISTER_BUFFERS, REGISTER_FILES = 0, 2
DRIVES_A_READER: Final = 3
"""More drives keep one thread busy: 2 us a request with interrupts are half a million a second."""
DEPTH_A_DRIVE: Final = 128
"""Requests in progress at each drive: where those of NVMe, and this project's virtual disk, stop gaining."""
BATCH: Final = 32
THREADS: Final = 32
"""Of the reader without io_uring: it has as many requests in progress."""

Requests = np.ndarray[Any, np.dtype[np.int64]]
"""i64[n, 4]; see `kernels.page_plan`."""
Results = np.ndarray[Any, np.dtype[np.int64]]
"""i64[n]: bytes read, or the number of an error below 0."""


class PageReader(Protocol):
    """Reads pages into memory, wherever each goes."""

    def read(self, requests: Requests, size: int, room: int, results: Results) -> None:
        """Read pages of `size` bytes into room number `room`; results are by request."""

    def close(self) -> None:
        """Release threads and rings."""


class ThreadReader:
    """Threads that each read one page at a time."""

    def __init__(self, handles: Sequence[int], *, threads: int = THREADS) -> None:
        self.files = np.array(handles, np.int64)
        self.count = threads
        self._threads = ThreadPoolExecutor(threads, "page-reader")

    def read(self, requests: Requests, size: int, room: int, results: Results) -> None:  # noqa: ARG002
        """Read pages; see `PageReader`."""

        def work(own: int) -> None:
            run = np.array([0, 0, self.count, own, size, -1], np.int64)
            uring.drives_pread(self.files, requests, run, results)

        list(self._threads.map(work, range(min(self.count, len(requests)))))

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()


class RingReader:
    """A thread with an io_uring for each few drives.  Raises OSError where the system does not allow it."""

    def __init__(self, handles: Sequence[int], rooms: Sequence[Bytes]) -> None:
        self.readers = -(-len(handles) // DRIVES_A_READER)
        self.depth = DEPTH_A_DRIVE * -(-len(handles) // self.readers)
        self._rings: list[_Ring] = []
        try:
            for _ in range(self.readers):
                self._rings.append(_Ring(self.depth, handles, rooms))
        except OSError:
            for ring in self._rings:
                ring.close()
            raise
        self._threads = ThreadPoolExecutor(self.readers, "page-reader")

    def read(self, requests: Requests, size: int, room: int, results: Results) -> None:
        """Read pages; see `PageReader`."""

        def work(own: int) -> None:
            ring = self._rings[own]
            buffer = room if ring.has_buffers else -1
            run = np.array([self.depth, min(BATCH, self.depth), self.readers, own, size, buffer], np.int64)
            uring.ring_read(ring.addresses, ring.sqes, ring.cqes, requests, run, results)

        list(self._threads.map(work, range(self.readers)))

    def close(self) -> None:
        """End the threads and close the rings."""
        self._threads.shutdown()
        for ring in self._rings:
            ring.close()
        self._rings.clear()  # their mappings keep the drives open, and locked


def reader_of(handles: Sequence[int], rooms: Sequence[Bytes]) -> PageReader:
    """Return a reader by io_uring, or by threads where io_uring is forbidden."""
    try:
        return RingReader(handles, rooms)
    except OSError:  # ENOSYS, or EPERM in a container: threads do it
        return ThreadReader(handles)


class _Ring:
    """One io_uring; the drives' files are registered, and the rooms where locked memory is not limited."""

    def __init__(self, depth: int, handles: Sequence[int], rooms: Sequence[Bytes]) -> None:
        self.handle, parameters = _setup(depth)
        try:
            entries, completions, features = (int(parameters[i]) for i in (0, 1, 5))
            if not features & RW_CUR_POS:
                raise OSError(errno.ENOSYS, "io_uring of Linux before 5.6")
            submission, completion = parameters[10:20], parameters[20:30]
            size = max(int(submission[6]) + 4 * entries, int(completion[5]) + 16 * completions)
            flags = mmap.MAP_SHARED | MAP_POPULATE
            shared = np.frombuffer(mmap.mmap(self.handle, size, flags=flags), np.uint8)
            table = mmap.mmap(self.handle, 64 * entries, flags=flags, offset=SQES_OFFSET)
            self.sqes = np.frombuffer(table, np.uint64).reshape(entries, 8)
            first = int(completion[5])
            self.cqes = shared[first : first + 16 * completions].view(np.int64).reshape(completions, 2)
            shared[int(submission[6]) :][: 4 * entries].view(np.uint32)[:] = np.arange(entries)
            base = shared.ctypes.data
            heads = [submission[0], submission[1], completion[0], completion[1]]
            self.addresses = np.array([self.handle, *(base + int(head) for head in heads)], np.int64)
            self._memory = shared, list(rooms)
            _register(self.handle, REGISTER_FILES, (ctypes.c_int32 * len(handles))(*handles), len(handles))
        except OSError:
            os.close(self.handle)
            raise
        self.has_buffers = self._buffers_register(rooms)

    def _buffers_register(self, rooms: Sequence[Bytes]) -> bool:
        """Return whether the rooms stay mapped in the kernel: a third less for each request."""
        pairs = [value for room in rooms for value in (room.ctypes.data, room.nbytes)]
        try:
            _register(self.handle, REGISTER_BUFFERS, (ctypes.c_uint64 * len(pairs))(*pairs), len(rooms))
        except OSError:  # RLIMIT_MEMLOCK, or a room above 1 GiB
            return False
        return True

    def close(self) -> None:
        """Close the ring: nothing is in progress between two reads."""
        os.close(self.handle)


def _setup(depth: int) -> tuple[int, np.ndarray[Any, np.dtype[np.uint32]]]:
    """Return a ring's descriptor and what the kernel says of it.  Raises OSError."""
    for flags in (COOP_TASKRUN, 0):
        raw = (ctypes.c_uint8 * 120)()
        parameters = np.frombuffer(memoryview(raw), np.uint32)
        parameters[2] = flags
        handle = LIBC.syscall(SETUP, depth, ctypes.byref(raw))
        if handle >= 0:
            return handle, parameters
    raise OSError(ctypes.get_errno(), "io_uring_setup")


def _register(handle: int, what: int, values: ctypes.Array[Any], count: int) -> None:
    if LIBC.syscall(REGISTER, handle, what, ctypes.byref(values), count) < 0:
        raise OSError(ctypes.get_errno(), "io_uring_register")
