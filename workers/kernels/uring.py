"""Reading pages through io_uring, or by pread where a container forbids it: no GIL, no C, no library.

Only what happens for each request is here; `processors.page_reader` opens rings and files.
Source: Linux, include/uapi/linux/io_uring.h; man io_uring_enter.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from workers.kernels.flags import SERIAL, STEP
from workers.kernels.llvm import I32, I64
from workers.kernels.page_plan import ADDRESS, DRIVE, OFFSET

ENTER: Final = 426
"""Number of the system call, on every architecture."""
GETEVENTS: Final = 1
FIXED_FILE: Final = 1
OP_READ, OP_READ_FIXED = 22, 4
EINTR, EAGAIN, EBUSY = 4, 11, 16
FAILURES_MAX: Final = 100
"""Failed calls in a row, after which nothing more is submitted."""

HANDLE, SQ_HEAD, SQ_TAIL, CQ_HEAD, CQ_TAIL = 0, 1, 2, 3, 4
"""Of a ring: its descriptor, and the addresses of four u32 that the kernel reads or writes."""
RING: Final = 5

DEPTH, BATCH, READERS, OWN, SIZE, BUFFER = 0, 1, 2, 3, 4, 5
"""Of a run: requests in progress and submitted at once; how many readers share the drives, and which this is;
bytes of a page; the registered buffer that all addresses are in, below 0: none."""
RUN: Final = 6

_syscall: Any = types.ExternalFunction("syscall", types.int64(*[types.int64] * 7))
_pread: Any = types.ExternalFunction("pread", types.int64(types.int32, types.int64, types.int64, types.int64))
_errno: Any = types.ExternalFunction("__errno_location", types.int64())


def _load32_code(_context, _address):
    """An atomic load that acquires: u32 as i64; address: i64."""

    def code(_context, builder, _signature, arguments):
        pointer = builder.inttoptr(arguments[0], I32.as_pointer())
        return builder.zext(builder.load_atomic(pointer, "acquire", 4), I64)

    return types.int64(types.int64), code


def _store32_code(_context, _address, _value):
    """An atomic store that releases: the low 32 bits of an i64; address: i64."""

    def code(context, builder, _signature, arguments):
        pointer = builder.inttoptr(arguments[0], I32.as_pointer())
        builder.store_atomic(builder.trunc(arguments[1], I32), pointer, "release", 4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), code


_load32: Any = intrinsic(_load32_code)
_store32: Any = intrinsic(_store32_code)


@njit(**STEP)
def _queued(ring, tail):
    """Count the entries up to `tail` that the kernel has not taken yet.

    ring: i64[5]
    tail: i64
    """
    return (tail - _load32(ring[SQ_HEAD])) & 0xFFFFFFFF


@njit(**STEP)
def _fill(entry, request, index, run):
    """Write one entry of the submission queue.

    entry:   u64[8]  output
    request: i64[4]
    index:   i64     the request's number, which its result comes back with
    run:     i64[6]
    """
    op = OP_READ if run[BUFFER] < 0 else OP_READ_FIXED
    entry[0] = op | (FIXED_FILE << 8) | (request[DRIVE] << 32)
    entry[1] = request[OFFSET]
    entry[2] = request[ADDRESS]
    entry[3] = run[SIZE]
    entry[4] = index
    entry[5] = max(run[BUFFER], 0)
    entry[6] = 0
    entry[7] = 0


@njit(**STEP)
def _withdraw(ring, sqes, tail, results):
    """Withdraw entries that the kernel has not taken; their results are the last call's error.

    ring:    i64[5]
    sqes:    u64[n, 8]
    tail:    i64
    results: i64[n]  output
    returns: how many
    """
    many = _queued(ring, tail)
    for back in range(many):
        results[np.int64(sqes[(tail - 1 - back) & (sqes.shape[0] - 1), 4])] = -_last_error()
    _store32(ring[SQ_TAIL], tail - many)
    return many


@njit(**STEP)
def _last_error():
    """The number of the last system call's error."""
    return _load32(_errno())


