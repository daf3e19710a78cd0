# mypy: allow-untyped-calls
"""Steps of number-theoretic transforms in lanes: what is done with one, two or four slots."""

from __future__ import annotations

from workers.kernels import llvm
from workers.kernels.lanes import LINE
from workers.kernels.llvm import I8, I32, I64
from workers.kernels.scalar_lanes import (
    KNOWN,
    LANES,
    ROW,
    brought_below,
    factor_ready,
    lowered,
    multiply,
    multiply_known,
    rows_load,
    rows_store,
    spread,
)

_ENTERING = 2
"""Values that enter a transform are below so many moduli."""


def _emit_ahead(builder, address):
    """Bring eight neighbouring rows near: 256 bytes from an address on, which may lie behind the array."""
    prefetch = llvm.function(builder, "llvm.prefetch.p0", llvm.VOID, [I8.as_pointer(), I32, I32, I32])
    for line in range(0, 8 * ROW, LINE):
        hint = [llvm.pointer(builder, address, line, I8)]
        builder.call(prefetch, hint + [llvm.splat(I32, value) for value in (0, 3, 1)])


def _emit_read(builder, target, source, lane_stride):
    """A row of each of eight lanes becomes a slot.

    target:      i64  address of a slot, output; carried
    source:      i64  address of the row of lane 0;  lane_stride: i64  bytes to the next lane's
    """
    LANES.store(builder, target, rows_load(builder, source, lane_stride))


def _emit_write(builder, target, lane_stride, source, factor):
    """Write canonical rows: a slot times a known factor.

    target: i64  address of the row of lane 0;  lane_stride: i64  bytes to the next lane's
    source: i64  address of a slot of at most 34 r;  factor: i64  address of u64[10]
    """
    value = multiply_known(builder, factor_ready(builder, LANES.load(builder, source)), factor)
    rows_store(builder, brought_below(builder, value), target, lane_stride)


def _emit_write_plain(builder, target, lane_stride, source):
    """Write canonical rows: a slot of at most 34 r; arguments as of `_emit_write`."""
    rows_store(builder, brought_below(builder, LANES.load(builder, source)), target, lane_stride)


def _emit_write_twisted(builder, target, lane_stride, source, small, large):
    """Write rows below 1.2 r: a slot times two factors of its lanes.

    target, lane_stride, source: as of `_emit_write`
    small, large: i64  addresses of slots, Montgomery forms of the lanes' factors

    The first product is below 34 · 1.2 / 35 + 1 = 2.2 r, so the second is below 1.1 r: both fit rows of
    words.
    """
    value = LANES.load(builder, source)
    for factor in (small, large):
        value = multiply(builder, factor_ready(builder, value), LANES.load(builder, factor))
    rows_store(builder, LANES.carried(builder, value), target, lane_stride)


def _emit_multiply(builder, target, left, right):
    """target = left · right / 2^260, slot by slot and carried; addresses, the target may be either."""
    one, two = (factor_ready(builder, LANES.load(builder, slot)) for slot in (left, right))
    LANES.store(builder, target, LANES.carried(builder, multiply(builder, one, two)))


def _emit_spread(builder, target, source):
    """An element (address of u64[5]) becomes a slot with it in all lanes."""
    LANES.store(builder, target, spread(builder, source))


def _emit_exchange(builder, left, right, left_factor, right_factor):
    """left, right = right · left_factor, left · right_factor, by known factors.

    left, right: i64  addresses of slots of at most 34 r; they may be the same
    The exchange puts what a transform left in bit-reversed order back into natural order.
    """
    one, two = (factor_ready(builder, LANES.load(builder, slot)) for slot in (left, right))
    LANES.store(builder, left, multiply_known(builder, two, left_factor))
    LANES.store(builder, right, multiply_known(builder, one, right_factor))


