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
from workers.kernels.field import MODULUS
from workers.kernels.flags import SERIAL
from workers.kernels.llvm import I64, I128

SLOT = 32
"""Bytes of one element or constant: 4 limbs of 64 bits."""
_WORD = (1 << 64) - 1
_MODULUS_LIMBS = [MODULUS >> 64 * i & _WORD for i in range(4)]
_INVERSE = -pow(MODULUS, -1, 1 << 64) & _WORD
_I320 = ir.IntType(320)
_I576 = ir.IntType(576)
_DOT_BOUND = 9
"""A dot product of at most 17 terms is below 17 · r²/2^256 + r < 9 r after its reduction."""


def _limbs(builder, address, offset=0):
    return [llvm.load(builder, address, offset + 8 * k, I64) for k in range(4)]


def _store(builder, address, value):
    for k in range(4):
        llvm.store(builder, value[k], address, 8 * k)


def _wide(builder, left, right, *adds):
    """(low, high) of left · right + adds."""
    product = builder.mul(builder.zext(left, I128), builder.zext(right, I128))
    for add in adds:
        product = builder.add(product, builder.zext(add, I128))
    return builder.trunc(product, I64), builder.trunc(builder.lshr(product, llvm.splat(I128, 64)), I64)


def _product(builder, left, right):
    out = [None] * 8
    for i in range(4):
        carry = None
        for j in range(4):
            adds = [value for value in (out[i + j], carry) if value is not None]
            out[i + j], carry = _wide(builder, left[i], right[j], *adds)
        out[i + 4] = carry
    return out


def _join(builder, words, type_):
    out = builder.zext(words[0], type_)
    for k, word in enumerate(words[1:], 1):
        out = builder.or_(out, builder.shl(builder.zext(word, type_), llvm.splat(type_, 64 * k)))
    return out


def _split(builder, value, count):
    shifted = [builder.lshr(value, llvm.splat(value.type, 64 * k)) for k in range(count)]
    return [builder.trunc(part, I64) for part in shifted]


def _below_modulus(builder, value, bound):
    """`value` < bound · r brought below r by compare and subtract."""
    factor = 1
    while 2 * factor < bound:
        factor *= 2
    while factor:
        less = builder.sub(value, ir.Constant(_I320, factor * MODULUS))
        negative = builder.icmp_signed("<", less, ir.Constant(_I320, 0))
        value = builder.select(negative, value, less)
        factor //= 2
    return value


def _reduce(builder, words, bound, add=None):
    """Montgomery reduction of 8 or 9 words, plus `add`, below r; `bound` is its size in r before."""
    t = [*words, *[llvm.splat(I64, 0)] * (9 - len(words))]
    carried = None
    for i in range(4):
        m = builder.mul(t[i], llvm.splat(I64, _INVERSE))
        carry = None
        for j in range(4):
            adds = [t[i + j]] if carry is None else [t[i + j], carry]
            t[i + j], carry = _wide(builder, m, llvm.splat(I64, _MODULUS_LIMBS[j]), *adds)
        total = builder.add(builder.zext(t[i + 4], I128), builder.zext(carry, I128))
        if carried is not None:
            total = builder.add(total, builder.zext(carried, I128))
        t[i + 4] = builder.trunc(total, I64)
        carried = builder.trunc(builder.lshr(total, llvm.splat(I128, 64)), I64)
    t[8] = builder.add(t[8], carried)
    value = _join(builder, t[4:9], _I320)
    if add is not None:
        value, bound = builder.add(value, _join(builder, add, _I320)), bound + 1
    return _split(builder, _below_modulus(builder, value, bound), 4)


def _multiply(builder, left, right, add=None):
    return _reduce(builder, _product(builder, left, right), 2, add)


def _emit_sbox(builder, target, source, constant):
    x = _limbs(builder, source)
    x2 = _multiply(builder, x, x)
    x4 = _multiply(builder, x2, x2)
    _store(builder, target, _multiply(builder, x4, x, _limbs(builder, constant)))


def _emit_scale(builder, target, source, constants):
    value = _multiply(
        builder, _limbs(builder, source), _limbs(builder, constants), _limbs(builder, constants, SLOT)
    )
    _store(builder, target, value)


def _dot_words(builder, slots, constants, count):
    def turn(index, sums):
        offset = builder.mul(index, llvm.splat(I64, SLOT))
        left = _limbs(builder, builder.add(slots, offset))
        right = _limbs(builder, builder.add(constants, offset))
        return [builder.add(sums[0], _join(builder, _product(builder, left, right), _I576))]

    return _split(builder, llvm.loop(builder, count, [ir.Constant(_I576, 0)], turn)[0], 9)


def _emit_dot(builder, target, slots, constants, count):
    words = _dot_words(builder, slots, constants, count)
    _store(builder, target, _reduce(builder, words, _DOT_BOUND))


def _emit_dot_add(builder, target, slots, constants, count):
    words = _dot_words(builder, slots, constants, count)
    _store(builder, target, _reduce(builder, words, _DOT_BOUND, _limbs(builder, target)))


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
