# mypy: allow-untyped-calls
"""Copies of points of G1 and G2 in lanes, negated where their index says so."""

from __future__ import annotations

import numpy as np
from numba import njit

from workers.kernels.curve_lanes import E1, E2, signs_of
from workers.kernels.flags import SERIAL, STEP
from workers.kernels.ifma import BEGIN, END, LANES
from workers.kernels.inverse_lanes import step_of
from workers.kernels.points_lanes import last_group


def _emit_copy(e, builder, points, indices, out, places):
    """Copy 8 rows, negated where their index says so; infinity stays all zeros.

    points, out:     i64  addresses of the first rows
    indices, places: i64  addresses of u32[8]; the highest bit of an index negates
    -y is 8 p - y, brought below 2.01 p again; for infinity that would not be all zeros, so it is left out.
    """
    rows, targets = e.addresses(builder, points, indices), e.addresses(builder, out, places)
    y = e.gather(builder, rows, 1)
    negative = e.lowered(builder, e.subtract(builder, e.constant(0), y, 8))
    changes = builder.and_(signs_of(builder, indices), builder.not_(e.is_blank(builder, y)))
    x = e.gather(builder, rows, 0)
    e.scatter(builder, targets, 0, x)
    e.scatter(builder, targets, 1, e.select(builder, changes, negative, y))


_COPY_1, _COPY_2 = step_of(E1, "copy", _emit_copy), step_of(E2, "copy", _emit_copy)


@njit(**STEP)
def _copy_points(copy, points, indices, out, places):
    """`copy_points_lanes_g1` for the group of `copy`.

    copy:    step       8 rows
    points:  u64[n, w]  rows
    indices: u32[p]     indices
    out:     u64[m, w]  output
    places:  u32[p]     rows of `out`
    """
    if indices.shape[0] == 0:
        return
    control = np.empty(1, np.uint64)
    BEGIN(control.ctypes.data)
    tails = np.empty((2, LANES), np.uint32)
    whole = last_group(indices, tails[0])
    last_group(places, tails[1])
    source, target = points.ctypes.data, out.ctypes.data
    for group in range(whole):
        at = 4 * LANES * group
        copy(source, indices.ctypes.data + at, target, places.ctypes.data + at)
    if LANES * whole < indices.shape[0]:
        copy(source, tails[0].ctypes.data, target, tails[1].ctypes.data)
    END(control.ctypes.data)
    # numba frees arrays after their last use by name; addresses are used until here
    control[0] = tails[0, 0] = 0


@njit(**SERIAL)
def copy_points_lanes_g1(points, indices, out, places):
    """out[places[k]] = points[indices[k]], negated if the index's highest bit is set.

    points:  u64[n, 16]  rows of G1
    indices: u32[p]      indices
    out:     u64[m, 16]  output
    places:  u32[p]      rows of `out`
    Cost:    one pass.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  negation as supranational/blst src/e1.c POINTonE1_cneg.   Twin: tests/naive/curve.py multiexp.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    _copy_points(_COPY_1, points, indices, out, places)


@njit(**SERIAL)
def copy_points_lanes_g2(points, indices, out, places):
    """As `copy_points_lanes_g1`, for points of G2.

    points:  u64[n, 32]  rows of G2
    indices: u32[p]      indices
    out:     u64[m, 32]  output
    places:  u32[p]      rows of `out`
    Cost:    one pass.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  negation as supranational/blst src/e2.c POINTonE2_cneg.   Twin: tests/naive/curve.py multiexp.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    _copy_points(_COPY_2, points, indices, out, places)
