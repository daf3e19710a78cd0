"""Gadgets on booleans: constants, variables that are 0 or 1, and their negations.

Source: argumentcomputer/bellpepper crates/bellpepper-core/src/gadgets/boolean.rs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workers.snark.constraints import ONE
from workers.snark.gadgets.numbers import UNIT, add_to, number_of

if TYPE_CHECKING:
    from workers.snark.constraints import Combination
    from workers.snark.part_builder import PartBuilder

Boolean = bool | tuple[bool, int]
"""A constant, or whether a variable is negated, and the variable."""

PACKED_BITS = 254
"""Bits that fit a number for certain."""
NUMBER_BITS = 255
"""Bits of a number's canonical form."""


def combination_of(bit: Boolean, factor: int = 1) -> Combination:
    """Return factor · bit as a combination."""
    if isinstance(bit, bool):
        return {ONE: factor} if bit else {}
    negated, code = bit
    return {ONE: factor, code: -factor} if negated else {code: factor}


def negation(bit: Boolean) -> Boolean:
    """Return the negated bit; costs nothing."""
    return not bit if isinstance(bit, bool) else (not bit[0], bit[1])


def bit_enforce(part: PartBuilder, code: int) -> Boolean:
    """Require a variable to be 0 or 1, and return it as a boolean."""
    part.enforce({ONE: 1, code: -1}, {code: 1}, {})
    return (False, code)


def bit_new(part: PartBuilder) -> Boolean:
    """Return a bit whose value the caller gives."""
    return bit_enforce(part, part.assigned_new())


def bits_of(part: PartBuilder, source: Combination, count: int) -> list[Boolean]:
    """Return the lowest bits of a combination's value, the lowest first; their sum is not enforced here."""
    codes = [part.aux_new() for _ in range(count)]
    part.assign(source, codes[0], bits=count)
    return [bit_enforce(part, code) for code in codes]


def weighted(bits: Sequence[Boolean]) -> Combination:
    """Return Σ 2^i · bit i."""
    total: Combination = {}
    for place, bit in enumerate(bits):
        add_to(total, combination_of(bit, 1 << place))
    return total


def number_bits(part: PartBuilder, number: int) -> list[Boolean]:
    """Return the 255 bits of a number (bellpepper's to_bits_le)."""
    bits = bits_of(part, {number: 1}, NUMBER_BITS)
    part.enforce({}, {}, add_to(weighted(bits), {number: -1}))
    return bits


def pack(part: PartBuilder, bits: Sequence[Boolean]) -> int:
    """Return the number that the first 254 bits make."""
    return number_of(part, weighted(bits[:PACKED_BITS]))


def pack_input(part: PartBuilder, bits: Sequence[Boolean]) -> None:
    """Make bits public, 254 in an input."""
    for start in range(0, len(bits), PACKED_BITS):
        combination = weighted(bits[start : start + PACKED_BITS])
        public = part.input_new()
        part.enforce(combination, UNIT, {public: 1}, solved=public)


def reversed_bytes(bits: Sequence[Boolean]) -> list[Boolean]:
    """Return bits padded with false to whole bytes, the order within each byte turned round."""
    padded = [*bits, *[False] * (-len(bits) % 8)]
    return [bit for start in range(0, len(padded), 8) for bit in padded[start : start + 8][::-1]]


def exclusive_or(part: PartBuilder, left: Boolean, right: Boolean) -> Boolean:
    """Return left xor right; a row only if both are variables."""
    if isinstance(left, bool):
        return negation(right) if left else right
    if isinstance(right, bool):
        return negation(left) if right else left
    if left[0] != right[0]:
        plain, negated = (right, left) if left[0] else (left, right)
        return negation(exclusive_or(part, plain, negation(negated)))
    first, second = left[1], right[1]
    result = part.aux_new()
    sum_ = add_to(add_to({first: 1}, {second: 1}), {result: -1})
    part.enforce({first: 2}, {second: 1}, sum_, solved=result)
    return (False, result)


def conjunction(part: PartBuilder, left: Boolean, right: Boolean) -> Boolean:
    """Return left and right; a row only if both are variables."""
    if isinstance(left, bool):
        return right if left else False
    if isinstance(right, bool):
        return left if right else False
    if left[0] and not right[0]:
        left, right = right, left
    result = part.aux_new()
    part.enforce(combination_of(left), combination_of(right), {result: 1}, solved=result)
    return (False, result)


def choice(part: PartBuilder, condition: Boolean, if_true: Boolean, if_false: Boolean) -> Boolean:
    """Return SHA-256's Ch: if_true where the condition holds, else if_false."""
    if isinstance(condition, bool) and isinstance(if_true, bool) and isinstance(if_false, bool):
        return if_true if condition else if_false
    if condition is False:
        return if_false
    if if_true is False:
        return conjunction(part, negation(condition), if_false)
    if if_false is False:
        return conjunction(part, condition, if_true)
    if if_false is True:
        return negation(conjunction(part, condition, negation(if_true)))
    if if_true is True:
        return negation(conjunction(part, negation(condition), negation(if_false)))
    result = part.aux_new()
    difference = add_to(combination_of(if_true), combination_of(if_false), -1)
    rest = add_to({result: 1}, combination_of(if_false), -1)
    part.enforce(difference, combination_of(condition), rest, solved=result)
    return (False, result)


def majority(part: PartBuilder, a: Boolean, b: Boolean, c: Boolean) -> Boolean:
    """Return SHA-256's Maj: what at least two of the three are."""
    if isinstance(a, bool) and isinstance(b, bool) and isinstance(c, bool):
        return a + b + c >= 2
    for constant, first, second in ((a, b, c), (b, a, c), (c, a, b)):
        if constant is False:
            return conjunction(part, first, second)
    for constant, first, second in ((c, a, b), (b, a, c), (a, b, c)):
        if constant is True:
            return negation(conjunction(part, negation(first), negation(second)))
    result = part.aux_new()
    both = conjunction(part, b, c)
    left = add_to(add_to(combination_of(both, 2), combination_of(b), -1), combination_of(c), -1)
    part.enforce(left, combination_of(a), add_to(combination_of(both), {result: -1}), solved=result)
    return (False, result)
