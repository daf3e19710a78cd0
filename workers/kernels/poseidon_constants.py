"""Constants of the Poseidon hash, derived at first use: round constants and the matrix.

Source: argumentcomputer/neptune src/round_constants.rs, mds.rs, preprocessing.rs.
Plain integers; `poseidon_recurrence` puts them in order.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from workers.kernels.field import MODULUS

FULL_ROUNDS = 8
"""Rounds with an S-box on every element: four at each end."""
PARTIAL_ROUNDS = {2: 55, 4: 56, 8: 57, 11: 57}
"""Rounds with one S-box, by arity, at 128-bit strength."""
GEN_RANDOMNESS_TAG = 1 << 40
"""Domain tag of SnapUp's randomness (neptune HashType::Custom(1)), arity 2."""
_GRAIN_STEP = 16
"""New bits per step of the generator; the nearest tap is 18 bits from the end."""

Matrix = list[list[int]]


@dataclass(frozen=True)
class PoseidonConstants:
    """The optimised form: constants pushed behind the S-boxes."""

    width: int
    """Elements of the state: arity + 1."""
    partial_rounds: int
    """Number of partial rounds."""
    compressed: list[int]
    """Constants in order of use: width, then width per full round, then one per partial round."""
    mds: Matrix
    """The matrix of every round; symmetric."""


def _grain(width: int, partial_rounds: int, count: int) -> list[int]:
    """Return the first `count` field elements of the Grain LFSR stream.

    width, partial_rounds: with the field's 255 bits and the number of full rounds, they seed the register
    An element is 255 accepted bits, the highest first; one that is not below r is dropped.
    """
    fields = ((2, 1), (4, 1), (12, 255), (12, width), (10, FULL_ROUNDS), (10, partial_rounds))
    state = 0
    for size, value in (*fields, (30, (1 << 30) - 1)):
        state = state << size | value
    bits = f"{state:080b}"[::-1]  # from here on, bit 0 is the oldest
    register, step = int(bits, 2), (1 << _GRAIN_STEP) - 1
    stream = ""
    elements: list[int] = []
    position, discarded = 0, False
    accepted: list[str] = []
    while len(elements) < count:
        new = 0
        for tap in (62, 51, 38, 23, 13, 0):
            new ^= register >> tap
        new &= step
        register = register >> _GRAIN_STEP | new << 80 - _GRAIN_STEP
        stream += f"{new:0{_GRAIN_STEP}b}"[::-1]
        if not discarded:
            if len(stream) < 160:
                continue
            stream, discarded = stream[160:], True
        while position + 2 <= len(stream):  # self-shrinking: keep the second bit where the first is 1
            if stream[position] == "1":
                accepted.append(stream[position + 1])
            position += 2
        stream, position = stream[position:], 0
        while len(accepted) >= 255 and len(elements) < count:
            value = int("".join(accepted[:255]), 2)
            accepted = accepted[255:]
            if value < MODULUS:
                elements.append(value)
    return elements


def matrix_inverse(matrix: Matrix) -> Matrix:
    """Return the inverse of a square matrix by Gauss and Jordan, in the field.

    Raises StopIteration if there is none.
    """
    size = len(matrix)
    rows = [[*row, *(int(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for i in range(size):
        pivot = next(row for row in range(i, size) if rows[row][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        factor = pow(rows[i][i], -1, MODULUS)
        rows[i] = [x * factor % MODULUS for x in rows[i]]
        for row in range(size):
            if row != i and rows[row][i]:
                factor = rows[row][i]
                pairs = zip(rows[row], rows[i], strict=True)
                rows[row] = [(x - factor * y) % MODULUS for x, y in pairs]
    return [row[size:] for row in rows]


def _times(matrix: Matrix, column: list[int]) -> list[int]:
    """Return matrix · column, modulo r."""
    return [sum(a * b for a, b in zip(row, column, strict=True)) % MODULUS for row in matrix]


def _compress(rounds: list[list[int]], inverse: Matrix, partial_rounds: int) -> list[int]:
    """Push the round constants behind the S-boxes.

    rounds:  a list of width constants for each round, as they would be added in front of the S-boxes
    inverse: of the matrix
    returns: width constants for the start, for each of 3 full rounds, and where the partial rounds begin;
             one for each partial round; width for each of 3 full rounds

    A constant added in front of a round may as well be added behind the last S-boxes, times the inverse of
    the matrix between.  In partial rounds only the first element meets an S-box, so the others' constants go
    back round by round to where these rounds begin.
    """
    half = FULL_ROUNDS // 2
    out = list(rounds[0])
    for i in range(1, half):
        out += _times(inverse, rounds[i])
    carried, keys = rounds[half + partial_rounds], []
    for i in range(partial_rounds):
        back = _times(inverse, carried)
        keys.append(back[0])
        back[0] = 0
        pairs = zip(rounds[half + partial_rounds - i - 1], back, strict=True)
        carried = [(a + b) % MODULUS for a, b in pairs]
    out += _times(inverse, carried)
    out += reversed(keys)
    for i in range(1, half):
        out += _times(inverse, rounds[half + partial_rounds + i])
    return out


@functools.cache
def poseidon_constants(arity: int) -> PoseidonConstants:
    """Derive the constants of one arity (2, 4, 8 or 11): 0.02 to 0.4 s, once per process."""
    width, partial = arity + 1, PARTIAL_ROUNDS[arity]
    elements = _grain(width, partial, (FULL_ROUNDS + partial) * width)
    rounds = [elements[i : i + width] for i in range(0, len(elements), width)]
    mds = [[pow(i + j + width, -1, MODULUS) for j in range(width)] for i in range(width)]
    return PoseidonConstants(
        width=width,
        partial_rounds=partial,
        compressed=_compress(rounds, matrix_inverse(mds), partial),
        mds=mds,
    )
