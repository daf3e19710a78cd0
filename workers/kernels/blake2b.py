# mypy: allow-untyped-calls
"""BLAKE2b of one short message, as LLVM code."""

from __future__ import annotations

from workers.kernels import llvm

_IV = [
    0x6A09E667F3BCC908,
    0xBB67AE8584CAA73B,
    0x3C6EF372FE94F82B,
    0xA54FF53A5F1D36F1,
    0x510E527FADE682D1,
    0x9B05688C2B3E6C1F,
    0x1F83D9ABFB41BD6B,
    0x5BE0CD19137E2179,
]
_SIGMA = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
]
QUARTERS = [
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
]
"""Words of the state that are mixed together, columns first, then diagonals: as in ChaCha."""
_PARAMETERS = 0x01010040
"""BLAKE2b: 64-byte digest, no key, fan-out and depth 1."""


def emit_blake2b(builder, first, second):
    """First digest word (big-endian) of BLAKE2b-512 over two big-endian u64; scalars or vectors.

    first, second: u64, or vectors of u64: the 16 bytes of the message
    returns:       u64: the first 8 bytes of the digest as a big-endian number
    Source:  RFC 7693, sections 2.6 to 3.2.   Twin: tests/naive/graph.py expander_parents.

    The message is one block of 128 bytes: words 2 to 15 are zero and cost no addition; the counter is 16, and
    the last-block flag inverts word 14.
    """
    type_ = first.type
    words = {0: llvm.byte_swap(builder, first), 1: llvm.byte_swap(builder, second)}
    state = [llvm.splat(type_, value) for value in _IV + _IV]
    state[0] = llvm.splat(type_, _IV[0] ^ _PARAMETERS)
    state[12] = llvm.splat(type_, _IV[4] ^ 16)
    state[14] = llvm.splat(type_, _IV[6] ^ 0xFFFFFFFFFFFFFFFF)

    def half(quarters, sigma, *, turns):
        """Half of four quarters, step by step across them: one alone would wait for itself.

        quarters: places in the state (a, b, c, d); four that share none
        sigma:    the message word that each adds
        turns:    how far d and then b are rotated
        """
        for (a, b, _, _), word in zip(quarters, sigma, strict=True):
            state[a] = builder.add(state[a], state[b])
            if word in words:  # the other 14 message words are zero
                state[a] = builder.add(state[a], words[word])
        for a, _, _, d in quarters:
            state[d] = llvm.rotate_right(builder, builder.xor(state[d], state[a]), turns[0])
        for _, _, c, d in quarters:
            state[c] = builder.add(state[c], state[d])
        for _, b, c, _ in quarters:
            state[b] = llvm.rotate_right(builder, builder.xor(state[b], state[c]), turns[1])

    for turn in range(12):
        sigma = _SIGMA[turn % 10]
        for first_quarter in (0, 4):
            quarters = QUARTERS[first_quarter : first_quarter + 4]
            indices = sigma[2 * first_quarter : 2 * first_quarter + 8]
            half(quarters, indices[::2], turns=(32, 24))
            half(quarters, indices[1::2], turns=(16, 63))
    digest = builder.xor(llvm.splat(type_, _IV[0] ^ _PARAMETERS), builder.xor(state[0], state[8]))
    return llvm.byte_swap(builder, digest)
