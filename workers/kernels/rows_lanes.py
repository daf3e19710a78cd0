# mypy: allow-untyped-calls
"""Rows of points in lanes: out of the portable kernels' words and back, and checks of them.

Words are x · 2^384 below p, 6 of 64 bits a part; lanes are x · 2^416, 8 limbs of 52 bits a part.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numba import njit

from workers.kernels import llvm
from workers.kernels.curve_lanes import (
    E1,
    E2,
    FIELD,
    FROM_LANES,
    ONE,
    TO_LANES,
    WORDS,
    room_on_stack,
)
from workers.kernels.flags import SERIAL, STEP
from workers.kernels.ifma import BEGIN, END, LANES, mask_bits, transposed
from workers.kernels.llvm import I64, V8

_PART_BYTES = 8 * WORDS
_OVERLAP = 64 - _PART_BYTES
"""Bytes that a register holds beyond a part."""
_FOUR = 4 * FIELD.radix % FIELD.modulus


def _words_at(builder, rows, part, parts):
    """One part of 8 rows as 6 vectors of words; the last part is read with words before it.

    rows:    8 addresses (i64) of points of words;  part: 0 … parts - 1;  parts: of a point: 2 or 4
    returns: 6 vectors: lane i is of row i

    A register holds 8 words, a part has 6: behind the last part of the last row no memory need be.
    """
    is_last = part == parts - 1
    offset = part * _PART_BYTES - (_OVERLAP if is_last else 0)
    columns = transposed(builder, [llvm.load(builder, row, offset, V8) for row in rows])
    return columns[2:] if is_last else columns[:WORDS]


def rows_after(builder, address, size):
    """The addresses of 8 rows of `size` bytes, side by side from an address on."""
    return [builder.add(address, llvm.splat(I64, lane * size)) for lane in range(LANES)]


def _indexed_rows(builder, address, indices, size):
    """The addresses of 8 rows of `size` bytes, chosen by u32[8] at `indices`; no bit of them is a sign."""
    out = []
    for lane in range(LANES):
        index = builder.zext(llvm.load(builder, indices, 4 * lane, llvm.I32), I64)
        out.append(builder.add(address, builder.mul(index, llvm.splat(I64, size))))
    return out


def _emit_pack(parts, builder, words, indices, lanes):
    """8 chosen points of words become 8 rows side by side.

    parts:   of a point: 2 or 4
    words:   i64  address of the first point;  indices: i64  address of u32[8]
    lanes:   i64  address of the first row, output; each part below 1.2 p, carried
    Infinity stays all zeros, as 0 times anything is 0.
    """
    sources = _indexed_rows(builder, words, indices, parts * _PART_BYTES)
    targets = rows_after(builder, lanes, parts * 64)
    for part in range(parts):
        limbs = FIELD.from_words(builder, _words_at(builder, sources, part, parts))
        value = FIELD.multiply(builder, limbs, FIELD.constant(TO_LANES))
        for row, limb in zip(targets, transposed(builder, value), strict=True):
            llvm.store(builder, limb, row, 64 * part)


def store_words(builder, rows, offset, value):
    """Write one part of 8 rows: 6 words each.

    rows:   8 addresses (i64);  offset: bytes from each
    value:  8 limbs, carried, below 2^384
    Stores of 4 and 2 words: one of 8 would write behind the part.
    """
    words = [*FIELD.to_words(builder, value, WORDS), llvm.splat(V8, 0), llvm.splat(V8, 0)]
    for row, limb in zip(rows, transposed(builder, words), strict=True):
        low = builder.shuffle_vector(limb, limb, llvm.mask([0, 1, 2, 3]))
        high = builder.shuffle_vector(limb, limb, llvm.mask([4, 5]))
        llvm.store(builder, low, row, offset)
        llvm.store(builder, high, row, offset + 32)


def _emit_unpack(parts, builder, lanes, words):
    """8 rows side by side become 8 points of words.

    parts: of a point: 2 or 4
    lanes: i64  address of the first row;  words: i64  address of the first point, output: below p
    """
    sources = rows_after(builder, lanes, parts * 64)
    targets = rows_after(builder, words, parts * _PART_BYTES)
    for part in range(parts):
        limbs = transposed(builder, [llvm.load(builder, row, 64 * part, V8) for row in sources])
        value = FIELD.multiply(builder, limbs, FIELD.constant(FROM_LANES))
        store_words(builder, targets, part * _PART_BYTES, FIELD.canonical(builder, value))


def _emit_scale(builder, words, factor):
    """8 elements of words, side by side, times a factor.

    words:  i64  address of u64[8, 6], in and out; read as below 2^384, written below p
    factor: i64  address of a slot

    The last element is read two words early and turned, so that nothing behind the array is read.
    """
    rows = rows_after(builder, words, _PART_BYTES)
    loaded = [llvm.load(builder, row, 0, V8) for row in rows[:-1]]
    last = llvm.load(builder, rows[-1], -_OVERLAP, V8)
    loaded.append(builder.shuffle_vector(last, last, llvm.mask([2, 3, 4, 5, 6, 7, 0, 1])))
    limbs = FIELD.from_words(builder, transposed(builder, loaded)[:WORDS])
    value = FIELD.multiply(builder, limbs, FIELD.load(builder, factor))
    store_words(builder, rows, 0, FIELD.canonical(builder, value))


def _emit_off_curve(e, builder, lanes, flag):
    """flag: the bits of those of 8 rows side by side for which y² - x³ - b is not 0.

    e:     E1 or E2: b is 4, or 4 (1 + u), so all parts of the constant are 4
    lanes: i64  address of the first row;  flag: i64  address of a u8, output
    """
    room = room_on_stack(builder, 3 * e.parts + 2)
    x, y, cube = (builder.add(room, llvm.splat(I64, e.slot * k)) for k in range(3))
    one, free = (builder.add(room, llvm.splat(I64, 3 * e.slot + FIELD.slot * k)) for k in range(2))
    FIELD.store(builder, one, FIELD.constant(ONE))
    rows = rows_after(builder, lanes, e.row)
    e.store(builder, x, e.gather(builder, rows, 0))
    e.store(builder, y, e.gather(builder, rows, 1))
    e.square(builder, y, y)
    e.square(builder, cube, x)
    e.multiply(builder, cube, cube, x)
    constant = [FIELD.constant(_FOUR) for _ in range(e.parts)]
    right = e.add(builder, e.load(builder, cube), constant)
    rest = e.carried(builder, e.subtract(builder, e.load(builder, y), right, 64))
    llvm.store(builder, mask_bits(builder, builder.not_(e.is_zero(builder, rest, one, free))), flag, 0)


def _step(name, emit, bound):
    """A step whose code is a function of its own; `bound`, parts or coordinates, is its first argument."""
    return llvm.step(
        llvm.called(f"{name}_{bound.parts if isinstance(bound, type(E1)) else bound}", partial(emit, bound))
    )


_PACK_1, _PACK_2 = _step("pack_lanes", _emit_pack, 2), _step("pack_lanes", _emit_pack, 4)
_UNPACK_1, _UNPACK_2 = _step("unpack_lanes", _emit_unpack, 2), _step("unpack_lanes", _emit_unpack, 4)
_OFF_1, _OFF_2 = _step("off_curve_lanes", _emit_off_curve, E1), _step("off_curve_lanes", _emit_off_curve, E2)
_SCALE = llvm.step(llvm.called("scale_lanes", _emit_scale))


@njit(**STEP)
def _pack(pack, words, chosen, lanes):
    """`pack_lanes_g1` for the group of `pack`.

    pack:   step       8 points
    words:  u64[n, v]  points
    chosen: u32[p]     which
    lanes:  u64[m, w]  output: p rows and up to 7 more
    """
    count = chosen.shape[0]
    size = 8 * lanes.shape[1]
    control = np.empty(1, np.uint64)
    BEGIN(control.ctypes.data)
    indices = np.empty(LANES, np.uint32)
    for first in range(0, count, LANES):
        at = chosen.ctypes.data + 4 * first
        if first + LANES > count:
            for lane in range(LANES):
                indices[lane] = chosen[min(first + lane, count - 1)]
            at = indices.ctypes.data
        pack(words.ctypes.data, at, lanes.ctypes.data + first * size)
    END(control.ctypes.data)
    indices[0] = control[0] = (
        0  # numba frees arrays after their last use by name; addresses are used until here
    )


@njit(**STEP)
def _unpack(unpack, lanes, words):
    """`unpack_lanes_g1` for the group of `unpack`.

    unpack: step       8 rows
    lanes:  u64[m, w]  rows, as many as a multiple of 8
    words:  u64[m, v]  output
    """
    control = np.empty(1, np.uint64)
    BEGIN(control.ctypes.data)
    for first in range(0, lanes.shape[0], LANES):
        source = lanes.ctypes.data + 8 * first * lanes.shape[1]
        unpack(source, words.ctypes.data + 8 * first * words.shape[1])
    END(control.ctypes.data)
    control[0] = 0


@njit(**STEP)
def _first_off_curve(pack, off_curve, words, size):
    """Return the first point that is not on the curve, or -1; 8 at a time.

    pack:      step       8 points
    off_curve: step       which of 8 rows
    words:     u64[n, v]  points
    size:      i64        words of a row
    """
    count = words.shape[0]
    rows = np.empty((LANES, size), np.uint64)
    indices, flags = np.empty(LANES, np.uint32), np.empty(1, np.uint8)
    found = -1
    control = np.empty(1, np.uint64)
    BEGIN(control.ctypes.data)
    for first in range(0, count, LANES):
        for lane in range(LANES):
            indices[lane] = min(first + lane, count - 1)
        pack(words.ctypes.data, indices.ctypes.data, rows.ctypes.data)
        off_curve(rows.ctypes.data, flags.ctypes.data)
        if flags[0]:
            for lane in range(LANES - 1, -1, -1):
                if flags[0] >> lane & 1:
                    found = first + lane
            break
    END(control.ctypes.data)
    rows[0, 0] = control[0] = indices[0]  # numba frees arrays after their last use by name
    return found


@njit(**SERIAL)
def pack_lanes_g1(words, chosen, lanes):
    """lanes[k] = the chosen point k, in the form of lanes.

    words:  u64[n, 12]  points of the portable kernels
    chosen: u32[p]      which
    lanes:  u64[m, 16]  output: p rows, and up to 7 more that nobody reads
    Cost:    two products a point.   Threads: none inside; the GIL is free.
    Errors:  none; callers have made the indices.
    Source:  the product of workers/kernels/ifma.py.   Twin: tests/naive/curve.py point_add.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    _pack(_PACK_1, words, chosen, lanes)


