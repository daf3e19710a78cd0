"""Keccak-256 as Ethereum uses it (the padding from before SHA-3).

A sponge over 1600 bits, 25 lanes of 64: 136 bytes at a time are added to the state, which 24 rounds mix; the
first four lanes then are the digest.  SHA3-256 differs in one byte of padding, 0x06 instead of 0x01, which is
why hashlib's cannot stand in.

Only Ethereum-style senders need it, a few blocks of 136 bytes per message. Source: Keccak reference, "The
Keccak SHA-3 submission" version 3, section 1; go-ethereum crypto.Keccak256.
"""

from __future__ import annotations

from typing import Final

RATE: Final = 136
"""Bytes absorbed per permutation: 200 less twice the 32 bytes of the digest."""
_MASK: Final = (1 << 64) - 1
"""Keeps the 64 bits of a lane."""
_ROTATIONS: Final = (
    (0, 36, 3, 41, 18),
    (1, 44, 10, 45, 2),
    (62, 6, 43, 15, 61),
    (28, 55, 25, 21, 56),
    (27, 20, 39, 8, 14),
)
"""Bits by which the step rho rotates lane (x, y): _ROTATIONS[x][y]."""


def _round_constants() -> tuple[int, ...]:
    """Return the 24 constants of the step iota, from its linear feedback shift register."""
    constants, register = [], 1
    for _ in range(24):
        constant = 0
        for power in range(7):
            if register & 1:
                constant |= 1 << ((1 << power) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return tuple(constants)


_ROUND_CONSTANTS: Final = _round_constants()
"""What the step iota adds to lane (0, 0), by round."""


def _rotate(lane: int, by: int) -> int:
    """Return a lane rotated to the left."""
    return ((lane << by) | (lane >> (64 - by))) & _MASK


def _permute(lanes: list[list[int]]) -> list[list[int]]:
    """Return the state after the 24 rounds of Keccak-f[1600]."""
    for constant in _ROUND_CONSTANTS:
        parity = [a ^ b ^ c ^ d ^ e for a, b, c, d, e in lanes]
        mix = [parity[x - 1] ^ _rotate(parity[(x + 1) % 5], 1) for x in range(5)]
        permuted = [[0] * 5 for _ in range(5)]
        for x in range(5):
            for y in range(5):
                permuted[y][(2 * x + 3 * y) % 5] = _rotate(lanes[x][y] ^ mix[x], _ROTATIONS[x][y])
        lanes = [
            [permuted[x][y] ^ (~permuted[(x + 1) % 5][y] & permuted[(x + 2) % 5][y]) for y in range(5)]
            for x in range(5)
        ]
        lanes[0][0] ^= constant
    return lanes


def keccak256(data: bytes) -> bytes:
    """Return the 32-byte digest."""
    padded = bytearray(data) + b"\x01" + bytes(-(len(data) + 1) % RATE)
    padded[-1] |= 0x80
    lanes = [[0] * 5 for _ in range(5)]
    for start in range(0, len(padded), RATE):
        for place in range(RATE // 8):
            at = start + 8 * place
            lanes[place % 5][place // 5] ^= int.from_bytes(padded[at : at + 8], "little")
        lanes = _permute(lanes)
    return b"".join(lanes[place][0].to_bytes(8, "little") for place in range(4))
