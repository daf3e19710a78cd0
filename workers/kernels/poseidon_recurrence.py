"""Poseidon's rounds with fewer products: the partial rounds as one recurrence, all weights in order of use.

In a partial round only the first element y meets the S-box, s = y^5 + key; the others, t, are mixed:
y' = m s + C t, t' = B s + A t.  By the characteristic polynomial of A (Cayley, Hamilton) t can be left out:
with n = arity, y[r+1] is a fixed sum of the n last y and the n + 1 last s.  That is one dot product a
round, and the tail of the state is worked out once, at the end.

Every linear layer may also give each of its results times a factor of our choice, which the next S-box
takes to the fifth power.  The factors make one weight of each sum 1: an addition, no product.

Derived here; equal to neptune src/poseidon.rs by its test vectors.  Plain integers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from workers.kernels.field import MODULUS
from workers.kernels.poseidon_constants import FULL_ROUNDS, matrix_inverse, poseidon_constants

if TYPE_CHECKING:
    from workers.kernels.poseidon_constants import Matrix

HALF = FULL_ROUNDS // 2


def _inverse(value: int) -> int:
    """Return 1 / value modulo r; ValueError for 0."""
    return pow(value, -1, MODULUS)


def _dot(left: Sequence[int], right: Sequence[int]) -> int:
    """Return Σ left[i] · right[i] modulo r; both have the same length."""
    return sum(a * b for a, b in zip(left, right, strict=True)) % MODULUS


def _product(left: Matrix, right: Matrix) -> Matrix:
    """Return left · right of two matrices, modulo r."""
    columns = list(zip(*right, strict=True))
    return [[_dot(row, column) for column in columns] for row in left]


def _characteristic(matrix: Matrix) -> list[int]:
    """Return c with matrix^n + c[1] matrix^(n-1) + … + c[n] = 0 and c[0] = 1 (Faddeev, LeVerrier).

    It divides by 1 … n, which have inverses: r is a large prime.
    """
    size = len(matrix)
    out, power = [1], [[0] * size for _ in range(size)]
    for k in range(1, size + 1):
        shifted = [[v + out[-1] * (i == j) for j, v in enumerate(row)] for i, row in enumerate(power)]
        power = _product(matrix, shifted)
        out.append(-sum(power[i][i] for i in range(size)) * _inverse(k) % MODULUS)
    return out


class Recurrence:
    """The partial rounds of one arity: from the state before them to the state after them."""

    def __init__(self, mds: Matrix) -> None:
        """Store the matrix of a round: its first row and column are m, C and B, the rest is A.

        mds: n + 1 rows; all attributes have plain values, no factor and no Montgomery radix in them
        """
        size = self.size = len(mds) - 1
        first, mixed, added = mds[0], [row[1:] for row in mds[1:]], [row[0] for row in mds[1:]]
        self.seen = [first[1:]]
        """Row r: what the tail before the partial rounds gives to y[r+1]; C A^r."""
        spread = [added]  # A^r B
        for _ in range(size - 1):
            self.seen.append([_dot(self.seen[-1], column) for column in zip(*mixed, strict=True)])
            spread.append([_dot(row, spread[-1]) for row in mixed])
        self.response = [first[0], *(_dot(first[1:], column) for column in spread)]
        """What s[r-j] gives to y[r+1] by itself, for j = 0 … n."""
        c = _characteristic(mixed)
        self.of_y = [-value % MODULUS for value in c[1:]]
        """Weights of y[r], y[r-1], … y[r-n+1] in y[r+1]."""
        self.of_s = [_dot(c[: j + 1], self.response[j::-1]) for j in range(size + 1)]
        """Weights of s[r], s[r-1], … s[r-n] in y[r+1]."""
        power = mixed
        for _ in range(size - 1):
            power = _product(power, mixed)
        back = _product(power, matrix_inverse(self.seen))
        self.tail_of_y = back
        """Row i: weights of the n last y, oldest first, in the tail's element i after the last round."""
        self.tail_of_s = [
            [
                (spread[size - 1 - k][i] - _dot(row[k:], self.response[: size - k])) % MODULUS
                for k in range(size)
            ]
            for i, row in enumerate(back)
        ]
        """The same of the n last s, oldest first."""

    def window(self) -> list[int]:
        """Return the weights of y[r+1]: s[r-n], y[r-n+1], s[r-n+1] … y[r], s[r]: 2 n + 1 of them.

        So they lie in memory, s behind its y: a dot product takes neighbours.
        """
        return _alternate(self.of_s[:0:-1], self.of_y[::-1]) + self.of_s[:1]

    def tail_window(self, element: int) -> list[int]:
        """Return the weights of one element of the tail at the end.

        element: 0 … n - 1
        returns: 2 n weights, with N rounds those of s[N-n], y[N-n+1] … s[N-1], y[N]
        """
        return _alternate(self.tail_of_s[element], self.tail_of_y[element])