@njit(**STEP)
def _reap(ring, cqes, results):
    """Note the results that have come.

    ring:    i64[5]
    cqes:    i64[n, 2]
    results: i64[n]  output
    returns: how many
    """
    head, end, many = _load32(ring[CQ_HEAD]), _load32(ring[CQ_TAIL]), 0
    while head != end:
        entry = cqes[head & (cqes.shape[0] - 1)]
        results[entry[0]] = np.int64(np.int32(entry[1] & 0xFFFFFFFF))
        head = (head + 1) & 0xFFFFFFFF
        many += 1
    _store32(ring[CQ_HEAD], head)
    return many


@njit(**SERIAL)
def ring_read(ring, sqes, cqes, requests, run, results):
    """Read the pages that are on one reader's drives; returns when none is in progress any more.

    ring:     i64[5]      see the names above
    sqes:     u64[n, 8]   the submission queue's entries
    cqes:     i64[m, 2]   the completion queue's
    requests: i64[k, 4]   see `page_plan`; those whose drive is OWN modulo READERS are read
    run:      i64[6]      see the names above
    results:  i64[k]      output: the bytes read, or the number of the error below 0
    Cost:    0.05 us a request, 0.3 with the kernel's block layer.
    Threads: none inside; the GIL is free.   Errors: in `results`.
    Source:  man io_uring_enter.   Twin: none; tests compare with `drives_pread`.   Golden: none; it reads.
    """
    at = issued = done = failures = 0
    tail = _load32(ring[SQ_TAIL])
    while True:
        fresh = 0
        while failures < FAILURES_MAX and issued - done < run[DEPTH] and fresh < run[BATCH]:
            while at < requests.shape[0] and requests[at, DRIVE] % run[READERS] != run[OWN]:
                at += 1
            if at == requests.shape[0]:
                break
            _fill(sqes[tail & (sqes.shape[0] - 1)], requests[at], at, run)
            tail += 1
            at += 1
            issued += 1
            fresh += 1
        if issued == done:
            break
        _store32(ring[SQ_TAIL], tail)
        waits = fresh < run[BATCH]
        wanted = min(run[BATCH], issued - done) if waits else 0
        queued = _queued(ring, tail)
        if _syscall(ENTER, ring[HANDLE], queued, wanted, GETEVENTS, 0, 0) < 0:
            error = _last_error()
            failures += error not in (EINTR, EAGAIN, EBUSY)
            if failures >= FAILURES_MAX:
                many = _withdraw(ring, sqes, tail, results)
                tail -= many
                done += many
        else:
            failures = 0
        done += _reap(ring, cqes, results)
    while failures >= FAILURES_MAX and at < requests.shape[0]:
        if requests[at, DRIVE] % run[READERS] == run[OWN]:
            results[at] = -EAGAIN
        at += 1


@njit(**SERIAL)
def drives_pread(files, requests, run, results):
    """As `ring_read` where io_uring is forbidden, one page after the other: many threads share the requests.

    files:    i64[drives]  descriptors
    requests: i64[k, 4]    see `page_plan`; each READERS-th from OWN on is read
    run:      i64[6]       see the names above
    results:  i64[k]       output: the bytes read, or the number of the error below 0
    Cost:    4 to 6 us a request.
    Threads: none inside; the GIL is free.   Errors: in `results`.
    Source:  man pread.   Twin: none; tests compare with `ring_read`.   Golden: none; it reads.
    """
    for at in range(run[OWN], requests.shape[0], run[READERS]):
        handle = np.int32(files[requests[at, DRIVE]])
        many = _pread(handle, requests[at, ADDRESS], run[SIZE], requests[at, OFFSET])
        results[at] = many if many >= 0 else -_last_error()
