# mypy: allow-untyped-calls
"""Data times a factor per stretch of nodes: the encoding of SnapUp and its inverses.

Source: rust-fil-proofs storage-proofs-update/src/vanilla.rs encode_into, decode_from,
remove_encoded_data; FIP-0019.
"""

from __future__ import annotations

from llvmlite import ir  # type: ignore[import-untyped]  # llvmlite has no types
from numba import njit

from workers.kernels import llvm
from workers.kernels.field import MODULUS
from workers.kernels.flags import SERIAL
from workers.kernels.montgomery import SCALARS, split


def _below(builder, value):
    """A sum of up to four moduli (an integer of 320 bits) brought below r."""
    return SCALARS.below_modulus(builder, value, 4)


def _emit_add_scaled(builder, target, base, data, factor):
    """target = base + data * factor.

    All are addresses of u64[4]: base and data below 2^255, factor below r and times 2^256; target may be
    either.
    """
    scaled = _scaled(builder, data, factor)
    _store_sum(builder, target, base, scaled)


def _emit_subtract_scaled(builder, target, base, data, factor):
    """target = base - data * factor; arguments as of `_emit_add_scaled`."""
    _store_sum(builder, target, base, _negated(builder, _scaled(builder, data, factor)))


def _emit_scaled_difference(builder, target, base, data, factor):
    """target = (base - data) * factor; arguments as of `_emit_add_scaled`.

    The difference is brought below r before it is multiplied.
    """
    key = _negated(builder, _wide(builder, data))
    sum_ = _below(builder, builder.add(_wide(builder, base), key))
    words = split(builder, sum_, 4)
    SCALARS.store(builder, target, SCALARS.multiply(builder, words, SCALARS.load(builder, factor)))


def _wide(builder, address):
    """The value at an address as an integer of 320 bits, so that sums of it have room."""
    words = SCALARS.load(builder, address)
    return SCALARS.join(builder, words)


def _scaled(builder, data, factor):
    """data * factor below r, in 320 bits; Montgomery's product takes the factor's 2^256 away."""
    words = _below(builder, _wide(builder, data))
    left = split(builder, words, 4)
    scaled = SCALARS.multiply(builder, left, SCALARS.load(builder, factor))
    return SCALARS.join(builder, scaled)


def _negated(builder, value):
    """2 r - value: stays positive, since a value read from a file is below 2^255 < 2 r."""
    return builder.sub(ir.Constant(SCALARS.sum_type, 2 * MODULUS), value)


def _store_sum(builder, target, base, value):
    """target = base + value: base below 2^255 < 2 r, value at most 2 r, so the sum is below 4 r."""
    sum_ = _below(builder, builder.add(_wide(builder, base), value))
    SCALARS.store(builder, target, split(builder, sum_, 4))


_ADD_SCALED = llvm.step(_emit_add_scaled)
_SUBTRACT_SCALED = llvm.step(_emit_subtract_scaled)
_SCALED_DIFFERENCE = llvm.step(_emit_scaled_difference)


@njit(**SERIAL)
def encode_rows(key, data, factors, shift, first, out):
    """out = key + data * factor: new data put into a replica.

    key, data: u64[n, 4]  values below 2^255; row i is node first + i of the sector
    factors:   u64[f, 4]  rho times 2^256 mod r; node v takes row v >> shift
    shift:     i64
    first:     i64        the first node
    out:       u64[n, 4]  canonical; may be either input
    Cost:    one multiplication a node.   Threads: none inside; the GIL is free.
    Errors:  none; `processors.snap_encode` has checked the shapes.
    Source:  storage-proofs-update/src/vanilla.rs encode_into.   Twin: tests/naive/field.py add_scaled.
    Golden:  update.new_replica_sha256 of tests/golden/proofs/seal_2k_v1_1.json.
    """
    for row in range(out.shape[0]):
        factor = factors.ctypes.data + 32 * ((first + row) >> shift)
        at = 32 * row
        _ADD_SCALED(out.ctypes.data + at, key.ctypes.data + at, data.ctypes.data + at, factor)


@njit(**SERIAL)
def remove_rows(replica, data, factors, shift, first, out):
    """out = replica - data * factor: the sector key out of an updated replica and its data.

    replica, data: u64[n, 4]  values below 2^255; row i is node first + i of the sector
    factors:       u64[f, 4]  rho times 2^256 mod r; node v takes row v >> shift
    shift:         i64
    first:         i64        the first node
    out:           u64[n, 4]  canonical; may be either input
    Cost:    one multiplication a node.   Threads: none inside; the GIL is free.
    Errors:  none; `processors.snap_encode` has checked the shapes.
    Source:  storage-proofs-update/src/vanilla.rs remove_encoded_data.
    Twin:    tests/naive/field.py add_scaled.
    Golden:  sealed_sha256 of tests/golden/proofs/seal_2k_v1_1.json, from its new replica.
    """
    for row in range(out.shape[0]):
        factor = factors.ctypes.data + 32 * ((first + row) >> shift)
        at = 32 * row
        _SUBTRACT_SCALED(out.ctypes.data + at, replica.ctypes.data + at, data.ctypes.data + at, factor)


@njit(**SERIAL)
def decode_rows(replica, key, inverses, shift, first, out):
    """out = (replica - key) * inverse: the data of an updated replica.

    replica, key: u64[n, 4]  values below 2^255; row i is node first + i of the sector
    inverses:     u64[f, 4]  1 / rho times 2^256 mod r; node v takes row v >> shift
    shift:        i64
    first:        i64        the first node
    out:          u64[n, 4]  canonical; may be either input
    Cost:    one multiplication a node.   Threads: none inside; the GIL is free.
    Errors:  none; `processors.snap_encode` has checked the shapes.
    Source:  storage-proofs-update/src/vanilla.rs decode_from.   Twin: tests/naive/field.py add_scaled.
    Golden:  the new data of update in tests/golden/proofs/seal_2k_v1_1.json.
    """
    for row in range(out.shape[0]):
        factor = inverses.ctypes.data + 32 * ((first + row) >> shift)
        at = 32 * row
        _SCALED_DIFFERENCE(out.ctypes.data + at, replica.ctypes.data + at, key.ctypes.data + at, factor)
