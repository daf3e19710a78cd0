"""SHA-256 in vector lanes: the schedule and the compression, one message a lane."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from workers.kernels.cpu import has_ternary_logic
from workers.kernels.llvm import V16, rotate_right, splat, ternary
from workers.kernels.sha256 import ROUND_CONSTANTS


def lanes_schedule(builder: Any, words: list[Any]) -> Iterator[Any]:
    """W + K of one block of 8 or 16 messages: 16 vectors in, 64 out, each computed when it is asked for.

    words:   16 vectors of u32: the big-endian words of the messages; may be constants
    returns: an iterator of 64 vectors

    So the schedule's instructions lie between those of the rounds, which wait for each other.
    """
    words = list(words)
    for i, key in enumerate(ROUND_CONSTANTS):
        if i >= 16:
            a, b = words[i - 15], words[i - 2]
            s0 = _xor3(
                builder, rotate_right(builder, a, 7), rotate_right(builder, a, 18), _shift(builder, a, 3)
            )
            s1 = _xor3(
                builder, rotate_right(builder, b, 17), rotate_right(builder, b, 19), _shift(builder, b, 10)
            )
            words.append(builder.add(builder.add(words[i - 16], s0), builder.add(words[i - 7], s1)))
        yield builder.add(words[i], splat(words[i].type, key))


def lanes_compress(builder: Any, state: list[Any], schedule: Iterable[Any]) -> list[Any]:
    """The 64 rounds over a schedule; vectors of 8 or 16 messages, or constants.

    state:    8 vectors of u32, a to h;  schedule: 64 vectors of W + K, asked for one by one
    returns:  the 8 vectors after the block
    """
    a, b, c, d, e, f, g, h = state
    for words in schedule:
        s1 = _xor3(builder, *(rotate_right(builder, e, turn) for turn in (6, 11, 25)))
        t = builder.add(builder.add(h, words), _choose(builder, e, f, g))
        t = builder.add(t, s1)  # last, since it is ready last: e waits for four instructions
        s0 = _xor3(builder, *(rotate_right(builder, a, turn) for turn in (2, 13, 22)))
        u = builder.add(s0, _majority(builder, a, b, c))
        h, g, f, e = g, f, e, builder.add(d, t)
        d, c, b, a = c, b, a, builder.add(t, u)
    return [builder.add(old, new) for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True)]


def _is_ternary(value: Any) -> bool:
    """Return whether logic of three operands is one instruction: 16 lanes, on a machine with AVX-512."""
    return value.type == V16 and has_ternary_logic()


def _xor3(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """a ^ b ^ c; bit 4a + 2b + c of the table is set where an odd number of them is."""
    if _is_ternary(a):
        return ternary(builder, 0b10010110, [a, b, c])
    return builder.xor(builder.xor(a, b), c)


def _choose(builder: Any, e: Any, f: Any, g: Any) -> Any:
    """f where e is 1, g where it is 0, bit by bit."""
    if _is_ternary(e):
        return ternary(builder, 0b11001010, [e, f, g])
    return builder.xor(g, builder.and_(e, builder.xor(f, g)))


def _majority(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Return what at least two of the three bits are."""
    if _is_ternary(a):
        return ternary(builder, 0b11101000, [a, b, c])
    return builder.or_(builder.and_(a, b), builder.and_(c, builder.or_(a, b)))


def _shift(builder: Any, value: Any, count: int) -> Any:
    """Each lane shifted to the right; zeros come in."""
    return builder.lshr(value, splat(value.type, count))
