"""Fr32 padding: raw bytes spread over BLS12-381 scalars.  Source: Filecoin spec, section Fr32."""

# mypy: allow-untyped-calls

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from workers.kernels.flags import SERIAL
from workers.kernels.llvm import I64, load, store

_TOP = np.uint64(0x3FFFFFFFFFFFFFFF)


def _word_access():
    """Make the intrinsics that read and write 64 bits at any address: rows of 127 bytes are not aligned."""

    @intrinsic
    def load_word(_typing, _address):
        """u64 at an address (i64), little-endian."""

        def code(_context, builder, _signature, arguments):
            """Emit the read."""
            return load(builder, arguments[0], 0, I64)

        return types.uint64(types.intp), code

    @intrinsic
    def store_word(_typing, _address, _word):
        """Write a u64 to an address (i64), little-endian."""

        def code(context, builder, _signature, arguments):
            """Emit the write."""
            store(builder, arguments[1], arguments[0], 0)
            return context.get_dummy_value()

        return types.void(types.intp, types.uint64), code

    return load_word, store_word


_load_word, _store_word = _word_access()


@njit(**SERIAL)
def fr32_pad(raw, padded):
    """Write 127 raw bytes as 4 elements of 254 bits, row by row.

    raw:    u8[127 * n]   input, bits in little-endian order
    padded: u64[n, 16]    output, every word written; the top 2 bits of each 32-byte element are 0
    Cost:    one pass, no allocation, 16 word reads and writes a row.   Threads: none inside; GIL free.
    Errors:  none; `processors` have checked shapes and dtypes.
    Source:  rust-fil-proofs fr32/src/padding.rs.   Twin: tests/naive/fr32.py fr32_pad.
    Golden:  tests/golden/proofs/fr32.json.
    """
    source = raw.ctypes.data
    for row in range(padded.shape[0]):
        start = source + 127 * row
        carried = np.uint64(0)
        for element in range(4):
            shift = np.uint64(2 * element)
            back = np.uint64(63) - shift
            for at in range(4):
                word = 4 * element + at
                # the last word ends one byte early: read it one byte lower and drop that byte
                value = (
                    _load_word(start + 119) >> np.uint64(8) if word == 15 else _load_word(start + 8 * word)
                )
                # two shifts: for the first element they are 64 bits in all, which one shift cannot be
                padded[row, word] = (value << shift) | ((carried >> np.uint64(1)) >> back)
                carried = value
            padded[row, 4 * element + 3] &= _TOP


@njit(**SERIAL)
def fr32_unpad(padded, raw):
    """Join the low 254 bits of 4 elements to 127 raw bytes, row by row.

    padded: u64[n, 16]    input; the top 2 bits of each element are ignored
    raw:    u8[127 * n]   output, every byte written
    Cost:    one pass, no allocation.   Threads: none inside; GIL free.
    Errors:  none; `processors` have checked shapes and dtypes.
    Source:  rust-fil-proofs fr32/src/padding.rs.   Twin: tests/naive/fr32.py fr32_unpad.
    Golden:  unsealed_unpadded_sha256 of tests/golden/proofs/seal_2k_v1_1.json.
    """
    target = raw.ctypes.data
    for row in range(padded.shape[0]):
        start = target + 127 * row
        for word in range(16):
            element = word >> 2
            shift = np.uint64(2 * element)
            value = padded[row, word]
            above = np.uint64(0) if word == 15 else padded[row, word + 1]
            # an element's last word has 62 bits, so what follows starts 2 bits lower; two shifts as above
            if word & 3 == 3:
                value = ((value & _TOP) >> shift) | (above << (np.uint64(62) - shift))
            else:
                value = (value >> shift) | ((above << np.uint64(1)) << (np.uint64(63) - shift))
            if word < 15:
                _store_word(start + 8 * word, value)
            else:
                for byte in range(7):
                    raw[127 * row + 120 + byte] = np.uint8(value >> np.uint64(8 * byte))
