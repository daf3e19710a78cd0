"""The ChaCha block function with 8 rounds for the graph and 20 for synthetic challenges.

The state is 16 words of 32 bits in four rows: constants, the key in two rows, and a tail of counter and
nonce. After the rounds the state before them is added, so that a block cannot be run backwards.

Source: RFC 8439 section 2.3; rust-random/rand rand_chacha/src/chacha.rs (word order of ChaCha8Rng).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

CONSTANT_WORDS = struct.unpack("<4I", b"expand 32-byte k")
"""First row of the ChaCha state."""

BLOCK_BYTES = 64
"""Bytes of one block."""

WORD_MASK = 0xFFFFFFFF
"""All arithmetic is modulo 2^32."""

QUARTER_ROUNDS = (
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)
"""State positions of one double round: four columns, then four diagonals."""


def chacha_block(key: bytes, tail: tuple[int, int, int, int], *, rounds: int) -> list[int]:
    """Return the 16 words of one block; `tail` is the last row of the state (counter and nonce words)."""
    start = [*CONSTANT_WORDS, *struct.unpack("<8I", key), *tail]
    state = start.copy()
    for _ in range(rounds // 2):
        for a, b, c, d in QUARTER_ROUNDS:
            _quarter_round(state, a, b, c=c, d=d)
    return [(mixed + word) & WORD_MASK for mixed, word in zip(state, start, strict=True)]


def chacha8_words(key: bytes) -> Iterator[int]:
    """Yield the 32-bit words of ChaCha8Rng seeded with `key`: 64-bit block counter from 0, zero stream."""
    counter = 0
    while True:
        yield from chacha_block(key, (counter & WORD_MASK, counter >> 32, 0, 0), rounds=8)
        counter += 1


def chacha20_keystream(key: bytes, nonce: bytes, *, length: int, start: int = 0) -> bytes:
    """Return `length` bytes from `start` of the IETF ChaCha20 keystream: 32-bit counter, 12-byte nonce."""
    nonce_words = struct.unpack("<3I", nonce)
    first, last = start // BLOCK_BYTES, -(-(start + length) // BLOCK_BYTES)
    blocks = (chacha_block(key, (counter, *nonce_words), rounds=20) for counter in range(first, last))
    stream = b"".join(struct.pack("<16I", *block) for block in blocks)
    offset = start - first * BLOCK_BYTES
    return stream[offset : offset + length]


def _quarter_round(state: list[int], a: int, b: int, *, c: int, d: int) -> None:
    """Mix four words of the state in place (RFC 8439, section 2.1)."""
    for target, source, mixed, left in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[target] = (state[target] + state[source]) & WORD_MASK
        word = state[mixed] ^ state[target]
        state[mixed] = (word << left | word >> (32 - left)) & WORD_MASK
