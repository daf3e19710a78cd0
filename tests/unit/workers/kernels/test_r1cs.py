"""Rows and columns of circuits beside their slow twins: random parts with every kind of variable."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from tests.naive import r1cs as naive
from tests.naive.r1cs import Terms
from workers.kernels.columns import add_columns, combine_columns, mark_columns
from workers.kernels.field import WORD_BITS, limbs
from workers.kernels.r1cs import scale_rows, solve_rows

R = naive.R
INPUTS, SHARED, OWN = 4, 3, 6
"""Inputs with the constant 1, aux of all instances, aux of this one that are given."""
ROWS, BITS = 40, 5
LAYOUT = (INPUTS, 1, INPUTS + SHARED)
BOUND = (1 << 29, 2, (3 << 29) + 1)
"""A shared aux, an input, an own aux."""
EDGES = (0, 1, R - 1)


class Part:
    """A random part: rows that check, rows that give a variable its value, bits and copies of sums."""

    def __init__(self, seed: int, *, has_wrong_row: bool) -> None:
        self.dice = random.Random(seed)
        self.coefficients = [1, R - 1, *(self.scalar() for _ in range(5))]
        given = [1, *(self.scalar() for _ in range(INPUTS - 1 + SHARED + OWN))]
        self.known = [*range(INPUTS), *((1 << 29) + at for at in range(SHARED))]
        self.known += [(2 << 29) + at for at in range(INPUTS - 1)]
        self.known += [*((3 << 29) + at for at in range(OWN)), *((4 << 29) + at for at in range(len(BOUND)))]
        self.own, self.rows, self.settings = OWN, list[Any](), list[Any]()
        for at in range(ROWS):
            if at % 7 == 3:
                self.settings.append((at, self.terms(), self.fresh(BITS), BITS))
            if at % 7 == 5:
                self.settings.append((at, self.terms(), self.fresh(1), 0))
            self.rows.append(self.row(at, is_wrong=has_wrong_row and at == ROWS - 3))
        self.given = [*given, *[0] * (self.own - OWN)]

    def scalar(self) -> int:
        return self.dice.choice((*EDGES, self.dice.randrange(R)))

    def terms(self) -> Terms:
        """Some known variables; a sum of none is 0."""
        codes = self.dice.choices(self.known, k=self.dice.randrange(4))
        return [(code, self.dice.randrange(len(self.coefficients))) for code in codes]

    def fresh(self, count: int) -> int:
        """Return an own aux that nothing has a value for yet, the first of so many."""
        first = (3 << 29) + self.own
        self.own += count
        self.known += range(first, first + count)
        return first

    def row(self, at: int, *, is_wrong: bool) -> tuple[Terms, Terms, Terms, int | None]:
        a, b = self.terms(), self.terms()
        if is_wrong:
            return [(0, 0)], [(0, 0)], [], None  # 1 · 1 = 0
        if at % 3 == 0:
            return a, [(0, 0)], list(a), None  # a · 1 = a
        rest = self.terms()
        code = self.fresh(1)
        return a, b, [*rest, (code, self.dice.randrange(2))], code


def packed(rows: list[Terms]) -> tuple[Any, Any, Any]:
    """Return rows as the kernel takes them: where each ends, its variables, their coefficients' places."""
    ends = np.cumsum([len(terms) for terms in rows]).astype(np.int64)
    flat = [term for terms in rows for term in terms]
    codes, places = (np.array([term[at] for term in flat], np.uint32) for at in (0, 1))
    return ends, codes, places


def integers(rows: Any) -> list[int]:
    """Return canonical values of Montgomery rows."""
    out = np.empty_like(rows)
    scale_rows(np.ascontiguousarray(rows), limbs([1], bits=WORD_BITS, montgomery=False)[0], out)
    return [int.from_bytes(row.astype("<u8").tobytes(), "little") for row in out]


