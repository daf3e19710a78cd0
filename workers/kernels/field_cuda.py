"""Fields in a thread of an NVIDIA card: `field_ptx` as numba calls it.

In numba's simulator (NUMBA_ENABLE_CUDASIM=1) an element is a Python integer, the arithmetic Python's: what
the text of PTX does is tested by itself.
"""

# mypy: allow-untyped-calls, allow-untyped-defs

from __future__ import annotations

from types import SimpleNamespace

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite has no types
from numba import cuda, types
from numba.cuda.extending import intrinsic

IS_SIMULATED = bool(numba.config.ENABLE_CUDASIM)  # type: ignore[attr-defined]  # made at run time
THREADS = 4 if IS_SIMULATED else 128
"""Threads of a block."""
_I32 = ir.IntType(32)

device = (lambda function: function) if IS_SIMULATED else cuda.jit(device=True)
"""Makes a function of the card's of one; the simulator's own way exchanges its globals at each call."""


def assembled(field, builder, arguments, lines, names):
    """Call lines of PTX; returns the values of the registers that are returned.

    arguments: tuples of u32, one after the other
    names:     (registers that get the arguments' words, registers that are returned)
    """
    inputs, outputs = names
    words = [word for argument in arguments for word in numba.core.cgutils.unpack_tuple(builder, argument)]
    named = list(dict.fromkeys([*inputs, *field.sum_names(), *outputs]))
    text = [
        *field.declared(named),
        *(f"mov.u32 {name}, ${len(outputs) + i};" for i, name in enumerate(inputs)),
        *lines,
        *(f"mov.u32 ${i}, {name};" for i, name in enumerate(outputs)),
    ]
    kind = ir.FunctionType(ir.LiteralStructType([_I32] * len(outputs)), [_I32] * len(words))
    constraints = ",".join(["=r"] * len(outputs) + ["r"] * len(words))
    found = builder.call(ir.InlineAsm(kind, "{" + " ".join(text) + "}", constraints), words)
    return [builder.extract_value(found, i) for i in range(len(outputs))]


def emitted(field, lines_of, inputs, outputs):
    """Return what emits lines as code of numba's; `lines_of` is called once for each use."""

    def emit(context, builder, signature, arguments):
        """The lines, their results as a tuple."""
        values = assembled(field, builder, arguments, lines_of(), (inputs, outputs))
        return context.make_tuple(builder, signature.return_type, values)

    return emit


def words_named(field, name):
    """Return registers for the words of an element."""
    return [f"%{name}{i}" for i in range(field.words)]


def plain_array(rows):
    """Return the array itself: what the simulator puts around it takes a hundred times as long."""
    return rows if isinstance(rows, np.ndarray) else rows._item._ary


def field_steps(field):
    """Return a field's steps: multiply (over the radix), add, subtract, store, is_zero (of a row)."""
    return _simulated(field) if IS_SIMULATED else _of_card(field)


def _simulated(field):
    """Return the steps over Python's integers."""
    inverse, count = pow(1 << 32 * field.words, -1, field.modulus), 4 * field.words

    def load(rows, row):
        """Return the element in a row of u32[n, words]."""
        return int.from_bytes(plain_array(rows)[row].tobytes(), "little")

    def store(rows, row, value):
        """Write an element into a row of u32[n, words]."""
        plain_array(rows)[row] = np.frombuffer(value.to_bytes(count, "little"), np.uint32)

    return SimpleNamespace(
        multiply=lambda left, right: left * right * inverse % field.modulus,
        add=lambda left, right: (left + right) % field.modulus,
        subtract=lambda left, right: (left - right) % field.modulus,
        load=load,
        store=store,
        is_zero=lambda rows, row: not plain_array(rows)[row].any(),
    )


def _of_card(field):
    """Return the steps by PTX."""
    words, element = field.words, types.UniTuple(types.uint32, field.words)
    left, right, out = (words_named(field, name) for name in "xyw")

    def step(write):
        """Return a step of two elements."""
        emit = emitted(field, lambda: write(out, left, right), [*left, *right], out)

        @intrinsic
        def made(_context, one, other):  # noqa: ARG001  # numba counts them
            """Return what the lines make of two elements."""
            return element(element, element), emit

        return made

    @device
    def store(rows, row, value):
        """Write an element into a row of u32[n, words]."""
        for i in range(words):
            rows[row, i] = value[i]

    @device
    def is_zero(rows, row):
        """Return whether all words of a row of u32[n, words] are 0."""
        bits = np.uint32(0)
        for i in range(words):
            bits |= rows[row, i]
        return bits == 0

    return SimpleNamespace(
        multiply=step(field.multiply_lines),
        add=step(field.add_lines),
        subtract=step(field.subtract_lines),
        load=_LOADS[words],
        store=store,
        is_zero=is_zero,
    )


@device
def _load_8(rows, row):
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
def _load_12(rows, row):
    """Return the element in a row of u32[n, 12]."""
    return (
        rows[row, 0],
        rows[row, 1],
        rows[row, 2],
        rows[row, 3],
        rows[row, 4],
        rows[row, 5],
        rows[row, 6],
        rows[row, 7],
        rows[row, 8],
        rows[row, 9],
        rows[row, 10],
        rows[row, 11],
    )


_LOADS = {8: _load_8, 12: _load_12}
