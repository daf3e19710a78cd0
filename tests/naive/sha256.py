"""The compression of SHA-256 over Python's integers, which hashlib does not give by itself."""

from __future__ import annotations

import struct
from math import isqrt

MASK = 0xFFFFFFFF
PRIMES = [n for n in range(2, 312) if all(n % d for d in range(2, isqrt(n) + 1))]


def root(value: int, power: int) -> int:
    """The largest integer whose power is not above the value."""
    low, high = 0, value
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**power <= value else (low, middle - 1)
    return low


INITIAL = [root(prime << 64, 2) & MASK for prime in PRIMES[:8]]
CONSTANTS = [root(prime << 96, 3) & MASK for prime in PRIMES]


def rotate(value: int, bits: int) -> int:
    """Rotate 32 bits to the right."""
    return (value >> bits | value << 32 - bits) & MASK


def compress(state: list[int], block: bytes) -> list[int]:
    """The state after one block of 64 bytes (FIPS 180-4, section 6.2.2)."""
    words = list(struct.unpack(">16I", block))
    for i in range(16, 64):
        before, near = words[i - 15], words[i - 2]
        s0 = rotate(before, 7) ^ rotate(before, 18) ^ before >> 3
        s1 = rotate(near, 17) ^ rotate(near, 19) ^ near >> 10
        words.append((words[i - 16] + s0 + words[i - 7] + s1) & MASK)
    a, b, c, d, e, f, g, h = state
    for word, constant in zip(words, CONSTANTS, strict=True):
        s1, choice = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25), e & f ^ ~e & g
        t = h + s1 + choice + constant + word
        s0, majority = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22), a & b ^ a & c ^ b & c
        h, g, f, e, d, c, b, a = g, f, e, (d + t) & MASK, c, b, a, (t + s0 + majority) & MASK
    return [(old + new) & MASK for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True)]
