"""Poseidon of one message after the other with 64-bit limbs: the path of every CPU without IFMA.

64 x 64 → 128 bit products come from LLVM's i128, dot products are summed in 576 bits and reduced
once, values are kept below r.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite has no types
from numba import njit, types
from numba.extending import intrinsic

from workers.kernels import llvm
from workers.kernels.flags import SERIAL
from workers.kernels.llvm import I64
from workers.kernels.montgomery import I576, join, limbs_load, limbs_store, multiply, product, reduce, split

SLOT = 32
"""Bytes of one element or constant: 4 limbs of 64 bits."""
_DOT_BOUND = 9
"""A dot product of at most 17 terms is below 17 · r²/2^256 + r < 9 r after its reduction."""


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


def _dot_words(builder, slots, constants, count):
    def turn(index, sums):
        offset = builder.mul(index, llvm.splat(I64, SLOT))
        left = limbs_load(builder, builder.add(slots, offset))
        right = limbs_load(builder, builder.add(constants, offset))
        return [builder.add(sums[0], join(builder, product(builder, left, right), I576))]

    return split(builder, llvm.loop(builder, count, [ir.Constant(I576, 0)], turn)[0], 9)


def _emit_dot(builder, target, slots, constants, count):
    words = _dot_words(builder, slots, constants, count)
    limbs_store(builder, target, reduce(builder, words, _DOT_BOUND))


def _emit_dot_add(builder, target, slots, constants, count):
    words = _dot_words(builder, slots, constants, count)
    limbs_store(builder, target, reduce(builder, words, _DOT_BOUND, limbs_load(builder, target)))


def _of_3(emit):
    @intrinsic
    def step(_typing, _target, _first, _second):
        def code(context, builder, _signature, arguments):
            emit(builder, *arguments)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64), code

    return step


def _of_4(emit):
    @intrinsic
    def step(_typing, _target, _first, _second, _count):
        def code(context, builder, _signature, arguments):
            emit(builder, *arguments)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64, types.int64), code

    return step


_SBOX, _SCALE = _of_3(_emit_sbox), _of_3(_emit_scale)
_DOT, _DOT_ADD = _of_4(_emit_dot), _of_4(_emit_dot_add)


@njit(**SERIAL)
def hash_words(bases, step, out, constants, partial_rounds, block):
    """Poseidon of `len(out)` messages; message m's element i is the node at bases[i] + m · step.

    bases:     i64[arity]   addresses of the first message's elements
    step:      i64          bytes from one message's element to the next message's
    out:       u64[n, 4]    output, every word written
    constants: u64[k, 4]    rows of `poseidon.constants_in_order`
    Cost:    about 0.6 times the multiplications of neptune's form, one reduction per dot product.
    Threads: none inside; the GIL is free.
    Errors:  none; `poseidon` has made the constants, callers keep the memory behind `bases` alive.
    Source:  neptune src/poseidon.rs hash_optimized_static.   Twin: tests/naive/poseidon.py.
    Golden:  tests/golden/proofs/poseidon.json.
    """
    width = bases.shape[0] + 1
    area = (width + block) * SLOT
    scratch = np.empty(2 * area // 8, np.uint64)
    start, first_constant = scratch.ctypes.data, constants.ctypes.data
    for message in range(out.shape[0]):
        here, there, k = start, start + area, first_constant
        for word in range(4):
            scratch[word] = constants[0, word]
        k += SLOT
        for i in range(1, width):
            _SCALE(here + SLOT * i, bases[i - 1] + step * message, k)
            k += 2 * SLOT
        for _ in range(4):
            for i in range(width):
                _SBOX(here + SLOT * i, here + SLOT * i, k)
                k += SLOT
            for i in range(width):
                _DOT(there + SLOT * i, here, k, width)
                k += SLOT * width
            here, there = there, here
        for first in range(0, partial_rounds, block):
            depth = min(block, partial_rounds - first)
            for at in range(depth):
                _SBOX(here + SLOT * (width + at), here, k)
                k += SLOT
                _DOT(here, here + SLOT, k, width + at)
                k += SLOT * (width + at)
            for i in range(1, width):
                _DOT_ADD(here + SLOT * i, here + SLOT * width, k, depth)
                k += SLOT * depth
        for turn in range(4):
            for i in range(width):
                _SBOX(here + SLOT * i, here + SLOT * i, k)
                k += SLOT
            for i in range(width if turn < 3 else 1):
                _DOT(there + SLOT * i, here, k, width)
                k += SLOT * width
            here, there = there, here
        for word in range(4):  # after an even number of turns the digest lies where it began
            out[message, word] = scratch[word]
