"""Points of G1 and G2 over Python's integers: coordinates are tuples of one or two integers below p."""

from __future__ import annotations

P = int(
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab", 16
)

Element = tuple[int, ...]
Point = tuple[Element, Element] | None
"""None is the point at infinity."""


def add(left: Element, right: Element) -> Element:
    return tuple((a + b) % P for a, b in zip(left, right, strict=True))


def negative(value: Element) -> Element:
    return tuple(-a % P for a in value)


def multiply(left: Element, right: Element) -> Element:
    if len(left) == 1:
        return (left[0] * right[0] % P,)
    (a, b), (c, d) = left, right
    return ((a * c - b * d) % P, (a * d + b * c) % P)


def inverse(value: Element) -> Element:
    if len(value) == 1:
        return (pow(value[0], -1, P),)
    norm = pow(value[0] ** 2 + value[1] ** 2, -1, P)
    return (value[0] * norm % P, -value[1] * norm % P)


def parts_scale(values: list[int], factor: int) -> list[int]:
    """Each value times factor / 2^384."""
    return [value * factor * pow(1 << 384, -1, P) % P for value in values]


def is_on_curve(point: Point) -> bool:
    """Whether y² = x³ + b; b is 4, or 4 (1 + u).  Infinity has no coordinates."""
    if point is None:
        return False
    x, y = point
    return multiply(y, y) == add(multiply(multiply(x, x), x), (4,) * len(x))


def point_add(one: Point, two: Point) -> Point:
    """The sum, by the cases of the school book."""
    if one is None or two is None:
        return two if one is None else one
    (x1, y1), (x2, y2) = one, two
    if x1 == x2:
        if y1 != y2:
            return None
        square = multiply(x1, x1)
        above, below = add(add(square, square), square), add(y1, y1)
    else:
        above, below = add(y2, negative(y1)), add(x2, negative(x1))
    slope = multiply(above, inverse(below))
    x = add(add(multiply(slope, slope), negative(x1)), negative(x2))
    return x, add(multiply(slope, add(x1, negative(x))), negative(y1))


def point_negative(point: Point) -> Point:
    return None if point is None else (point[0], negative(point[1]))


def point_multiply(point: Point, scalar: int) -> Point:
    """Doubling and adding."""
    total: Point = None
    while scalar:
        if scalar & 1:
            total = point_add(total, point)
        point, scalar = point_add(point, point), scalar >> 1
    return total


def multiexp(points: list[Point], scalars: list[int]) -> Point:
    total: Point = None
    for point, scalar in zip(points, scalars, strict=True):
        total = point_add(total, point_multiply(point, scalar))
    return total
