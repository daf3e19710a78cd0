"""The SHA-256 gadget, on bits.

Source: argumentcomputer/bellpepper crates/bellpepper/src/gadgets/{sha256,uint32,multieq}.rs;
rust-fil-proofs filecoin-hashers/src/sha256.rs hash_multi_leaf_circuit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workers.snark.gadgets.booleans import (
    Boolean,
    bits_of,
    choice,
    exclusive_or,
    majority,
    number_bits,
    pack,
    reversed_bytes,
    weighted,
)
from workers.snark.gadgets.numbers import UNIT, add_to

if TYPE_CHECKING:
    from workers.snark.constraints import Combination
    from workers.snark.part_builder import PartBuilder

Word = list[Boolean]
"""32 bits, the lowest first."""

WORD_BITS = 32
BLOCK_BITS = 512
_CAPACITY = 254
"""Bits of equations that one constraint takes together."""


def _roots(degree: int, count: int) -> list[int]:
    """Return the first 32 bits behind the point of the roots of the first primes."""
    primes = [p for p in range(2, 312) if all(p % q for q in range(2, p))][:count]
    out = []
    for prime in primes:
        low, high = 0, 1 << 40
        while low < high - 1:
            middle = (low + high) // 2
            low, high = (middle, high) if middle**degree <= prime << 32 * degree else (low, middle)
        out.append(low & 0xFFFFFFFF)
    return out


ROUND_CONSTANTS, INITIAL_STATE = _roots(3, 64), _roots(2, 8)
"""Source: FIPS 180-4 sections 4.2.2 and 5.3.3."""


def constant_word(value: int) -> Word:
    """Return the bits of a constant."""
    return [bool(value >> place & 1) for place in range(WORD_BITS)]


class _Equations:
    """Gathers equations of small sums, so that one constraint checks many of them (multieq.rs)."""

    def __init__(self, part: PartBuilder) -> None:
        self.part, self.used = part, 0
        self.left: Combination = {}
        self.right: Combination = {}

    def add(self, bits: int, left: Combination, right: Combination) -> None:
        if self.used + bits >= _CAPACITY:
            self.flush()
        add_to(self.left, left, 1 << self.used)
        add_to(self.right, right, 1 << self.used)
        self.used += bits

    def flush(self) -> None:
        if self.used:
            self.part.enforce(self.left, UNIT, self.right)
        self.used, self.left, self.right = 0, {}, {}


def _sum(equations: _Equations, operands: Sequence[Word]) -> Word:
    """Return the sum of words modulo 2^32 (uint32.rs addmany)."""
    total: Combination = {}
    for word in operands:
        add_to(total, weighted(word))
    if all(isinstance(bit, bool) for word in operands for bit in word):
        return constant_word(sum(total.values()))
    count = (len(operands) * 0xFFFFFFFF).bit_length()
    bits = bits_of(equations.part, total, count)
    equations.add(count, total, weighted(bits))
    return bits[:WORD_BITS]


def _rotated(word: Word, count: int) -> Word:
    return word[count:] + word[:count]


def _shifted(word: Word, count: int) -> Word:
    return word[count:] + [False] * count


def _xor(part: PartBuilder, *words: Word) -> Word:
    out = words[0]
    for word in words[1:]:
        out = [exclusive_or(part, left, right) for left, right in zip(out, word, strict=True)]
    return out


def _schedule(equations: _Equations, block: Sequence[Boolean]) -> list[Word]:
    part = equations.part
    w = [list(block[start : start + WORD_BITS][::-1]) for start in range(0, BLOCK_BITS, WORD_BITS)]
    for i in range(16, 64):
        s0 = _xor(part, _rotated(w[i - 15], 7), _rotated(w[i - 15], 18), _shifted(w[i - 15], 3))
        s1 = _xor(part, _rotated(w[i - 2], 17), _rotated(w[i - 2], 19), _shifted(w[i - 2], 10))
        w.append(_sum(equations, [w[i - 16], s0, w[i - 7], s1]))
    return w


def _compress(part: PartBuilder, block: Sequence[Boolean], state: list[Word]) -> list[Word]:
    equations = _Equations(part)
    w = _schedule(equations, block)
    a, b, c, d, e, f, g, h = state
    deferred_a: list[Word] = []  # summed only when the next round needs them
    deferred_e: list[Word] = []
    for i in range(64):
        e = _sum(equations, deferred_e) if deferred_e else e
        s1 = _xor(part, _rotated(e, 6), _rotated(e, 11), _rotated(e, 25))
        ch = [choice(part, x, y, z) for x, y, z in zip(e, f, g, strict=True)]
        first = [h, s1, ch, constant_word(ROUND_CONSTANTS[i]), w[i]]
        a = _sum(equations, deferred_a) if deferred_a else a
        s0 = _xor(part, _rotated(a, 2), _rotated(a, 13), _rotated(a, 22))
        maj = [majority(part, x, y, z) for x, y, z in zip(a, b, c, strict=True)]
        deferred_e, deferred_a = [*first, d], [*first, s0, maj]
        h, g, f, d, c, b = g, f, e, c, b, a
    words = [_sum(equations, [*deferred_a, state[0]])]
    words += [_sum(equations, [state[i], word]) for i, word in ((1, b), (2, c), (3, d))]
    words.append(_sum(equations, [*deferred_e, state[4]]))
    words += [_sum(equations, [state[i], word]) for i, word in ((5, f), (6, g), (7, h))]
    equations.flush()
    return words


def _compressed(part: PartBuilder, block: Sequence[Boolean], state: list[Word]) -> list[Word]:
    """As `_compress`; rows with constants at the same places are a template."""
    bits = [*block, *(bit for word in state for bit in word)]
    if any(bit[0] for bit in bits if not isinstance(bit, bool)):  # negated: other rows
        return _compress(part, block, state)
    places = tuple(bit if isinstance(bit, bool) else None for bit in bits)
    codes = [bit[1] for bit in bits if not isinstance(bit, bool)]

    def gadget(inner: PartBuilder, outer: list[int]) -> tuple[Boolean, ...]:
        codes_left = iter(outer)
        filled: list[Boolean] = [
            (False, next(codes_left)) if constant is None else constant for constant in places
        ]
        words = [filled[start : start + WORD_BITS] for start in range(BLOCK_BITS, len(filled), WORD_BITS)]
        return tuple(bit for word in _compress(inner, filled[:BLOCK_BITS], words) for bit in word)

    results = part.apply(("sha256", places), codes, gadget)
    return [list(results[start : start + WORD_BITS]) for start in range(0, len(results), WORD_BITS)]


def sha256(part: PartBuilder, message: Sequence[Boolean]) -> list[Boolean]:
    """Return the 256 bits of the digest, the highest of each word first; the message likewise."""
    padded = [*message, True]
    padded += [False] * (-(len(padded) + 64) % BLOCK_BITS)
    padded += [bool(len(message) >> place & 1) for place in range(63, -1, -1)]
    state = [constant_word(word) for word in INITIAL_STATE]
    for start in range(0, len(padded), BLOCK_BITS):
        state = _compressed(part, padded[start : start + BLOCK_BITS], state)
    return [bit for word in state for bit in word[::-1]]


def sha256_number(part: PartBuilder, message: Sequence[Boolean]) -> int:
    """Return the digest's first 254 bits, in its bytes' order, as a number."""
    return pack(part, reversed_bytes(sha256(part, message)))


def sha256_node(part: PartBuilder, children: Sequence[int]) -> int:
    """Return the parent of two nodes of tree_d."""

    def gadget(inner: PartBuilder, outer: list[int]) -> tuple[int]:
        message = [bit for child in outer for bit in reversed_bytes(number_bits(inner, child))]
        return (sha256_number(inner, message),)

    (node,) = part.apply("sha256 node", children, gadget)
    return int(node)
