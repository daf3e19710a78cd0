"""Poseidon of one message after the other with 64-bit limbs: the path of CPUs without IFMA and FMA.

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
from workers.kernels.montgomery import SCALARS, join, split
from workers.kernels.poseidon_rounds import permute, slots_needed

SLOT = CONSTANT = 32
"""Bytes of one element or constant: 4 limbs of 64 bits."""
_DOT_BOUND = 11
"""A dot product of at most 22 terms is below 22 · r²/2^256 + r < 11 r after its reduction."""


def _emit_sbox(builder, target, source, constant):
    """target = source^5 / 2^1024 + constant.

    target, source: i64  addresses of elements; they may be the same
    constant:       i64  address of the round key, already in the scale of the result
    """
    x = SCALARS.load(builder, source)
    x2 = SCALARS.multiply(builder, x, x)
    x4 = SCALARS.multiply(builder, x2, x2)
    SCALARS.store(builder, target, SCALARS.multiply(builder, x4, x, SCALARS.load(builder, constant)))


def _emit_scale(builder, target, source, constants):
    """target = source · constants[0] / 2^256 + constants[1]: an input in Montgomery form plus its constant.

    target, source: i64  addresses of elements;  constants: i64  address of u64[2, 4]
    """
    value = SCALARS.multiply(
        builder,
        SCALARS.load(builder, source),
        SCALARS.load(builder, constants),
        SCALARS.load(builder, constants, SLOT),
    )
    SCALARS.store(builder, target, value)


def _dot_words(builder, slots, stride, constants, count):
    """The nine words of Σ slot k · constant k, without any reduction between.

    slots:     i64  address of the first element;  stride: i64  bytes to the next
    constants: i64  address of u64[count, 4];  count: i64  1 to 22
    Each product is below r², 22 of them below 2^515: nine words hold 576 bits.
    """

    def turn(index, sums):
        """Add one product as one integer of 576 bits."""
        left = SCALARS.load(builder, builder.add(slots, builder.mul(index, stride)))
        right = SCALARS.load(builder, builder.add(constants, builder.mul(index, llvm.splat(I64, CONSTANT))))
        return [builder.add(sums[0], join(builder, SCALARS.product(builder, left, right), SCALARS.dot_type))]

    return split(builder, llvm.loop(builder, count, [ir.Constant(SCALARS.dot_type, 0)], turn)[0], 9)


def _emit_dot(builder, target, slots, constants, count):
    """target = Σ slot k · constant k / 2^256 of neighbouring elements, below r; else as in `_dot_words`."""
    words = _dot_words(builder, slots, llvm.splat(I64, SLOT), constants, count)
    SCALARS.store(builder, target, SCALARS.reduce(builder, words, _DOT_BOUND))


def _emit_dot_add(builder, target, plain, slots, stride, constants, count):
    """target = plain + Σ slot k · constant k / 2^256, below r: a sum whose first weight is 1.

    target, plain: i64  addresses of elements; the others as in `_dot_words`.  All is read before target is
                   written.
    """
    words = _dot_words(builder, slots, stride, constants, count)
    SCALARS.store(builder, target, SCALARS.reduce(builder, words, _DOT_BOUND, SCALARS.load(builder, plain)))


_SBOX, _SCALE = llvm.step(_emit_sbox), llvm.step(_emit_scale)
_DOT, _DOT_ADD = llvm.step(_emit_dot), llvm.step(_emit_dot_add)


@njit(**SERIAL)
def hash_words(bases, step, out, constants, partial_rounds):
    """Poseidon of `len(out)` messages; message m's element i is the node at bases[i] + m · step.

    bases:     i64[arity]   addresses of the first message's elements
    step:      i64          bytes from one message's element to the next message's
    out:       u64[n, 4]    output, every word written
    constants: u64[k, 4]    rows of `constants_in_order`
    partial_rounds: i64  of the arity
    Cost:    about half of the multiplications of neptune's form, one reduction per dot product.
    Threads: none inside; the GIL is free.
    Errors:  none; `poseidon` has made the constants, callers keep the memory behind `bases` alive.
    Source:  neptune src/poseidon.rs by its vectors; form of `poseidon_recurrence`.
    Twin:    tests/naive/poseidon.py poseidon.   Golden: tests/golden/proofs/poseidon.json.
    """
    width = bases.shape[0] + 1
    scratch = np.empty((slots_needed(width, partial_rounds), SLOT // 8), np.uint64)
    start = np.int64(scratch.ctypes.data)
    for message in range(out.shape[0]):
        k = np.int64(constants.ctypes.data)
        for word in range(4):
            scratch[0, word] = constants[0, word]
        k += CONSTANT
        for i in range(1, width):
            _SCALE(start + SLOT * i, bases[i - 1] + step * message, k)
            k += 2 * CONSTANT
        digest = permute((_SBOX, _DOT, _DOT_ADD), (SLOT, CONSTANT), start, k, width, partial_rounds)
        for word in range(4):
            out[message, word] = scratch[(digest - start) // SLOT, word]
