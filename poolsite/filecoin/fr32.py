"""Fr32 padding: 127 raw bytes spread over four scalars of 254 bits, 128 bytes.

Every 254 bits of data, read from the lowest of each byte, become the low 254 bits of 32 bytes; the two bits
above are zero.  So each 32 bytes are below r, a scalar, and 127 · 8 = 4 · 254.

Source: filecoin-project/rust-fil-proofs fr32/src/{reader,padding}.rs; Filecoin spec, section Fr32.
"""

from __future__ import annotations

from poolsite.filecoin.scalars import NODE_BYTES, scalar_to_bytes

RAW_BLOCK_BYTES = 127
"""Raw bytes that fill whole scalars."""

PADDED_BLOCK_BYTES = 128
"""Bytes of those scalars."""

DATA_BITS = 254
"""Bits of raw data in one scalar."""

DATA_MASK = (1 << DATA_BITS) - 1
"""Selects those bits."""


class BadPadding(ValueError):
    """A size or range that Fr32 padding cannot have."""


def padded_bytes(unpadded_bytes: int) -> int:
    """Return the size after padding.  Raises BadPadding unless `unpadded_bytes` is a multiple of 127."""
    if unpadded_bytes < 0 or unpadded_bytes % RAW_BLOCK_BYTES:
        raise BadPadding(f"{unpadded_bytes} bytes are not a multiple of {RAW_BLOCK_BYTES}")
    return unpadded_bytes // RAW_BLOCK_BYTES * PADDED_BLOCK_BYTES


def unpadded_bytes(padded: int) -> int:
    """Return the size before padding.  Raises BadPadding unless `padded` is a multiple of 128."""
    if padded < 0 or padded % PADDED_BLOCK_BYTES:
        raise BadPadding(f"{padded} bytes are not a multiple of {PADDED_BLOCK_BYTES}")
    return padded // PADDED_BLOCK_BYTES * RAW_BLOCK_BYTES


def fr32_pad(raw: bytes) -> bytes:
    """Return data padded; a last partial block yields only as many scalars as its bits begin."""
    padded = bytearray()
    for at in range(0, len(raw), RAW_BLOCK_BYTES):
        block = raw[at : at + RAW_BLOCK_BYTES]
        bits = int.from_bytes(block, "little")
        for start in range(0, 8 * len(block), DATA_BITS):
            padded += scalar_to_bytes(bits >> start & DATA_MASK)
    return bytes(padded)


def fr32_unpad(padded: bytes) -> bytes:
    """Undo `fr32_pad` on whole blocks.  Raises BadPadding on a partial block."""
    unpadded_bytes(len(padded))
    raw = bytearray()
    for at in range(0, len(padded), PADDED_BLOCK_BYTES):
        bits = 0
        for number in range(PADDED_BLOCK_BYTES // NODE_BYTES):
            start = at + NODE_BYTES * number
            scalar = int.from_bytes(padded[start : start + NODE_BYTES], "little")
            bits |= (scalar & DATA_MASK) << (DATA_BITS * number)
        raw += bits.to_bytes(RAW_BLOCK_BYTES, "little")
    return bytes(raw)
