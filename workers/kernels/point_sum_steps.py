# mypy: allow-untyped-calls
"""Steps of adding pairs of points in IFMA lanes: what is done with one group of 8 pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workers.kernels import llvm
from workers.kernels.curve_lanes import E1, E2, FIELD, ONE, room_on_stack, signs_of
from workers.kernels.ifma import equals, mask_bits
from workers.kernels.inverse_lanes import step_of
from workers.kernels.llvm import I64
from workers.kernels.montgomery import BASE_MODULUS


def _difference(e, builder, points, first, second, denominator, flag):
    """Write x2 - x1, and a byte that is not 0 where a case is likely.

    points:        i64  address of the first row
    first, second: i64  addresses of u32[8]; signs do not matter here
    denominator:   i64  address of a slot, output: x2 - x1 + 4 p, carried, below 6.01 p
    flag:          i64  address of a u8, output: a bit for each lane

    The lowest limb alone is compared.
    """
    x_one = e.gather(builder, e.addresses(builder, points, first), 0)
    x_two = e.gather(builder, e.addresses(builder, points, second), 0)
    below = e.carried(builder, e.subtract(builder, x_two, x_one, 4))
    e.store(builder, denominator, below)
    # x2 = x1 leaves 2 to 6 times p, infinity has nothing but zeros; a chance hit costs time alone
    suspects = builder.or_(equals(builder, x_one[0][0], 0), equals(builder, x_two[0][0], 0))
    for multiple in range(2, 7):
        hit = equals(builder, below[0][0], FIELD.limbs_of(multiple * BASE_MODULUS)[0])
        suspects = builder.or_(suspects, hit)
    llvm.store(builder, mask_bits(builder, suspects), flag, 0)


def _sum_on_line(e, builder, slope, room, x_one, below, y_one, free):
    """x and y of the third point of a line, its slope in a slot; `y_one` may be uncarried, up to 4 p.

    slope, below: i64  addresses of slots: the slope, a product; x2 - x1, up to 6.01 p
    room, free:   i64  addresses of slots that are written: x is kept in the first
    x_one, y_one: functions that load a coordinate: values that lie in memory need no register meanwhile
    returns:      x = slope² - 2 x1 - (x2 - x1) and y = (x1 - x) · slope - y1, carried, below 2.01 p

    x1 is below 2.01 p, so 14 p is above 2 x1 + (x2 - x1), 4 p above x, and 8 p above y1.
    """
    e.square(builder, free, slope)
    x_one = x_one()
    subtrahend = e.add(builder, e.add(builder, x_one, x_one), e.load(builder, below))
    x = e.lowered(builder, e.subtract(builder, e.load(builder, free), subtrahend, 14))
    e.store(builder, free, e.carried(builder, e.subtract(builder, x_one, x, 4)))
    e.store(builder, room, x)
    e.multiply(builder, free, free, slope)
    y = e.lowered(builder, e.subtract(builder, e.load(builder, free), y_one(), 8))
    return e.load(builder, room), y


def _finish(e, builder, points, first, second, factors, out, places):
    """Write 8 sums; factors: the inverse of each denominator, then the denominator.

    points, out:           i64  addresses of the first rows
    first, second, places: i64  addresses of u32[8]; the highest bit of `first` and `second` negates
    factors:               i64  address of two slots
    Only for pairs whose x differ and of which none is infinity.
    """
    room = room_on_stack(builder, 4 * e.parts)
    slope, x_kept, y_kept, free = (builder.add(room, llvm.splat(I64, e.slot * k)) for k in range(4))
    rows_one, rows_two = (e.addresses(builder, points, indices) for indices in (first, second))
    y_one = e.signed(builder, e.gather(builder, rows_one, 1), signs_of(builder, first))
    y_two = e.signed(builder, e.gather(builder, rows_two, 1), signs_of(builder, second))
    e.store(builder, y_kept, y_one)
    e.store(builder, slope, e.carried(builder, e.subtract(builder, y_two, y_one, 8)))
    e.multiply(builder, slope, slope, factors)
    x, y = _sum_on_line(
        e,
        builder,
        slope,
        x_kept,
        lambda: e.gather(builder, rows_one, 0),
        builder.add(factors, llvm.splat(I64, e.slot)),
        lambda: e.load(builder, y_kept),
        free,
    )
    targets = e.addresses(builder, out, places)
    e.scatter(builder, targets, 0, x)
    e.scatter(builder, targets, 1, y)


@dataclass(frozen=True, slots=True)
class _Cases:
    """Two points of each lane and what they are to each other."""

    one: Any
    """x and y, carried, y with its sign."""
    two: Any
    """The same."""
    below: Any
    """x2 - x1."""
    above: Any
    """y2 - y1."""
    no_one: Any
    """Mask: the first is infinity."""
    no_two: Any
    """Mask: the second is."""
    same_x: Any
    """Mask: equal x."""
    twice: Any
    """Mask: the same point, not infinity."""


def _cases(e, builder, points, first, second, room):
    """Load 8 pairs and compare them.

    points:        i64  address of the first row
    first, second: i64  addresses of u32[8]; the highest bit negates
    room:          i64  address of two slots of the base field, written
    returns:       a _Cases: vectors and masks in registers
    """
    one, two = room, builder.add(room, llvm.splat(I64, FIELD.slot))
    FIELD.store(builder, one, FIELD.constant(ONE))
    (x_one, y_one, no_one), (x_two, y_two, no_two) = (
        _end(e, builder, points, indices) for indices in (first, second)
    )
    below = e.carried(builder, e.subtract(builder, x_two, x_one, 4))
    above = e.carried(builder, e.subtract(builder, y_two, y_one, 8))
    same_x, same_y = e.is_zero(builder, below, one, two), e.is_zero(builder, above, one, two)
    some = builder.not_(builder.or_(no_one, no_two))
    twice = builder.and_(builder.and_(same_x, same_y), some)
    return _Cases((x_one, y_one), (x_two, y_two), below, above, no_one, no_two, same_x, twice)


def _end(e, builder, points, indices):
    """x, y with its sign, carried, and the mask of infinity.

    The mask is made of y as it lies in the row: negated, infinity would be 4 p.
    """
    rows = e.addresses(builder, points, indices)
    y = e.gather(builder, rows, 1)
    signed = e.carried(builder, e.signed(builder, y, signs_of(builder, indices)))
    return e.gather(builder, rows, 0), signed, e.is_blank(builder, y)


def _difference_any(e, builder, points, first, second, denominator):
    """Write denominators: x2 - x1, or 2 y of a point that is doubled, or 1 where none is needed.

    Arguments as of `_difference`.  So the product of all denominators is not 0, and one inverse serves all.
    """
    room = room_on_stack(builder, 2)
    cases = _cases(e, builder, points, first, second, room)
    y = cases.one[1]
    special = e.select(builder, cases.twice, e.carried(builder, e.add(builder, y, y)), e.constant(ONE))
    is_special = builder.or_(builder.or_(cases.no_one, cases.no_two), cases.same_x)
    e.store(builder, denominator, e.select(builder, is_special, special, cases.below))


def _finish_any(e, builder, points, first, second, factors, out, places):
    """Write 8 sums of any kind.

    Arguments as of `_finish`.  A doubled point's slope is 3 x² / 2 y; with infinity the sum is the other
    point; opposite points, and infinity twice, leave all zeros.
    """
    room = room_on_stack(builder, 2 + 5 * e.parts)
    cases = _cases(e, builder, points, first, second, room)
    base = builder.add(room, llvm.splat(I64, 2 * FIELD.slot))
    slope, x_kept, y_kept, free, below = (builder.add(base, llvm.splat(I64, e.slot * k)) for k in range(5))
    (x_one, y_one), (x_two, y_two) = cases.one, cases.two
    e.store(builder, x_kept, x_one)
    e.store(builder, y_kept, y_one)
    e.store(builder, below, cases.below)
    e.square(builder, free, x_kept)
    thrice = e.carried(builder, e.times(builder, e.load(builder, free), 3))
    e.store(builder, slope, e.select(builder, cases.twice, thrice, cases.above))
    e.multiply(builder, slope, slope, factors)
    x, y = _sum_on_line(
        e, builder, slope, x_kept, lambda: x_one, below, lambda: e.load(builder, y_kept), free
    )
    nothing = e.constant(0)
    alone = [e.lowered(builder, e.subtract(builder, value, nothing, 4)) for value in (y_one, y_two)]
    x = e.select(builder, cases.no_one, x_two, e.select(builder, cases.no_two, x_one, x))
    y = e.select(builder, cases.no_one, alone[1], e.select(builder, cases.no_two, alone[0], y))
    both = builder.and_(cases.no_one, cases.no_two)
    some = builder.not_(builder.or_(cases.no_one, cases.no_two))
    opposite = builder.and_(builder.and_(cases.same_x, builder.not_(cases.twice)), some)
    is_zero = builder.or_(both, opposite)
    targets = e.addresses(builder, out, places)
    e.scatter(builder, targets, 0, e.select(builder, is_zero, nothing, x))
    e.scatter(builder, targets, 1, e.select(builder, is_zero, nothing, y))


def _emit_fetch(e, builder, points, indices):
    """Emit prefetches of 8 rows before they are used.

    points:  i64  address of the first row;  indices: i64  address of u32[8]
    """
    name = "llvm.prefetch.p0"
    fetch = llvm.function(builder, name, llvm.VOID, [llvm.I8.as_pointer(), llvm.I32, llvm.I32, llvm.I32])
    options = [llvm.splat(llvm.I32, value) for value in (0, 3, 1)]  # to be read, into all caches, data
    for row in e.addresses(builder, points, indices):
        for offset in range(0, e.row, 64):
            builder.call(fetch, [llvm.pointer(builder, row, offset, llvm.I8), *options])


FETCH_1, FETCH_2 = step_of(E1, "fetch", _emit_fetch), step_of(E2, "fetch", _emit_fetch)
DIFFERENCE_1, DIFFERENCE_2 = step_of(E1, "difference", _difference), step_of(E2, "difference", _difference)
DIFFERENCE_ANY_1, DIFFERENCE_ANY_2 = (
    step_of(E1, "difference_any", _difference_any),
    step_of(E2, "difference_any", _difference_any),
)
FINISH_1, FINISH_2 = step_of(E1, "finish", _finish), step_of(E2, "finish", _finish)
FINISH_ANY_1, FINISH_ANY_2 = step_of(E1, "finish_any", _finish_any), step_of(E2, "finish_any", _finish_any)
