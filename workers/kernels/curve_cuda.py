"""Sums of points of G1 or G2 on an NVIDIA card, a piece of a sum in each thread.

An addition is a list of steps of the base field, the same for all threads: so its products are one piece of
code, and G2 is another list.  The formulas are complete: no two points need a case of their own.
Loaded by name, as `poseidon_cuda`.
"""

# mypy: allow-untyped-calls, allow-untyped-defs, disable-error-code="attr-defined"

from __future__ import annotations

import numpy as np
from numba import cuda

from workers.kernels.field_cuda import device, field_steps
from workers.kernels.field_ptx import COORDINATES

_STEPS = field_steps(COORDINATES)
_multiply, _add, _subtract = _STEPS.multiply, _STEPS.add, _STEPS.subtract
_load, _store, _is_zero = _STEPS.load, _STEPS.store, _STEPS.is_zero
_ONE = np.frombuffer(
    ((1 << 32 * COORDINATES.words) % COORDINATES.modulus).to_bytes(4 * COORDINATES.words, "little"), np.uint32
).reshape(1, -1)
"""1 in Montgomery form."""
_MULTIPLY, _ADD, _SUBTRACT = range(3)
_NEGATE = 1 << 31
"""Bit of a point's index that stands for its negative."""
_NAMES = ("x1", "y1", "z1", "x2", "y2", "z2", "t0", "t1", "t2", "t3", "t4", "x3", "y3", "z3")
_FULL = """
t0 = x1 * x2; t1 = y1 * y2; t2 = z1 * z2; t3 = x1 + y1; t4 = x2 + y2; t3 = t3 * t4; t4 = t0 + t1; t3 = t3 - t4
t4 = y1 + z1; x3 = y2 + z2; t4 = t4 * x3; x3 = t1 + t2; t4 = t4 - x3; x3 = x1 + z1; y3 = x2 + z2; x3 = x3 * y3
y3 = t0 + t2; y3 = x3 - y3; x3 = t0 + t0; t0 = x3 + t0; t2 = b3 t2; z3 = t1 + t2; t1 = t1 - t2; y3 = b3 y3
x3 = t4 * y3; t2 = t3 * t1; x1 = t2 - x3; y3 = y3 * t0; t1 = t1 * z3; y1 = t1 + y3; t0 = t0 * t3; z3 = z3 * t4
z1 = z3 + t0
"""
"""x1 : y1 : z1 += x2 : y2 : z2.  Source: Renes, Costello, Batina, eprint 2015/1060, algorithm 7."""
_MIXED = """
t0 = x1 * x2; t1 = y1 * y2; t3 = x2 + y2; t4 = x1 + y1; t3 = t3 * t4; t4 = t0 + t1; t3 = t3 - t4
t4 = y2 * z1; t4 = t4 + y1; y3 = x2 * z1; y3 = y3 + x1; x3 = t0 + t0; t0 = x3 + t0; t2 = b3 z1
z3 = t1 + t2; t1 = t1 - t2; y3 = b3 y3; x3 = t4 * y3; t2 = t3 * t1; x1 = t2 - x3; y3 = y3 * t0
t1 = t1 * z3; y1 = t1 + y3; t0 = t0 * t3; z3 = z3 * t4; z1 = z3 + t0
"""
"""The same for z2 = 1: algorithm 8."""


def _steps(text, parts):
    """Return the steps of a formula as rows: what is done, target, left, right; slots of the base field.

    parts: coordinates of the base field in one of the formula's: 1, or 2 for c0 + c1 · u
    """
    places = {name: parts * k for k, name in enumerate(_NAMES)}
    spare = parts * len(_NAMES)
    rows = []
    for line in text.replace("\n", ";").split(";"):
        if line.strip():
            target, _, *rest = line.split()
            if rest[0] == "b3":
                rows += _twelvefold(places[target], places[rest[1]], spare, parts)
            else:
                left, operation, right = rest
                rows += _expanded(operation, (places[target], places[left], places[right]), spare, parts)
    return rows