@njit(**SERIAL)
def pack_lanes_g2(words, chosen, lanes):
    """As `pack_lanes_g1`, for points of G2.

    words:  u64[n, 24]  points of the portable kernels
    chosen: u32[p]      which
    lanes:  u64[m, 32]  output: p rows, and up to 7 more that nobody reads
    Cost:    four products a point.   Threads: none inside; the GIL is free.
    Errors:  none; callers have made the indices.
    Source:  the product of workers/kernels/ifma.py.   Twin: tests/naive/curve.py point_add.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    _pack(_PACK_2, words, chosen, lanes)


@njit(**SERIAL)
def unpack_lanes_g1(lanes, words):
    """words = the points of all rows, below p.

    lanes: u64[m, 16]  rows, as many as a multiple of 8
    words: u64[m, 12]  output
    Cost:    two products a point.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  the product of workers/kernels/ifma.py.   Twin: tests/naive/curve.py point_add.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    _unpack(_UNPACK_1, lanes, words)


@njit(**SERIAL)
def unpack_lanes_g2(lanes, words):
    """As `unpack_lanes_g1`, for points of G2.

    lanes: u64[m, 32]  rows, as many as a multiple of 8
    words: u64[m, 24]  output
    Cost:    four products a point.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  the product of workers/kernels/ifma.py.   Twin: tests/naive/curve.py point_add.
    Golden:  proof_r3_s5 of tests/golden/proofs/r1cs_window_2k.json.
    """
    _unpack(_UNPACK_2, lanes, words)