@pytest.mark.parametrize("has_wrong_row", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_rows_are_those_of_the_slow_twin(seed: int, has_wrong_row: bool) -> None:
    part = Part(seed, has_wrong_row=has_wrong_row)
    values, coefficients = limbs(part.given, bits=WORD_BITS), limbs(part.coefficients, bits=WORD_BITS)
    solved = np.array([0xFFFF_FFFF if row[3] is None else row[3] for row in part.rows], np.uint32)
    steps = (
        np.array([one[0] for one in part.settings], np.int64),
        packed([one[1] for one in part.settings]),
        np.array([one[2] for one in part.settings], np.uint32),
        np.array([one[3] for one in part.settings], np.int64),
    )
    out = np.zeros((3, ROWS, 4), np.uint64)
    matrices = tuple(packed([row[side] for row in part.rows]) for side in range(3))
    layout, bound = np.array(LAYOUT, np.int64), np.array(BOUND, np.uint32)

    failed = solve_rows(values, coefficients, matrices, solved, steps, layout, bound, out)

    twin = list(part.given)
    wanted, rows = naive.rows_solve(twin, part.coefficients, part.rows, part.settings, LAYOUT, BOUND)
    assert failed == wanted == (ROWS - 3 if has_wrong_row else -1)
    assert integers(values) == twin
    for side in range(3):
        assert integers(out[side, : len(rows)]) == [row[side] for row in rows]


@pytest.mark.parametrize("factor", [0, 1, R - 1, pow(2, 512, R)])
def test_rows_are_scaled_as_by_the_slow_twin(factor: int) -> None:
    dice = random.Random(factor)
    plain = [*EDGES, *(dice.randrange(R) for _ in range(20))]
    rows = limbs(plain, bits=WORD_BITS, montgomery=False)

    scale_rows(rows, limbs([factor], bits=WORD_BITS, montgomery=False)[0], rows)

    assert [int.from_bytes(row.astype("<u8").tobytes(), "little") for row in rows] == naive.rows_scale(
        plain, factor
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [0, 1, ROWS])
def test_columns_and_marks_are_those_of_the_slow_twin(count: int, seed: int) -> None:
    """Each side of a part is added to columns that hold something, as those of another instance do."""
    part = Part(seed, has_wrong_row=False)
    layout, bound = np.array(LAYOUT, np.int64), np.array(BOUND, np.uint32)
    twin, marked = [part.scalar() for _ in part.given], [0] * len(part.given)
    columns, marks = limbs(twin, bits=WORD_BITS), np.zeros(len(part.given), np.uint8)
    for side in range(3):
        rows = [row[side] for row in part.rows[:count]]
        lagrange = [part.scalar() for _ in rows]
        matrix = packed(rows)

        add_columns(
            matrix,
            limbs(part.coefficients, bits=WORD_BITS),
            limbs(lagrange, bits=WORD_BITS),
            layout,
            bound,
            columns,
        )
        mark_columns(matrix[1], layout, bound, marks)

        naive.columns_add(twin, rows, part.coefficients, lagrange, LAYOUT, BOUND)
        naive.columns_mark(marked, [code for terms in rows for code, _ in terms], LAYOUT, BOUND)
    assert integers(columns) == twin
    assert marks.tolist() == marked


@pytest.mark.parametrize("edge", [*EDGES, None])
@pytest.mark.parametrize("count", [0, 1, 2, 31])
def test_columns_are_combined_as_by_the_slow_twin(count: int, edge: int | None) -> None:
    dice = random.Random(count)
    scalars = [dice.randrange(R) if edge is None else edge for _ in range(3 * count + 3)]
    columns, factors = [scalars[side * count : (side + 1) * count] for side in range(3)], scalars[-3:]
    rows = np.stack([limbs(column, bits=WORD_BITS) for column in columns])
    out = np.full((count, 4), 0xFFFF_FFFF_FFFF_FFFF, np.uint64)

    combine_columns(rows, limbs(factors, bits=WORD_BITS), out)

    assert integers(out) == naive.columns_combine(columns, factors)