def _expanded(operation, slots, spare, parts):
    """Return the steps of one operation."""
    target, left, right = slots
    if operation != "*":
        kind = _ADD if operation == "+" else _SUBTRACT
        return [(kind, target + part, left + part, right + part) for part in range(parts)]
    if parts == 1:
        return [(_MULTIPLY, *slots)]
    low, high, cross, sum_ = range(spare, spare + 4)  # Karatsuba: three products
    return [
        (_MULTIPLY, low, left, right),
        (_MULTIPLY, high, left + 1, right + 1),
        (_ADD, cross, left, left + 1),
        (_ADD, sum_, right, right + 1),
        (_MULTIPLY, cross, cross, sum_),
        (_SUBTRACT, target, low, high),
        (_SUBTRACT, cross, cross, low),
        (_SUBTRACT, target + 1, cross, high),
    ]


def _twelvefold(target, source, spare, parts):
    """Return the steps of three times the curve's constant: 12, or 12 (1 + u)."""
    rows, values = [], [source]
    if parts == 2:
        values = [spare, spare + 1]
        rows = [(_SUBTRACT, spare, source, source + 1), (_ADD, spare + 1, source, source + 1)]
    thrice = spare + parts
    for part, value in enumerate(values):
        rows += [(_ADD, thrice, value, value), (_ADD, thrice, thrice, value), (_ADD, thrice, thrice, thrice)]
        rows.append((_ADD, target + part, thrice, thrice))
    return rows


@device
def _run(slots, steps):
    """Carry out the steps of an addition.

    slots: u32[n, 12];  steps: u8[m, 4]
    """
    for i in range(steps.shape[0]):
        left, right = _load(slots, steps[i, 2]), _load(slots, steps[i, 3])
        if steps[i, 0] == _MULTIPLY:
            _store(slots, steps[i, 1], _multiply(left, right))
        elif steps[i, 0] == _ADD:
            _store(slots, steps[i, 1], _add(left, right))
        else:
            _store(slots, steps[i, 1], _subtract(left, right))


def _kernel(parts):
    """Return the kernel of G1 (1) or G2 (2)."""
    count = operand = 3 * parts
    shape = (len(_NAMES) * parts + 4, COORDINATES.words)
    first_y, last_y = parts, 2 * parts - 1

    @cuda.jit
    def sum_points_cuda(rows, width, order, pieces, sums, steps):
        """Sums of some points each: piece i is rows order[first] … order[end - 1].

        rows:   u32[n · width, 12]  Montgomery form, on the card: x, y (infinity: zeros) or X, Y, Z
        width:  i64                 elements of a point
        order:  u32[m]              indices of points, on the card; the highest bit negates
        pieces: i64[p, 2]           first and end of each, on the card
        sums:   u32[p · w, 12]      on the card, every word written: X, Y, Z
        steps:  u8[s, 4]            `STEPS`, of mixed additions where rows have no Z, on the card
        Cost:    a thread a piece; 11 or 12 products an addition, three times as many in G2.
        Threads: as launched; those beyond the last piece do nothing.
        Errors:  none; `snark.card` has made the rows.
        Source:  as `points_projective`.   Twin: tests/naive/curve.py multiexp.
        Golden:  none; `snark.multiexp` with 64-bit words, which has golden values, gives the same bits.
        """
        piece = cuda.grid(1)
        if piece < pieces.shape[0]:
            slots = cuda.local.array(shape, np.uint32)
            one = cuda.const.array_like(_ONE)
            for i in range(count):
                value = _load(one, 0)
                _store(slots, i, value if i == first_y else _subtract(value, value))
            for k in range(pieces[piece, 0], pieces[piece, 1]):
                code = order[k]
                at = np.int64(code & (_NEGATE - 1)) * width
                if not (_is_zero(rows, at + first_y) and _is_zero(rows, at + last_y)):
                    for i in range(width):
                        value = _load(rows, at + i)
                        if code & _NEGATE and first_y <= i <= last_y:
                            value = _subtract(_subtract(value, value), value)
                        _store(slots, operand + i, value)
                    _run(slots, steps)
            for i in range(count):
                _store(sums, count * piece + i, _load(slots, i))

    return sum_points_cuda


_KERNELS = {parts: _kernel(parts) for parts in (1, 2)}
STEPS = {
    (parts, has_z): np.array(_steps(_FULL if has_z else _MIXED, parts), np.uint8)
    for parts in _KERNELS
    for has_z in (False, True)
}
"""Steps of an addition, by parts of a coordinate (1 in G1, 2 in G2) and whether the rows have a Z."""
KERNELS = _KERNELS, STEPS, _ONE.view(np.uint64)[0]
"""The kernels by parts of a coordinate, their steps, and 1 in Montgomery form."""
