# mypy: allow-untyped-calls
"""Arithmetic of points of G1 and G2 in lanes: steps of the kernels, 8 points at once.

A coordinate has one part (G1) or two (G2: c0 + c1 · u, u² = -1); a part is 8 limbs of 52 bits.  In a row of
memory the parts of x and then of y follow one another, 64 bytes each; in a slot each limb of 8 points is one
vector.  Rows keep values below 2.01 p; the point at infinity is all zeros, which is on neither curve.
Products are functions of their own: inlined they would compile for minutes and spill as much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workers.kernels import llvm
from workers.kernels.ifma import LANES, LaneField, equals, transposed
from workers.kernels.llvm import I32, I64, V8, W8
from workers.kernels.montgomery import BASE_MODULUS

FIELD = LaneField("fp", BASE_MODULUS, 8)
WORDS = 6
"""64-bit words of a part."""
TO_LANES = (FIELD.radix << FIELD.limbs * 52) // (1 << 64 * WORDS) % BASE_MODULUS
"""Factor that makes x · 2^416 of x · 2^384, the form of the portable kernels."""
FROM_LANES = (1 << 64 * WORDS) % BASE_MODULUS
ONE = FIELD.radix % BASE_MODULUS
INDEX = (1 << 31) - 1
"""What is an index of a u32 whose highest bit negates the point."""
_LIMB_BYTES = 64


def room_on_stack(builder: Any, slots: int) -> Any:
    """Return the address of slots on the stack of the function that is being written.

    slots: of one part of 8 points, 512 bytes each; on cache lines, nothing in them

    The room ends with the function.  Loops must not ask for it: each turn would take more.
    """
    memory = builder.alloca(V8, FIELD.limbs * slots)
    memory.align = _LIMB_BYTES
    return builder.ptrtoint(memory, I64)


def _multiply(builder, target, left, right):
    """target = left · right / 2^416: addresses of slots, all carried; the result is below 1.2 p."""
    FIELD.multiply_at(builder, target, left, right)


def _square(builder, target, value):
    """target = value² / 2^416: addresses of slots; the input carried, the result carried and below 1.2 p."""
    FIELD.square_at(builder, target, value)


fp_multiply, fp_square = llvm.called("fp_lanes_multiply", _multiply), llvm.called("fp_lanes_square", _square)


class Coordinates:
    """The field of a group's coordinates: lists of parts where values are in registers."""

    def __init__(self, parts: int) -> None:
        """Set all sizes from the number of parts: 1 for G1, 2 for G2."""
        self.parts = parts
        self.slot = FIELD.slot * parts
        self.row = 2 * _LIMB_BYTES * parts
        """Bytes of a point."""
        self.multiply: Callable[..., None] = fp_multiply if parts == 1 else _fp2_multiply
        """(target, left, right) by addresses of slots."""
        self.square: Callable[..., None] = fp_square if parts == 1 else _fp2_square

    def each(self, function, *values):
        """Apply a function to each part.

        values:  lists of parts, as many of them as the function has parameters
        returns: a list of parts
        """
        return [function(*parts) for parts in zip(*values, strict=True)]

    def load(self, builder, address, offset=0):
        """A coordinate of 8 points out of a slot: for each part 8 vectors, a limb of all lanes each."""
        return [FIELD.load(builder, address, offset + FIELD.slot * k) for k in range(self.parts)]

    def store(self, builder, address, value, offset=0):
        """Write a coordinate of 8 points to a slot; limbs as they are, carried or not."""
        for k in range(self.parts):
            FIELD.store(builder, address, value[k], offset + FIELD.slot * k)

    def constant(self, value):
        """Return an integer: its second part is 0."""
        return [FIELD.constant(value if k == 0 else 0) for k in range(self.parts)]

    def add(self, builder, left, right):
        """left + right, part by part, not carried: bounds in moduli add up."""
        return self.each(lambda a, b: FIELD.add(builder, a, b), left, right)

    def subtract(self, builder, left, right, multiple):
        """left + multiple · p - right, part by part, not carried; `right` is at most multiple · p."""
        return self.each(lambda a, b: FIELD.subtract(builder, a, b, multiple), left, right)

    def times(self, builder, value, factor):
        """A small multiple, part by part, not carried."""
        return self.each(lambda a: FIELD.times(builder, a, factor), value)

    def carried(self, builder, value):
        """Limbs of 52 bits out of signed ones, part by part; the value stays the same."""
        return self.each(lambda a: FIELD.carried(builder, a), value)

    def lowered(self, builder, value):
        """Each part, of 2 to 2^19 moduli, brought below 2.01 moduli, carried."""
        return self.each(lambda a: FIELD.lowered(builder, a), value)

    def select(self, builder, mask, chosen, other):
        """`chosen` in the lanes of the mask, `other` elsewhere, part by part."""
        return self.each(lambda a, b: FIELD.select(builder, mask, a, b), chosen, other)

    def thrice_constant(self, builder, value):
        """3 b · value: 12, or 12 (1 + u); values below 64 p.

        (a + b u)(1 + u) = a - b + (a + b) u, so no product is needed.  The result is carried, below 768 p, or
        1536 p where there are two parts.
        """
        if self.parts == 1:
            return self.carried(builder, self.times(builder, value, 12))
        real, imaginary = value
        mixed = [FIELD.subtract(builder, real, imaginary, 64), FIELD.add(builder, real, imaginary)]
        return self.carried(builder, self.times(builder, mixed, 12))

    def is_blank(self, builder, value):
        """Mask of the lanes whose limbs are all 0.

        So infinity looks, and no point of the curve: y = 0 is on neither curve, as it would be a point of
        order 2.
        """
        bits = [limb for part in value for limb in part]
        joined = bits[0]
        for limb in bits[1:]:
            joined = builder.or_(joined, limb)
        return equals(builder, joined, 0)

    def is_zero(self, builder, value, one, room):
        """Mask of the lanes that are 0 modulo p, at whatever multiple of it; `room` is a slot.

        one: address of a slot with the Montgomery form of 1: the product by it is the same value below 1.2 p,
             which is 0 or p if it is a multiple of p at all
        """
        mask = None
        for part in value:
            FIELD.store(builder, room, part)
            fp_multiply(builder, room, room, one)
            own = FIELD.is_zero(builder, FIELD.load(builder, room))
            mask = own if mask is None else builder.and_(mask, own)
        return mask

    def addresses(self, builder, points, indices):
        """The addresses of 8 rows.

        points:  address of row 0
        indices: address of u32[8]; the highest bit, a sign, is left out
        returns: 8 scalars, i64
        """
        out = []
        for lane in range(LANES):
            index = llvm.load(builder, indices, 4 * lane, I32)
            index = builder.zext(builder.and_(index, llvm.splat(I32, INDEX)), I64)
            out.append(builder.add(points, builder.mul(index, llvm.splat(I64, self.row))))
        return out

    def gather(self, builder, rows, coordinate):
        """x (0) or y (1) of 8 rows.

        rows: addresses of the points, whose parts are 8 limbs of 64 bits side by side; each part of the
              result is 8 vectors, of which lane i is of row i
        """
        start = coordinate * self.parts
        return [_columns(builder, rows, _LIMB_BYTES * (start + k)) for k in range(self.parts)]

    def scatter(self, builder, rows, coordinate, value):
        """Write x or y of 8 rows; the inverse of `gather`.

        value: carried, so that rows hold limbs of 52 bits
        """
        for k, part in enumerate(value):
            offset = _LIMB_BYTES * (coordinate * self.parts + k)
            for row, words in zip(rows, transposed(builder, part), strict=True):
                llvm.store(builder, words, row, offset)

    def signed(self, builder, y, signs):
        """y, or 4 p - y in the lanes of the mask; not carried.

        y of a row is below 2.01 p, so 4 p - y is above 0; infinity becomes 4 p, which is why callers look for
        it first.
        """
        nothing = self.constant(0)
        return self.select(builder, signs, self.subtract(builder, nothing, y, 4), y)


