"""Poseidon of one message after the other with 64-bit limbs: the path of every CPU without IFMA.

64 x 64 → 128 bit products come from LLVM's i128, dot products are summed in 576 bits and reduced
once, values are kept below r.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite has no types
from numba import njit

from workers.kernels import llvm
from workers.kernels.flags import SERIAL
from workers.kernels.llvm import I64
from workers.kernels.montgomery import I576, join, limbs_load, limbs_store, multiply, product, reduce, split

SLOT = CONSTANT = 32
"""Bytes of one element or constant: 4 limbs of 64 bits."""
_DOT_BOUND = 11
"""A dot product of at most 22 terms is below 22 · r²/2^256 + r < 11 r after its reduction."""


def _emit_sbox(builder, target, source, constant):
    x = limbs_load(builder, source)
    x2 = multiply(builder, x, x)
    x4 = multiply(builder, x2, x2)
    limbs_store(builder, target, multiply(builder, x4, x, limbs_load(builder, constant)))


def _emit_scale(builder, target, source, constants):
    value = multiply(
        builder,
        limbs_load(builder, source),
        limbs_load(builder, constants),
        limbs_load(builder, constants, SLOT),
    )
    limbs_store(builder, target, value)


def _dot_words(builder, slots, stride, constants, count):
    def turn(index, sums):
        left = limbs_load(builder, builder.add(slots, builder.mul(index, stride)))
        right = limbs_load(builder, builder.add(constants, builder.mul(index, llvm.splat(I64, CONSTANT))))
        return [builder.add(sums[0], join(builder, product(builder, left, right), I576))]

    return split(builder, llvm.loop(builder, count, [ir.Constant(I576, 0)], turn)[0], 9)


def _emit_dot(builder, target, slots, constants, count):
    words = _dot_words(builder, slots, llvm.splat(I64, SLOT), constants, count)
    limbs_store(builder, target, reduce(builder, words, _DOT_BOUND))


def _emit_dot_add(builder, target, plain, slots, stride, constants, count):
    words = _dot_words(builder, slots, stride, constants, count)
    limbs_store(builder, target, reduce(builder, words, _DOT_BOUND, limbs_load(builder, plain)))


_SBOX, _SCALE = llvm.step(_emit_sbox), llvm.step(_emit_scale)
_DOT, _DOT_ADD = llvm.step(_emit_dot), llvm.step(_emit_dot_add)


@njit(**SERIAL)
def hash_words(bases, step, out, constants, partial_rounds):
    """Poseidon of `len(out)` messages; message m's element i is the node at bases[i] + m · step.

    bases:     i64[arity]   addresses of the first message's elements
    step:      i64          bytes from one message's element to the next message's
    out:       u64[n, 4]    output, every word written
    constants: u64[k, 4]    rows of `constants_in_order`
    Cost:    about half of the multiplications of neptune's form, one reduction per dot product.
    Threads: none inside; the GIL is free.
    Errors:  none; `poseidon` has made the constants, callers keep the memory behind `bases` alive.
    Source:  neptune src/poseidon.rs by its vectors; form of `poseidon_recurrence`.
    Twin:    tests/naive/poseidon.py.   Golden: tests/golden/proofs/poseidon.json.
    """
    tail = bases.shape[0]
    width = tail + 1
    scratch = np.empty((2 * width + 2 * partial_rounds + width, SLOT // 8), np.uint64)
    start, tape = scratch.ctypes.data, scratch.ctypes.data + 2 * width * SLOT
    for message in range(out.shape[0]):
        here, there, k = start, start + width * SLOT, constants.ctypes.data
        for word in range(4):
            scratch[0, word] = constants[0, word]
        k += CONSTANT
        for i in range(1, width):
            _SCALE(here + SLOT * i, bases[i - 1] + step * message, k)
            k += 2 * CONSTANT
        for turn in range(4):  # the last one begins the recurrence: every other slot is a y
            target, gap = (there, SLOT) if turn < 3 else (tape, 2 * SLOT)
            for i in range(1 if turn == 0 else 0, width):
                _SBOX(here + SLOT * i, here + SLOT * i, k)
                k += CONSTANT
            for i in range(width):
                _DOT_ADD(target + gap * i, here, here + SLOT, SLOT, k, tail)
                k += CONSTANT * tail
            here, there = there, here
        for turn in range(partial_rounds):  # y of this turn, its s, y of the next one
            y = tape + 2 * SLOT * turn
            _SBOX(y + SLOT, y, k)
            k += CONSTANT
            following = y + 2 * SLOT
            if turn < tail:
                _DOT_ADD(following, following, tape + SLOT, 2 * SLOT, k, turn + 1)
                k += CONSTANT * (turn + 1)
            else:
                _DOT_ADD(following, y + SLOT, following - SLOT * (2 * tail + 1), SLOT, k, 2 * tail)
                k += CONSTANT * 2 * tail
        here, there = tape + 2 * SLOT * partial_rounds, start
        for i in range(1, width):  # the tail of the state stands behind the last y
            _DOT_ADD(here + SLOT * i, here, here - SLOT * (2 * tail - 1), SLOT, k, 2 * tail - 1)
            k += CONSTANT * (2 * tail - 1)
        for turn in range(4):
            for i in range(width):
                _SBOX(here + SLOT * i, here + SLOT * i, k)
                k += CONSTANT
            if turn < 3:
                for i in range(width):
                    _DOT_ADD(there + SLOT * i, here, here + SLOT, SLOT, k, tail)
                    k += CONSTANT * tail
            else:
                _DOT(there, here, k, width)
            here, there = there, here
        for word in range(4):  # after four turns the digest lies where the last y was
            out[message, word] = scratch[2 * (width + partial_rounds), word]
