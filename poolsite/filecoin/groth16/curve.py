"""Points of BLS12-381 as proofs and verifying keys hold them, and sums of multiples of them.

Coordinates are big-endian, of G2 the coefficient of u first.  A compressed point is x alone, with three flags
in its top bits, which x leaves free: that it is compressed, infinity, and which of the two y it has.  blspy
reads compressed points only, so uncompressed ones are checked and compressed here.

Source: zkcrypto/pairing src/bls12_381 README (serialization); supranational/blst through blspy, which checks
that a compressed point is canonical, on the curve and in the subgroup.
"""

from __future__ import annotations

from collections.abc import Sequence

from blspy import G1Element, G2Element

FIELD_MODULUS = int(
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab", 16
)
"""Prime p of the base field."""

COORDINATE_BYTES = 48
"""Bytes of one element of the base field."""

G1_BYTES, G2_BYTES = 48, 96
"""Bytes of compressed points; uncompressed ones take twice as many."""

COMPRESSED_FLAG, LARGER_Y_FLAG = 0x80, 0x20
"""Flags in the first byte of a compressed point; 0x40 would mark the point at infinity."""

CURVE_CONSTANT = 4
"""G1: y^2 = x^3 + 4; G2: y^2 = x^3 + 4(1 + u)."""


class BadPoint(ValueError):
    """Bytes that are not a point of the group, or the point at infinity, which no proof or key may hold."""


def g1_from_compressed(data: bytes) -> G1Element:
    """Read a point of G1 from 48 bytes.  Raises BadPoint."""
    return _checked(G1Element, data, G1_BYTES)


def g2_from_compressed(data: bytes) -> G2Element:
    """Read a point of G2 from 96 bytes.  Raises BadPoint."""
    return _checked(G2Element, data, G2_BYTES)


def g1_from_uncompressed(data: bytes) -> G1Element:
    """Read a point of G1 from 96 bytes: x, y, big-endian.  Raises BadPoint."""
    x, y = _coordinates(data, 2)
    if (y * y - x**3 - CURVE_CONSTANT) % FIELD_MODULUS:
        raise BadPoint(data.hex())
    return g1_from_compressed(_compressed(data[:G1_BYTES], is_larger=_is_larger(y)))


def g2_from_uncompressed(data: bytes) -> G2Element:
    """Read a point of G2 from 192 bytes: the coefficients x1, x0, y1, y0, big-endian.  Raises BadPoint."""
    x1, x0, y1, y0 = _coordinates(data, 4)
    square = (y0 * y0 - y1 * y1, 2 * y0 * y1)
    cube = (x0**3 - 3 * x0 * x1 * x1, 3 * x0 * x0 * x1 - x1**3)
    if any((left - right - CURVE_CONSTANT) % FIELD_MODULUS for left, right in zip(square, cube, strict=True)):
        raise BadPoint(data.hex())
    return g2_from_compressed(_compressed(data[:G2_BYTES], is_larger=_is_larger(y1 if y1 else y0)))


def g1_combination(constant: G1Element, points: Sequence[G1Element], *, factors: Sequence[int]) -> G1Element:
    """Return constant + Σ factor · point, all factors at once from their highest bit down.

    blspy has no multiplication by a scalar.
    """
    total = G1Element()
    for bit in range(max((factor.bit_length() for factor in factors), default=0) - 1, -1, -1):
        total += total
        for point, factor in zip(points, factors, strict=True):
            if factor >> bit & 1:
                total += point
    return constant + total


def _checked(group: type[G1Element] | type[G2Element], data: bytes, length: int) -> G1Element | G2Element:
    """Return a point of the group that is not infinity.  Raises BadPoint."""
    if len(data) != length:
        raise BadPoint(f"{len(data)} bytes instead of {length}")
    try:
        point = group.from_bytes(data)
    except ValueError:
        raise BadPoint(data.hex()) from None
    if point == group():
        raise BadPoint("point at infinity")
    return point


def _coordinates(data: bytes, count: int) -> list[int]:
    """Return data cut into elements of the base field, each checked to be in its canonical form."""
    if len(data) != count * COORDINATE_BYTES:
        raise BadPoint(f"{len(data)} bytes instead of {count * COORDINATE_BYTES}")
    starts = range(0, len(data), COORDINATE_BYTES)
    coordinates = [int.from_bytes(data[at : at + COORDINATE_BYTES], "big") for at in starts]
    if any(coordinate >= FIELD_MODULUS for coordinate in coordinates):
        raise BadPoint(data.hex())
    return coordinates


def _is_larger(coordinate: int) -> bool:
    """Return whether y is the larger of y and -y."""
    return coordinate > (FIELD_MODULUS - 1) // 2


def _compressed(x: bytes, *, is_larger: bool) -> bytes:
    """Return x with the flags of the compressed form in its top three bits."""
    return bytes((x[0] | COMPRESSED_FLAG | (LARGER_Y_FLAG if is_larger else 0),)) + x[1:]