def _columns(builder, rows, offset):
    """8 vectors of limbs: lane i of each is of the row at rows[i], limb k of vector k."""
    return transposed(builder, [llvm.load(builder, row, offset, V8) for row in rows])


def signs_of(builder, indices):
    """Mask of the indices that negate their point.

    indices: address of u32[8]; the highest bit makes them negative as signed integers
    """
    return builder.icmp_signed("<", llvm.load(builder, indices, 0, W8), llvm.splat(W8, 0))


def _emit_fp2_multiply(builder, target, left, right):
    """Karatsuba: three products; parts of at most 17.2 p from parts of any size in use.

    target, left, right: addresses of two slots each; the target may be either

    Products are below 1.2 p, so 8 p is enough below each subtrahend: the real part is at most 9.2 p, the
    imaginary one at most 1.2 + 8 + 8 = 17.2 p.
    """
    room = room_on_stack(builder, 5)
    low, high, cross, first, second = (builder.add(room, llvm.splat(I64, FIELD.slot * k)) for k in range(5))
    a, b = E2.load(builder, left), E2.load(builder, right)
    FIELD.store(builder, first, FIELD.carried(builder, FIELD.add(builder, *a)))
    FIELD.store(builder, second, FIELD.carried(builder, FIELD.add(builder, *b)))
    above = [builder.add(address, llvm.splat(I64, FIELD.slot)) for address in (left, right)]
    fp_multiply(builder, low, left, right)
    fp_multiply(builder, high, *above)
    fp_multiply(builder, cross, first, second)
    low, high, cross = (FIELD.load(builder, address) for address in (low, high, cross))
    real = FIELD.subtract(builder, low, high, 8)
    imaginary = FIELD.subtract(builder, FIELD.subtract(builder, cross, low, 8), high, 8)
    E2.store(builder, target, E2.carried(builder, [real, imaginary]))


def _emit_fp2_square(builder, target, value):
    """(a + b)(a - b) and 2 a b, for b of at most 64 p.

    target, value: addresses of two slots each; they may be the same
    The parts are at most 1.2 and 2.4 p, both carried.
    """
    room = room_on_stack(builder, 2)
    other = builder.add(room, llvm.splat(I64, FIELD.slot))
    a, b = E2.load(builder, value)
    FIELD.store(builder, room, FIELD.carried(builder, FIELD.add(builder, a, b)))
    FIELD.store(builder, other, FIELD.carried(builder, FIELD.subtract(builder, a, b, 64)))
    fp_multiply(builder, room, room, other)
    fp_multiply(builder, other, value, builder.add(value, llvm.splat(I64, FIELD.slot)))
    imaginary = FIELD.load(builder, other)
    real = FIELD.load(builder, room)
    E2.store(builder, target, [real, FIELD.carried(builder, FIELD.add(builder, imaginary, imaginary))])


_fp2_multiply = llvm.called("fp2_lanes_multiply", _emit_fp2_multiply)
_fp2_square = llvm.called("fp2_lanes_square", _emit_fp2_square)
E1, E2 = Coordinates(1), Coordinates(2)