def _alternate(left: Sequence[int], right: Sequence[int]) -> list[int]:
    """Return left[0], right[0], left[1], right[1] …; both have the same length."""
    return [value for pair in zip(left, right, strict=True) for value in pair]


def _fifth(values: Sequence[int]) -> list[int]:
    """Return the factors that values have behind an S-box: each to the fifth power."""
    return [pow(value, 5, MODULUS) for value in values]


def _sum(weights: Sequence[int], factors: Sequence[int], *, plain: int) -> tuple[list[int], int]:
    """Return a sum over elements that carry factors, times the factor that makes weight number `plain` 1.

    weights: of the elements themselves;  factors: what each element in memory has been multiplied by
    returns: the other weights, in order, and that factor, which the sum in memory has
    """
    own = [weight * _inverse(factor) % MODULUS for weight, factor in zip(weights, factors, strict=True)]
    factor = _inverse(own.pop(plain))
    return [weight * factor % MODULUS for weight in own], factor


def _layer(matrix: Matrix, factors: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the weights of all rows of a matrix, without those of the first column, which become 1.

    factors: of the state's elements;  returns also the factors of the new state's
    """
    sums = [_sum(row, factors, plain=0) for row in matrix]
    return [value for weights, _ in sums for value in weights], [factor for _, factor in sums]


def _partial_rounds(
    recurrence: Recurrence, keys: Sequence[int], factors: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Return the weights of all partial rounds and of the tail after them, and the factors of the state then.

    keys:    of the partial rounds, in order
    factors: of y[0], y[1] … y[n], of which the latter lack what the S-boxes give
    returns: key and weights turn by turn, then 2 n - 1 weights for each element of the tail; n + 1 factors
    """
    n = recurrence.size
    of_y, of_s, values = list(factors), list[int](), list[int]()
    for turn, key in enumerate(keys):
        of_s.append(pow(of_y[turn], 5, MODULUS))
        values.append(key * of_s[turn] % MODULUS)
        if turn < n:  # y[turn+1] begins with what the tail gives
            pairs = zip(recurrence.response[turn::-1], of_s, strict=True)
            values += [weight * of_y[turn + 1] * _inverse(factor) % MODULUS for weight, factor in pairs]
        else:
            window = _alternate(of_s[turn - n : turn], of_y[turn - n + 1 :]) + of_s[turn:]
            weights, factor = _sum(recurrence.window(), window, plain=2 * n)
            values += weights
            of_y.append(factor)
    after = [of_y[-1]]
    window = _alternate(of_s[-n:], of_y[-n:])
    for element in range(n):
        weights, factor = _sum(recurrence.tail_window(element), window, plain=2 * n - 1)
        values += weights
        after.append(factor)
    return values, after


def constants_in_order(arity: int, *, tag: int, radix: int) -> list[int]:
    """Return every constant in the order in which the kernels read them.

    arity: 2, 4, 8 or 11;  tag: the domain tag;  radix: of the Montgomery form, 2^256 or 2^260
    The tag after its S-box; per input the Montgomery radix and its constant; four full rounds (keys, rows
    without their first column); the partial rounds (key, weights of the next y) and the tail after them;
    three full rounds; the last one, whose single row also leaves the Montgomery form.
    """
    c = poseidon_constants(arity)
    width = c.width
    keys = iter(c.compressed[width:])
    recurrence = Recurrence(c.mds)
    seen = [c.mds[0], *_product(recurrence.seen, c.mds[1:])]
    values = [pow(tag + c.compressed[0], 5, MODULUS) + next(keys)]
    for i in range(1, width):
        values += [radix, c.compressed[i]]
    factors = [1] * width
    for turn in range(HALF):
        boxes = _fifth(factors)
        values += _scaled(keys, boxes[turn == 0 :])
        weights, factors = _layer(seen if turn == HALF - 1 else c.mds, boxes)
        values += weights
    weights, factors = _partial_rounds(recurrence, [next(keys) for _ in range(c.partial_rounds)], factors)
    values += weights
    for _ in range(HALF - 1):
        boxes = _fifth(factors)
        values += _scaled(keys, boxes)
        weights, factors = _layer(c.mds, boxes)
        values += weights
    values += [0] * width
    boxes = _fifth(factors)
    values += [weight * _inverse(box * radix) for weight, box in zip(c.mds[1], boxes, strict=True)]
    return [value % MODULUS for value in values]


def _scaled(keys: Iterator[int], boxes: Sequence[int]) -> list[int]:
    """Return the next keys, each times the factor of the element that it is added to.

    keys:  advanced by as many as there are boxes
    boxes: factors behind the S-boxes
    """
    return [next(keys) * box % MODULUS for box in boxes]
