"""SHA-256: its constants, the portable compression, and the pieces for CPUs with SHA instructions.

Source: FIPS 180-4; the register layout of the SHA instructions is Intel's (ABEF, CDGH).
Twin: hashlib.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numba import njit

from workers.kernels.flags import STEP
from workers.kernels.llvm import V4, byte_swap, function, load, mask, store, vector

_PRIMES = [n for n in range(2, 312) if all(n % d for d in range(2, math.isqrt(n) + 1))]


def _root_fraction(n: int, power: int) -> int:
    """Return the first 32 bits behind the point of the square (2) or cube (3) root of n.

    The root of n · 2^(32 · power) is that of n times 2^32; it is found bit by bit, from bit 39 down.
    """
    value, bits = n << (32 * power), 0
    for bit in reversed(range(40)):
        if (bits | 1 << bit) ** power <= value:
            bits |= 1 << bit
    return bits & 0xFFFFFFFF


ROUND_CONSTANTS = [_root_fraction(prime, 3) for prime in _PRIMES[:64]]
"""K: the cube roots of the first 64 primes."""
INITIAL = [_root_fraction(prime, 2) for prime in _PRIMES[:8]]
"""H: the square roots of the first 8 primes."""

K = np.array(ROUND_CONSTANTS, np.uint32)
H = np.array(INITIAL, np.uint32)


def _schedule_words(words: list[int]) -> list[int]:
    """Return the 64 words of a constant block's message schedule, without the round constants.

    words: 16, below 2^32; the list grows to 64
    """

    def rotate(x: int, n: int) -> int:
        """Return 32 bits rotated to the right."""
        return (x >> n | x << (32 - n)) & 0xFFFFFFFF

    for i in range(16, 64):
        a, b = words[i - 15], words[i - 2]
        s0 = rotate(a, 7) ^ rotate(a, 18) ^ a >> 3
        s1 = rotate(b, 17) ^ rotate(b, 19) ^ b >> 10
        words.append((words[i - 16] + s0 + words[i - 7] + s1) & 0xFFFFFFFF)
    return words


PADDING_64 = [
    (w + k) & 0xFFFFFFFF
    for w, k in zip(_schedule_words([0x80000000] + [0] * 14 + [512]), ROUND_CONSTANTS, strict=True)
]
"""W + K of the padding block of a 64-byte message: the same for every tree node."""

# The portable path.  numba widens uint32 arithmetic to 64 bits: every intermediate is cast back.


@njit(**STEP)
def rotate(x, n):
    """Rotate a u32 right by n bits.

    x: u32
    n: int  from 1 to 31
    """
    return np.uint32(x >> np.uint32(n)) | np.uint32(x << np.uint32(32 - n))


@njit(**STEP)
def swap(x):
    """Reverse the bytes of a u32.

    x: u32
    """
    high = (x << np.uint32(24)) | ((x & np.uint32(0xFF00)) << np.uint32(8))
    return np.uint32(high | ((x >> np.uint32(8)) & np.uint32(0xFF00)) | (x >> np.uint32(24)))


@njit(**STEP)
def rounds(state, words):
    """The 64 rounds over a message schedule to which the round constants are already added.

    state: u32[8]  in and out
    words: u32[64] W + K
    """
    a, b, c, d = state[0], state[1], state[2], state[3]
    e, f, g, h = state[4], state[5], state[6], state[7]
    for i in range(64):
        s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
        t = np.uint32(h + s1 + (g ^ (e & (f ^ g))) + words[i])
        s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
        u = np.uint32(s0 + ((a & b) | (c & (a | b))))
        h, g, f, e = g, f, e, np.uint32(d + t)
        d, c, b, a = c, b, a, np.uint32(t + u)
    state[0] += a
    state[1] += b
    state[2] += c
    state[3] += d
    state[4] += e
    state[5] += f
    state[6] += g
    state[7] += h


@njit(**STEP)
def schedule(words):
    """Fill words[16:64] from words[0:16] and add the round constants to all.

    words: u32[64] in and out
    """
    for i in range(16, 64):
        a, b = words[i - 15], words[i - 2]
        s0 = rotate(a, 7) ^ rotate(a, 18) ^ (a >> np.uint32(3))
        s1 = rotate(b, 17) ^ rotate(b, 19) ^ (b >> np.uint32(10))
        words[i] = np.uint32(words[i - 16] + s0 + words[i - 7] + s1)
    for i in range(64):
        words[i] += K[i]


# The SHA-NI path: `streams` independent messages advance side by side in one instruction stream,
# which hides the latency of the round instruction.

State = tuple[Any, Any]
"""ABEF and CDGH of one message."""


def initial_state() -> State:
    """H in the register layout."""
    h = INITIAL
    return vector(V4, [h[5], h[4], h[1], h[0]]), vector(V4, [h[7], h[6], h[3], h[2]])


def load_node(builder: Any, address: Any, offset: int = 0) -> list[Any]:
    """32 bytes of memory as two registers of big-endian words.

    address: i64, any alignment;  offset: bytes from it
    """
    return [byte_swap(builder, load(builder, address, offset + half, V4)) for half in (0, 16)]


def expanded(builder: Any, load_words: Callable[[], list[Any]]) -> Iterator[Any]:
    """W + K of one block: 4 registers in, 16 out, each computed when it is asked for.

    load_words: gives the 4 registers of 4 big-endian words; called when the first register is asked for
    returns:    an iterator of 16 registers: 4 rounds each

    So the schedule's instructions lie between those of the rounds, which wait for each other.
    """
    first = function(builder, "llvm.x86.sha256msg1", V4, [V4, V4])
    second = function(builder, "llvm.x86.sha256msg2", V4, [V4, V4])
    words = load_words()
    for i in range(16):
        if i >= 4:
            part = builder.call(first, [words[i - 4], words[i - 3]])
            part = builder.add(part, builder.shuffle_vector(words[i - 2], words[i - 1], mask([1, 2, 3, 4])))
            words.append(builder.call(second, [part, words[i - 1]]))
        yield builder.add(words[i], vector(V4, ROUND_CONSTANTS[4 * i : 4 * i + 4]))


class SharedSchedule:
    """The schedule of a block that a message repeats: computed for the first, kept for the others."""

    def __init__(self, schedule: Iterator[Any]) -> None:
        """Start with a schedule of which no word was requested yet."""
        self._schedule = schedule
        self._made: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        """Yield the 16 registers; those that nobody has had so far are written here."""
        for i in range(16):
            if i == len(self._made):
                self._made.append(next(self._schedule))
            yield self._made[i]


def padding_schedule() -> list[Any]:
    """W + K of the padding block of a 64-byte message, as 16 constant registers."""
    return [vector(V4, PADDING_64[4 * i : 4 * i + 4]) for i in range(16)]


def compress(builder: Any, states: list[State], schedules: Sequence[Iterable[Any]]) -> list[State]:
    """One block of every stream, round by round across the streams.

    states:    ABEF and CDGH of each stream
    schedules: of each stream 16 registers of W + K
    returns:   the states after the block

    An instruction makes two rounds and takes the two lower words of its third operand: for the other two
    rounds the upper words are moved down.
    """
    two_rounds = function(builder, "llvm.x86.sha256rnds2", V4, [V4, V4, V4])
    current = list(states)
    for registers in zip(*schedules, strict=True):
        for stream, words in enumerate(registers):
            abef, cdgh = current[stream]
            cdgh = builder.call(two_rounds, [cdgh, abef, words])
            words = builder.shuffle_vector(words, words, mask([2, 3, 0, 0]))
            current[stream] = (builder.call(two_rounds, [abef, cdgh, words]), cdgh)
    return [
        (builder.add(old[0], new[0]), builder.add(old[1], new[1]))
        for old, new in zip(states, current, strict=True)
    ]


def store_trimmed(builder: Any, state: State, address: Any, offset: int = 0) -> None:
    """Write the digest with its two top bits cleared: a 254-bit field element, little-endian.

    state:   ABEF and CDGH
    address: i64, of 32 bytes, any alignment;  offset: bytes from it

    The two top bits of byte 31 are bits 6 and 7 of the last word, as long as it is big-endian.
    """
    low = builder.shuffle_vector(state[0], state[1], mask([3, 2, 7, 6]))
    high = builder.shuffle_vector(state[0], state[1], mask([1, 0, 5, 4]))
    high = builder.and_(high, vector(V4, [0xFFFFFFFF] * 3 + [0xFFFFFF3F]))
    for half, words in ((0, low), (16, high)):
        store(builder, byte_swap(builder, words), address, offset + half)


# Batches without the SHA instructions: 16 messages in the lanes of AVX-512, or 8 in those of plain vectors,
# which LLVM maps to whatever the machine has (AVX2, NEON, pairs of SSE2 registers).


# LLVM makes two or three instructions of a choice or a majority, where AVX-512 has one.
