"""CRC-32C of pages: by the instruction, in four streams, or by tables.

Source: RFC 3720, section 12.1 and B.4 (its vectors are in the tests); Intel's crc32 instruction.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np
from numba import njit

from workers.kernels import llvm
from workers.kernels.cpu import has_crc32c
from workers.kernels.flags import SERIAL, STEP
from workers.kernels.llvm import I64

POLYNOMIAL: Final = 0x82F63B78
"""Castagnoli's, bits reversed."""
QUARTERS: Final = 4
"""Streams side by side: the instruction takes three cycles, and one begins in each."""

Sums = np.ndarray[Any, np.dtype[np.uint32]]


@functools.cache
def byte_tables() -> Sums:
    """Return u32[8, 256]: row k is what a byte becomes that k more bytes follow."""
    tables = np.zeros((8, 256), np.uint32)
    tables[0] = np.arange(256)
    for _ in range(8):
        tables[0] = (tables[0] >> 1) ^ np.where(tables[0] & 1, np.uint32(POLYNOMIAL), np.uint32(0))
    for row in range(1, 8):
        tables[row] = (tables[row - 1] >> 8) ^ tables[0][tables[row - 1] & 255]
    return tables


@functools.cache
def shift_tables(count: int) -> Sums:
    """Return u32[4, 256]: what byte k of a remainder becomes that `count` zero bytes follow."""
    first, tables = byte_tables()[0], np.zeros((4, 256), np.uint32)
    for byte in range(4):
        tables[byte] = np.arange(256, dtype=np.uint32) << np.uint32(8 * byte)
    for _ in range(count):
        tables = (tables >> 8) ^ first[tables & 255]
    return np.ascontiguousarray(tables)


def page_sums(pages: np.ndarray[Any, np.dtype[np.uint8]], sums: Sums) -> None:
    """Compute the CRC-32C of each page.

    pages: u8[n, size]  size a multiple of 32
    sums:  u32[n]       output
    """
    words, size = pages.view(np.uint64), pages.shape[1]
    if has_crc32c():
        sums_unit(words, shift_tables(size // QUARTERS), sums)
    else:
        sums_portable(words, byte_tables(), sums)


def _emit_quarters(builder, page, words, remainders):
    """The remainders of a page's four quarters, each without those in front of it.

    page: i64  address;  words: i64  u64 of a quarter;  remainders: i64  address of u64[4], output
    """
    step = llvm.function(builder, "llvm.x86.sse42.crc32.64.64", I64, [I64, I64])
    bytes_of = builder.mul(words, llvm.splat(I64, 8))
    starts = [builder.add(page, builder.mul(bytes_of, llvm.splat(I64, k))) for k in range(QUARTERS)]

    def turn(index, values):
        """One word of each quarter."""
        at = builder.mul(index, llvm.splat(I64, 8))
        return [
            builder.call(step, [value, llvm.load(builder, builder.add(start, at), 0, I64)])
            for value, start in zip(values, starts, strict=True)
        ]

    initial = [llvm.splat(I64, value) for value in (0xFFFFFFFF, 0, 0, 0)]
    for k, value in enumerate(llvm.loop(builder, words, initial, turn)):
        llvm.store(builder, value, remainders, 8 * k)


_QUARTERS = llvm.step(_emit_quarters)


@njit(**STEP)
def _shifted(remainder, tables):
    """A remainder that a quarter of zeros follows.

    remainder: u32
    tables:    u32[4, 256]
    """
    low = tables[0, remainder & 255] ^ tables[1, (remainder >> 8) & 255]
    return low ^ tables[2, (remainder >> 16) & 255] ^ tables[3, (remainder >> 24) & 255]


@njit(**SERIAL)
def sums_unit(words, tables, sums):
    """CRC-32C of pages by the instruction.

    words:  u64[n, k]    the pages; k a multiple of 4
    tables: u32[4, 256]  of `shift_tables` for a quarter of a page
    sums:   u32[n]       output
    Cost:    0.3 us for a page of 4 KiB that is in memory.
    Threads: none inside; the GIL is free.   Errors: none.
    Source:  RFC 3720.   Twin: none; tests have the RFC's vectors.   Golden: none; see the twin.
    """
    remainders = np.zeros(QUARTERS, np.uint64)
    start, size = words.ctypes.data, 8 * words.shape[1]
    for i in range(words.shape[0]):
        _QUARTERS(start + size * i, words.shape[1] // QUARTERS, remainders.ctypes.data)
        whole = np.uint32(remainders[0])
        for k in range(1, QUARTERS):
            whole = _shifted(whole, tables) ^ np.uint32(remainders[k])
        sums[i] = ~whole


@njit(**SERIAL)
def sums_portable(words, tables, sums):
    """CRC-32C of pages by tables, eight bytes at a time.

    words:  u64[n, k]    the pages
    tables: u32[8, 256]  of `byte_tables`
    sums:   u32[n]       output
    Cost:    some 3 us for a page of 4 KiB.
    Threads: none inside; the GIL is free.   Errors: none.
    Source:  RFC 3720.   Twin: none; tests have the RFC's vectors.   Golden: none; see the twin.
    """
    for i in range(words.shape[0]):
        whole = np.uint32(0xFFFFFFFF)
        for k in range(words.shape[1]):
            word = words[i, k] ^ np.uint64(whole)
            whole = np.uint32(0)
            for byte in range(8):
                whole ^= tables[7 - byte, (word >> np.uint64(8 * byte)) & np.uint64(255)]
        sums[i] = ~whole
