"""Elements of the target group of BLS12-381, the values of pairings: coordinates, powers, compressed form.

An element is two coefficients of the field Fp6 over Fp2, each of three; Fp2 has u² = -1, Fp6 v³ = u + 1 and
Fp12 w² = v.  Source: filecoin-project/blstrs src/gt.rs, src/serde_impl.rs.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import mul
from typing import Final

from blspy import G1Element, G2Element, GTElement

from poolsite.filecoin.groth16.curve import COORDINATE_BYTES, FIELD_MODULUS, BadPoint
from poolsite.filecoin.scalars import SCALAR_MODULUS

TARGET_BYTES: Final = 6 * COORDINATE_BYTES
"""Bytes of a compressed element."""

_COORDINATES: Final = 12
"""Elements of the base field in one of Fp12."""
_MONTGOMERY: Final = 1 << 384
"""R of the Montgomery form: a coordinate x lies in memory as x R modulo p."""
_FROM_MONTGOMERY: Final = pow(_MONTGOMERY, -1, FIELD_MODULUS)
"""1 / R modulo p."""

Fp2 = tuple[int, int]
"""c0 + c1 · u, each below the modulus of the base field."""
Fp6 = tuple[Fp2, Fp2, Fp2]
"""c0 + c1 · v + c2 · v²."""

_ZERO: Final[Fp2] = (0, 0)
"""0 in Fp2."""
_V: Final[Fp6] = (_ZERO, (1, 0), _ZERO)
"""v in Fp6, whose cube is u + 1."""
_ONE: Final[Fp6] = ((1, 0), _ZERO, _ZERO)
"""1 in Fp6."""


def target_coordinates(element: GTElement) -> list[int]:
    """Return the twelve coordinates of an element.

    blspy gives the words that blst keeps in memory, little-endian in Montgomery form.
    """
    data = bytes(element)
    starts = range(0, _COORDINATES * COORDINATE_BYTES, COORDINATE_BYTES)
    words = (int.from_bytes(data[at : at + COORDINATE_BYTES], "little") for at in starts)
    return [word * _FROM_MONTGOMERY % FIELD_MODULUS for word in words]


def target_from_coordinates(coordinates: Iterable[int]) -> GTElement:
    """Return the element with these coordinates, unchecked."""
    return GTElement.from_bytes(
        b"".join(
            (value * _MONTGOMERY % FIELD_MODULUS).to_bytes(COORDINATE_BYTES, "little")
            for value in coordinates
        )
    )


def target_bytes(element: GTElement) -> bytes:
    """Return the twelve coordinates as bincode writes them: 48 little-endian bytes each."""
    return b"".join(value.to_bytes(COORDINATE_BYTES, "little") for value in target_coordinates(element))


def target_unit() -> GTElement:
    """Return 1 (`GTElement.unity` of blspy is memory that nobody has set)."""
    return target_from_coordinates([1, *[0] * (_COORDINATES - 1)])


def target_power(value: GTElement, exponent: int) -> GTElement:
    """Return value^exponent for an exponent of at least 1."""
    result = value
    for bit in f"{exponent:b}"[1:]:
        result = result * result
        if bit == "1":
            result = result * value
    return result


def pairing_product(left: Iterable[G1Element], right: Iterable[G2Element]) -> GTElement:
    """Return Π e(left, right) over at least one pair."""
    return reduce(mul, (one.pair(other) for one, other in zip(left, right, strict=True)))


def target_compress(element: GTElement) -> bytes:
    """Return an element of the group as 288 bytes.  Raises BadPoint for 1, which has no such form.

    Elements of the group lie on a torus in Fp12: low + high w is given by (low + 1) / high in Fp6 alone, half
    as long.  Source: Naehrig, Barreto, Schwabe, "On Compressible Pairings and Their Computation", section
    4.1.
    """
    values = target_coordinates(element)
    low, high = _fp6(values[:6]), _fp6(values[6:])
    if high == (_ZERO, _ZERO, _ZERO):
        raise BadPoint("the unit of the target group has no compressed form")
    compressed = _times(_plus(low, _ONE), _inverse(high))
    return b"".join(value.to_bytes(COORDINATE_BYTES, "little") for pair in compressed for value in pair)


def target_decompress(data: bytes) -> GTElement:
    """Read an element of the group from 288 bytes.  Raises BadPoint.

    Source: Rubin, Silverberg, "Compression in finite fields and torus-based cryptography", section 2.
    """
    if len(data) != TARGET_BYTES:
        raise BadPoint(f"{len(data)} bytes instead of {TARGET_BYTES}")
    starts = range(0, TARGET_BYTES, COORDINATE_BYTES)
    values = [int.from_bytes(data[at : at + COORDINATE_BYTES], "little") for at in starts]
    if any(value >= FIELD_MODULUS for value in values):
        raise BadPoint("a coordinate of the target group is not below the modulus")
    base = _fp6(values)
    square = _times(base, base)
    below = _plus(square, _negative(_V))
    if below == (_ZERO, _ZERO, _ZERO):
        raise BadPoint("not a compressed element of the target group")
    inverse = _inverse(below)
    low = _times(_plus(square, _V), inverse)
    high = _times(_plus(base, base), inverse)
    element = target_from_coordinates(value for half in (low, high) for pair in half for value in pair)
    # Every value in Fp6 stands for some point of the torus; values of pairings are those of order r.
    if target_power(element, SCALAR_MODULUS) != target_unit():
        raise BadPoint("not an element of the target group")
    return element


def _fp6(values: list[int]) -> Fp6:
    """Return six coordinates as one element of Fp6."""
    return (values[0], values[1]), (values[2], values[3]), (values[4], values[5])


def _plus(left: Fp6, right: Fp6) -> Fp6:
    """Return a sum in Fp6."""
    a, b, c = (
        ((one[0] + other[0]) % FIELD_MODULUS, (one[1] + other[1]) % FIELD_MODULUS)
        for one, other in zip(left, right, strict=True)
    )
    return a, b, c


def _negative(value: Fp6) -> Fp6:
    """Return -value in Fp6."""
    a, b, c = ((-one[0] % FIELD_MODULUS, -one[1] % FIELD_MODULUS) for one in value)
    return a, b, c


def _times2(left: Fp2, right: Fp2) -> Fp2:
    """Return a product in Fp2, where u² = -1."""
    a, b = left
    c, d = right
    return (a * c - b * d) % FIELD_MODULUS, (a * d + b * c) % FIELD_MODULUS


def _plus2(*values: Fp2) -> Fp2:
    """Return a sum in Fp2."""
    return sum(value[0] for value in values) % FIELD_MODULUS, sum(
        value[1] for value in values
    ) % FIELD_MODULUS


def _minus2(left: Fp2, right: Fp2) -> Fp2:
    """Return a difference in Fp2."""
    return (left[0] - right[0]) % FIELD_MODULUS, (left[1] - right[1]) % FIELD_MODULUS


def _times_v3(value: Fp2) -> Fp2:
    """Return value · (u + 1)."""
    return (value[0] - value[1]) % FIELD_MODULUS, (value[0] + value[1]) % FIELD_MODULUS


def _times(left: Fp6, right: Fp6) -> Fp6:
    """Return a product in Fp6, where v³ = u + 1."""
    a, b, c = left
    d, e, f = right
    return (
        _plus2(_times2(a, d), _times_v3(_plus2(_times2(b, f), _times2(c, e)))),
        _plus2(_times2(a, e), _times2(b, d), _times_v3(_times2(c, f))),
        _plus2(_times2(a, f), _times2(b, e), _times2(c, d)),
    )


def _inverse(value: Fp6) -> Fp6:
    """Return 1 / value for a value that is not 0."""
    a, b, c = value
    first = _minus2(_times2(a, a), _times_v3(_times2(b, c)))
    second = _minus2(_times_v3(_times2(c, c)), _times2(a, b))
    third = _minus2(_times2(b, b), _times2(a, c))
    norm = _plus2(_times2(a, first), _times_v3(_plus2(_times2(b, third), _times2(c, second))))
    length = pow(norm[0] * norm[0] + norm[1] * norm[1], -1, FIELD_MODULUS)
    inverse: Fp2 = (norm[0] * length % FIELD_MODULUS, -norm[1] * length % FIELD_MODULUS)
    return _times2(first, inverse), _times2(second, inverse), _times2(third, inverse)