@njit(**SERIAL)
def scale_coordinates_lanes(rows, factor):
    """rows = rows · factor / 2^416 mod p.

    rows:   u64[n, 6]  values below p, as many as a multiple of 8
    factor: u64[8, 8]  limbs in all lanes
    Cost:    one product a row, 8 at a time.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  the product of workers/kernels/ifma.py.   Twin: tests/naive/curve.py parts_scale.
    Golden:  params.file_sha256 of tests/golden/proofs/r1cs_window_2k.json.
    """
    control = np.empty(1, np.uint64)
    BEGIN(control.ctypes.data)
    for row in range(0, rows.shape[0], LANES):
        _SCALE(rows.ctypes.data + row * _PART_BYTES, factor.ctypes.data)
    END(control.ctypes.data)
    control[0] = 0


@njit(**SERIAL)
def first_off_curve_lanes_g1(words):
    """Return the first point that is not on the curve, or -1; infinity is none.

    words: u64[n, 12]  coordinates below p
    Cost:    six products a point, 8 at a time.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  supranational/blst src/e1.c POINTonE1_affine_on_curve.
    Twin:    tests/naive/curve.py is_on_curve.
    Golden:  test_toxic_waste of tests/golden/proofs/r1cs_window_2k.json: its generators are on the curve.
    """
    return _first_off_curve(_PACK_1, _OFF_1, words, 16)


@njit(**SERIAL)
def first_off_curve_lanes_g2(words):
    """As `first_off_curve_lanes_g1`, for G2.

    words: u64[n, 24]  coordinates below p
    Cost:    16 products a point, 8 at a time.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  supranational/blst src/e2.c POINTonE2_affine_on_curve.
    Twin:    tests/naive/curve.py is_on_curve.
    Golden:  test_toxic_waste of tests/golden/proofs/r1cs_window_2k.json: its generators are on the curve.
    """
    return _first_off_curve(_PACK_2, _OFF_2, words, 32)
