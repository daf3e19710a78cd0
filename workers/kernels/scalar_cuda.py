"""Products in the scalar field in a thread of an NVIDIA card: `scalar_ptx` as numba calls it.

In numba's simulator (NUMBA_ENABLE_CUDASIM=1) an element is a Python integer, the arithmetic Python's: what
the text of PTX does is tested by itself.
"""

# mypy: allow-untyped-calls, allow-untyped-defs

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite has no types
from numba import cuda, types
from numba.cuda.extending import intrinsic

from workers.kernels.field import MODULUS
from workers.kernels.scalar_ptx import SUM_WORDS, WORDS, declared, product_lines, reduction_lines, sum_names

IS_SIMULATED = bool(numba.config.ENABLE_CUDASIM)  # type: ignore[attr-defined]  # made at run time
_I32 = ir.IntType(32)
_LEFT, _RIGHT, _OUT = ([f"%{name}{i}" for i in range(WORDS)] for name in ("x", "y", "w"))
_ELEMENT, _SUM = types.UniTuple(types.uint32, WORDS), types.UniTuple(types.uint32, SUM_WORDS)
_RADIX_INVERSE = pow(1 << 32 * WORDS, -1, MODULUS)


def _assembled(context, builder, returned, arguments, lines, names):
    """Call lines of PTX.

    arguments: tuples of u32, one after the other
    names:     (registers that get the arguments' words, registers that are returned)
    """
    inputs, outputs = names
    words = [word for argument in arguments for word in numba.core.cgutils.unpack_tuple(builder, argument)]
    text = [
        *declared(list(dict.fromkeys([*inputs, *outputs]))),
        *(f"mov.u32 {name}, ${len(outputs) + i};" for i, name in enumerate(inputs)),
        *lines,
        *(f"mov.u32 ${i}, {name};" for i, name in enumerate(outputs)),
    ]
    kind = ir.FunctionType(ir.LiteralStructType([_I32] * len(outputs)), [_I32] * len(words))
    constraints = ",".join(["=r"] * len(outputs) + ["r"] * len(words))
    found = builder.call(ir.InlineAsm(kind, "{" + " ".join(text) + "}", constraints), words)
    values = [builder.extract_value(found, i) for i in range(len(outputs))]
    return context.make_tuple(builder, returned, values)


def _emit_zero(context, builder, signature, _arguments):
    """The empty sum."""
    return context.make_tuple(builder, signature.return_type, [ir.Constant(_I32, 0)] * SUM_WORDS)


def _emit_add_product(context, builder, signature, arguments):
    """Sum + left · right."""
    names = [*sum_names(), *_LEFT, *_RIGHT], sum_names()
    lines = product_lines(_LEFT, _RIGHT)
    return _assembled(context, builder, signature.return_type, arguments, lines, names)


def _reduction(bound, *, has_plain):
    """Return what emits a sum / 2^256 (+ an element), below r."""
    plain = _RIGHT if has_plain else []

    def emit(context, builder, signature, arguments):
        """The lines of one bound."""
        names = [*sum_names(), *plain], _OUT
        lines = reduction_lines(_OUT, plain, bound)
        return _assembled(context, builder, signature.return_type, arguments, lines, names)

    return emit


device = (lambda function: function) if IS_SIMULATED else cuda.jit(device=True)
"""Makes a function of the card's of one; the simulator's own way exchanges its globals at each call."""

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

    def element_load(rows, row):
        """Return the element in a row of u32[n, 8]."""
        return int.from_bytes(_plain(rows)[row].tobytes(), "little")

    def element_store(rows, row, value):
        """Write an element into a row of u32[n, 8]."""
        _plain(rows)[row] = np.frombuffer(value.to_bytes(4 * WORDS, "little"), np.uint32)

    def _plain(rows):
        """Return the array itself: what the simulator puts around it takes a hundred times as long."""
        return rows if isinstance(rows, np.ndarray) else rows._item._ary
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

    @device
    def element_load(rows, row):
        """Return the element in a row of u32[n, 8]."""
        return (
            rows[row, 0],
            rows[row, 1],
            rows[row, 2],
            rows[row, 3],
            rows[row, 4],
            rows[row, 5],
            rows[row, 6],
            rows[row, 7],
        )

    @device
    def element_store(rows, row, value):
        """Write an element into a row of u32[n, 8]."""
        for i in range(WORDS):
            rows[row, i] = value[i]
