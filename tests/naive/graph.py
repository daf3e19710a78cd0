"""Parents of one node with hashlib and a ChaCha over Python's integers."""

from __future__ import annotations

import hashlib
import struct

MASK = 0xFFFFFFFF


def chacha8(key: bytes, counter: int) -> list[int]:
    """One block of ChaCha with 8 rounds and a zero nonce."""
    start = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key), counter, 0, 0, 0]
    x = list(start)

    def rotate(value: int, bits: int) -> int:
        return (value << bits | value >> (32 - bits)) & MASK

    def quarter(a: int, b: int, c: int, d: int) -> None:
        for p, q, r, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[p] = (x[p] + x[q]) & MASK
            x[r] = rotate(x[r] ^ x[p], bits)

    for _ in range(4):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return [(a + b) & MASK for a, b in zip(x, start, strict=True)]


def drg_parents(porep_id: bytes, node: int, *, legacy: bool) -> list[int]:
    """Six parents of the same layer."""
    if node < 2:
        return [0] * 6
    key = hashlib.sha256(b"Filecoin_DRSample" + porep_id).digest()[:28] + struct.pack("<I", node)
    words = chacha8(key, 0) + chacha8(key, 1)
    numbers = [words[2 * i] | words[2 * i + 1] << 32 for i in range(10)]
    meta, parents = 5 * node, []
    buckets = (meta - 1).bit_length()
    for i in range(5):
        high = min(meta, 1 << numbers[2 * i] % buckets + 1)
        low = max(2, high >> 1)
        parent = (meta - low - numbers[2 * i + 1] % (high - low + 1)) // 5
        parents.append(node - 1 if parent == node else parent)
    return [*parents, node - 1] if legacy else [node - 1, *parents]


def expander_parents(porep_id: bytes, nodes: int, node: int, *, legacy: bool) -> list[int]:
    """Eight parents of the layer before."""
    keys = struct.unpack("<4Q", hashlib.sha256(b"Filecoin_Feistel" + porep_id).digest())[:3]
    half = next(bits for bits in range(1, 33) if 4**bits >= 8 * nodes)
    mask = (1 << half) - 1

    def encrypt(value: int) -> int:
        left, right = value >> half & mask, value & mask
        for key in keys:
            digest = hashlib.blake2b(struct.pack(">QQ", right, key)).digest()
            left, right = right, left ^ int.from_bytes(digest[:8], "big") & mask
        return left << half | right

    parents = []
    for i in range(8):
        slot = encrypt(8 * node + i)
        while slot >= 8 * nodes:
            slot = encrypt(slot)
        parents.append((slot & MASK if legacy else slot) // 8)
    return parents
