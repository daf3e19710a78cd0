# mypy: allow-untyped-calls
"""64-bit Montgomery arithmetic of the scalar field as LLVM code, for the kernels' intrinsics.

64 x 64 -> 128 bit products come from LLVM's i128; values are four limbs, below r at rest.
"""

from __future__ import annotations

from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite has no types

from workers.kernels import llvm
from workers.kernels.field import MODULUS
from workers.kernels.llvm import I64, I128

SLOT = 32
"""Bytes of one element or constant: 4 limbs of 64 bits."""
_WORD = (1 << 64) - 1
_MODULUS_LIMBS = [MODULUS >> 64 * i & _WORD for i in range(4)]
_INVERSE = -pow(MODULUS, -1, 1 << 64) & _WORD
I320 = ir.IntType(320)
I576 = ir.IntType(576)


def limbs_load(builder, address, offset=0):
    """Four limbs from memory."""
    return [llvm.load(builder, address, offset + 8 * k, I64) for k in range(4)]


def limbs_store(builder, address, value):
    """Four limbs to memory."""
    for k in range(4):
        llvm.store(builder, value[k], address, 8 * k)


def _wide(builder, left, right, *adds):
    """(low, high) of left · right + adds."""
    product = builder.mul(builder.zext(left, I128), builder.zext(right, I128))
    for add in adds:
        product = builder.add(product, builder.zext(add, I128))
    return builder.trunc(product, I64), builder.trunc(builder.lshr(product, llvm.splat(I128, 64)), I64)


def product(builder, left, right):
    """Eight limbs of the full product."""
    out = [None] * 8
    for i in range(4):
        carry = None
        for j in range(4):
            adds = [value for value in (out[i + j], carry) if value is not None]
            out[i + j], carry = _wide(builder, left[i], right[j], *adds)
        out[i + 4] = carry
    return out


def join(builder, words, type_):
    """Limbs as one wide integer."""
    out = builder.zext(words[0], type_)
    for k, word in enumerate(words[1:], 1):
        out = builder.or_(out, builder.shl(builder.zext(word, type_), llvm.splat(type_, 64 * k)))
    return out


def split(builder, value, count):
    """A wide integer as limbs."""
    shifted = [builder.lshr(value, llvm.splat(value.type, 64 * k)) for k in range(count)]
    return [builder.trunc(part, I64) for part in shifted]


def below_modulus(builder, value, bound):
    """`value` < bound · r brought below r by compare and subtract."""
    factor = 1
    while 2 * factor < bound:
        factor *= 2
    while factor:
        less = builder.sub(value, ir.Constant(I320, factor * MODULUS))
        negative = builder.icmp_signed("<", less, ir.Constant(I320, 0))
        value = builder.select(negative, value, less)
        factor //= 2
    return value


def reduce(builder, words, bound, add=None):
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
    value = join(builder, t[4:9], I320)
    if add is not None:
        value, bound = builder.add(value, join(builder, add, I320)), bound + 1
    return split(builder, below_modulus(builder, value, bound), 4)


def multiply(builder, left, right, add=None):
    """left * right / 2^256 + add, below r."""
    return reduce(builder, product(builder, left, right), 2, add)
