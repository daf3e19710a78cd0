# mypy: allow-untyped-calls
"""Inverses in the base field and in its extension, eight at a time in IFMA lanes."""

from __future__ import annotations

from functools import partial

import numpy as np
from numba import njit

from workers.kernels import llvm
from workers.kernels.curve_fields import FERMAT_EXPONENT
from workers.kernels.curve_lanes import E1, E2, FIELD, ONE, fp_multiply, fp_square, room_on_stack
from workers.kernels.flags import STEP
from workers.kernels.llvm import I64


def _emit_norm(builder, target, value):
    """a² + b² of 8 values a + b u: address of two slots to the address of one; carried, below 2.4 p."""
    other = room_on_stack(builder, 1)
    fp_square(builder, target, value)
    fp_square(builder, other, builder.add(value, llvm.splat(I64, FIELD.slot)))
    total = FIELD.add(builder, FIELD.load(builder, target), FIELD.load(builder, other))
    FIELD.store(builder, target, FIELD.carried(builder, total))


def _emit_conjugate(builder, target, value, factor):
    """(a - b u) · factor, the factor in the base field; b at most 64 p; not in place.

    target, value: i64  addresses of two slots each;  factor: i64  address of one
    Both parts of the result are carried and below 1.2 p.
    """
    minus = room_on_stack(builder, 1)
    imaginary = E2.load(builder, value)[1]
    negative = FIELD.subtract(builder, FIELD.constant(0), imaginary, 64)
    FIELD.store(builder, minus, FIELD.carried(builder, negative))
    fp_multiply(builder, target, value, factor)
    fp_multiply(builder, builder.add(target, llvm.splat(I64, FIELD.slot)), minus, factor)


def _emit_one(e, builder, target):
    """Write the Montgomery form of 1 to a slot, in all lanes; its second part is 0."""
    e.store(builder, target, e.constant(ONE))


def step_of(e, name, emit):
    """Return a step of the base field (`E1`) or the extension (`E2`), under a name of its own.

    e:    the coordinates: first argument of `emit`
    name: one for each `emit`: with the number of parts it names the function in the compiled module
    emit: emit(e, builder, *addresses)
    """
    return llvm.step(llvm.called(f"g{e.parts}_lanes_{name}", partial(emit, e)))


_SQUARE = llvm.step(fp_square)
_NORM, _CONJUGATE = (
    llvm.step(llvm.called("fp2_lanes_norm", _emit_norm)),
    llvm.step(llvm.called("fp2_lanes_conjugate", _emit_conjugate)),
)
SLOT_1, SLOT_2 = E1.slot, E2.slot
ONE_1, ONE_2 = step_of(E1, "one", _emit_one), step_of(E2, "one", _emit_one)
MULTIPLY_1, MULTIPLY_2 = llvm.step(E1.multiply), llvm.step(E2.multiply)


@njit(**STEP)
def invert_1(target, value, room):
    """target = 1 / value in the base field, by Fermat; 0 stays 0.

    value^(p - 2), four bits of the exponent at a time: the 16 first powers are made beforehand, so there are
    384 squarings and 111 products for the 8 lanes together.

    target: i64  address of a slot; not `value`
    value:  i64  address of a slot
    room:   i64  address of 16 slots
    """
    ONE_1(room)
    for power in range(1, 16):
        MULTIPLY_1(room + power * SLOT_1, room + (power - 1) * SLOT_1, value)
    ONE_1(target)
    for place in range(64 * len(FERMAT_EXPONENT) - 4, -1, -4):
        for _ in range(4):
            _SQUARE(target, target)
        digit = FERMAT_EXPONENT[place >> 6] >> np.uint64(place & 63) & np.uint64(15)
        MULTIPLY_1(target, target, room + np.int64(digit) * SLOT_1)


@njit(**STEP)
def invert_2(target, value, room):
    """target = 1 / value in the extension: the conjugate over the norm.

    1 / (a + b u) = (a - b u) / (a² + b²); 0 stays 0.

    target: i64  address of two slots; not `value`
    value:  i64  address of two slots
    room:   i64  address of 18 slots
    """
    norm, inverse = room + 16 * SLOT_1, room + 17 * SLOT_1
    _NORM(norm, value)
    invert_1(inverse, norm, room)
    _CONJUGATE(target, value, inverse)
