"""Fr32 over Python's big integers."""

from __future__ import annotations


def fr32_pad(raw: bytes) -> bytes:
    """127 raw bytes at a time: four windows of 254 bits, 32 little-endian bytes each."""
    out = b""
    for at in range(0, len(raw), 127):
        bits = int.from_bytes(raw[at : at + 127], "little")
        out += b"".join((bits >> 254 * i & (1 << 254) - 1).to_bytes(32, "little") for i in range(4))
    return out


def fr32_unpad(padded: bytes) -> bytes:
    """The inverse; the two top bits of each element are dropped."""
    out = b""
    for at in range(0, len(padded), 128):
        elements = [int.from_bytes(padded[at + 32 * i : at + 32 * i + 32], "little") for i in range(4)]
        bits = sum((element & (1 << 254) - 1) << 254 * i for i, element in enumerate(elements))
        out += bits.to_bytes(127, "little")
    return out
