"""The scalar field in a thread of an NVIDIA card: its steps, and sums of products that are reduced once.

In numba's simulator an element is a Python integer: see `field_cuda`.
"""

# mypy: allow-untyped-calls, allow-untyped-defs

from __future__ import annotations

from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite has no types
from numba import types
from numba.cuda.extending import intrinsic

from workers.kernels.field import MODULUS
from workers.kernels.field_cuda import IS_SIMULATED, emitted, field_steps, words_named
from workers.kernels.field_ptx import SCALARS

_STEPS = field_steps(SCALARS)
multiply, add, subtract = _STEPS.multiply, _STEPS.add, _STEPS.subtract
element_load, element_store = _STEPS.load, _STEPS.store
_RADIX_INVERSE = pow(1 << 32 * SCALARS.words, -1, MODULUS)
_ELEMENT = types.UniTuple(types.uint32, SCALARS.words)
_SUM = types.UniTuple(types.uint32, SCALARS.sum_words)
_LEFT, _RIGHT, _OUT = (words_named(SCALARS, name) for name in "xyw")
_NAMES = SCALARS.sum_names()


def _emit_zero(context, builder, signature, _arguments):
    """The empty sum."""
    zeros = [ir.Constant(ir.IntType(32), 0)] * SCALARS.sum_words
    return context.make_tuple(builder, signature.return_type, zeros)


_emit_add_product = emitted(
    SCALARS, lambda: SCALARS.product_lines(_LEFT, _RIGHT), [*_NAMES, *_LEFT, *_RIGHT], _NAMES
)


def _reduction(bound, *, has_plain):
    """Return what emits a sum / 2^256 (+ an element), below r."""
    plain = _RIGHT if has_plain else []
    return emitted(SCALARS, lambda: SCALARS.reduction_lines(_OUT, plain, bound), [*_NAMES, *plain], _OUT)


if IS_SIMULATED:

    def sum_zero():
        """Return the empty sum."""
        return 0

    def add_product(total, left, right):
        """Return total + left · right."""
        return total + left * right

    def reduced(total):
        """Return a sum of at most 22 products / 2^256."""
        return total * _RADIX_INVERSE % MODULUS

    def reduced_add(total, plain):
        """Return a sum of at most 22 products / 2^256, plus an element."""
        return (total * _RADIX_INVERSE + plain) % MODULUS

    reduced_one, reduced_one_add = reduced, reduced_add
else:

    @intrinsic
    def sum_zero(_context):
        """Return the empty sum."""
        return _SUM(), _emit_zero

    @intrinsic
    def add_product(_context, total, left, right):  # noqa: ARG001  # numba counts them
        """Return total + left · right; 64 products of words."""
        return _SUM(_SUM, _ELEMENT, _ELEMENT), _emit_add_product

    @intrinsic
    def reduced(_context, total):  # noqa: ARG001
        """Return a sum of at most 22 products / 2^256, below r."""
        return _ELEMENT(_SUM), _reduction(11, has_plain=False)

    @intrinsic
    def reduced_add(_context, total, plain):  # noqa: ARG001
        """Return a sum of at most 22 products / 2^256, plus an element, below r."""
        return _ELEMENT(_SUM, _ELEMENT), _reduction(12, has_plain=True)

    @intrinsic
    def reduced_one(_context, total):  # noqa: ARG001
        """Return one product / 2^256, below r."""
        return _ELEMENT(_SUM), _reduction(2, has_plain=False)

    @intrinsic
    def reduced_one_add(_context, total, plain):  # noqa: ARG001
        """Return one product / 2^256, plus an element, below r."""
        return _ELEMENT(_SUM, _ELEMENT), _reduction(3, has_plain=True)