def _emit_quotient(builder, left, right, left_less, right_less, factor):
    """left, right = (right - right_less) · factor, (left - left_less) · factor; both are carried.

    left, right:           i64  addresses of slots of products, at most 32 r
    left_less, right_less: i64  addresses of slots, at most 34 r;  factor: of a known factor
    Products of values below 32 r are below 32 · 32 / 35 + 1 = 31 r.  What is subtracted is brought below 2 r
    first: so the differences are above 0, and at most the 34 r that a known factor may multiply.
    """
    made = []
    for slot, less in ((right, right_less), (left, left_less)):
        subtrahend = lowered(builder, LANES.load(builder, less))
        rest = factor_ready(builder, LANES.subtract(builder, LANES.load(builder, slot), subtrahend, 2))
        made.append(multiply_known(builder, rest, factor))
    LANES.store(builder, left, made[0])
    LANES.store(builder, right, made[1])


def _butterfly(builder, left, right, factor):
    """left + right · factor, left - right · factor.

    left, right: 5 limbs each, at most 34 r, not carried;  factor: address of a known factor
    The product is below 2 r, so both results are less than 2 r above `left`.
    """
    scaled = multiply_known(builder, factor_ready(builder, right), factor)
    return LANES.add(builder, left, scaled), LANES.subtract(builder, left, scaled, 2)


def _emit_pair(builder, left, right, factor):
    """One level of two slots.

    left, right: i64  addresses of slots, in and out;  factor: i64  address of a known factor
    """
    one, two = _butterfly(builder, LANES.load(builder, left), LANES.load(builder, right), factor)
    LANES.store(builder, left, one)
    LANES.store(builder, right, two)


def _places(builder, first, step):
    """Four addresses, `step` bytes apart."""
    places = [first]
    for _ in range(3):
        places.append(builder.add(places[-1], step))
    return places


def _emit_four(builder, first, step, factor, factors):
    """Two levels of four slots, `step` bytes apart; `factors`: the two of the second level.

    first:   i64  address of the first slot;  step: i64
    factor:  i64  address of the known factor of the first level
    factors: i64  address of the two of the second level, side by side
    The values stay in registers from level to level, not carried between.
    """
    places = _places(builder, first, step)
    a, b, c, d = (LANES.load(builder, place) for place in places)
    a, c = _butterfly(builder, a, c, factor)
    b, d = _butterfly(builder, b, d, factor)
    a, b = _butterfly(builder, a, b, factors)
    c, d = _butterfly(builder, c, d, builder.add(factors, llvm.splat(I64, KNOWN)))
    for place, value in zip(places, (a, b, c, d), strict=True):
        LANES.store(builder, place, value)


def _emit_first_four(builder, first, step, factors):
    """The first two levels, whose factors are 1, 1 and the second of `factors`.

    Values that enter are below 2 r: without a product, the first level makes them less than 4 r, the second
    less than 8 r, that is 6 r more than before; see `ntt_lanes.MOST_LEVELS`.
    """
    places = _places(builder, first, step)
    a, b, c, d = (LANES.load(builder, place) for place in places)
    a, c = LANES.add(builder, a, c), LANES.subtract(builder, a, c, _ENTERING)
    b, d = LANES.add(builder, b, d), LANES.subtract(builder, b, d, _ENTERING)
    a, b = LANES.add(builder, a, b), LANES.subtract(builder, a, b, 2 * _ENTERING)
    c, d = _butterfly(builder, c, d, builder.add(factors, llvm.splat(I64, KNOWN)))
    for place, value in zip(places, (a, b, c, d), strict=True):
        LANES.store(builder, place, value)


def _step(name, emit):
    """A step whose code is a function of its own in each compiled module."""
    return llvm.step(llvm.called(f"fr_lanes_{name}", emit))


READ, WRITE, WRITE_PLAIN, WRITE_TWISTED = (
    _step("read", _emit_read),
    _step("write", _emit_write),
    _step("write_plain", _emit_write_plain),
    _step("write_twisted", _emit_write_twisted),
)
AHEAD = llvm.step(_emit_ahead)
MULTIPLY, SPREAD, EXCHANGE = (
    _step("multiply", _emit_multiply),
    _step("spread", _emit_spread),
    _step("exchange", _emit_exchange),
)
PAIR, FOUR, FIRST_FOUR, QUOTIENT = (
    _step("pair", _emit_pair),
    _step("four", _emit_four),
    _step("first_four", _emit_first_four),
    _step("quotient", _emit_quotient),
)
