"""Rows of a circuit over Python's integers modulo the scalar field's order."""

from __future__ import annotations

from collections.abc import Sequence

R = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001

Terms = list[tuple[int, int]]
"""Variables' codes, and places in the table of coefficients."""


def place_of(code: int, layout: Sequence[int], bound: Sequence[int]) -> int:
    """Where a variable's value is: inputs, shared aux, own inputs, own aux, or what a name is bound to."""
    kind, number = code >> 29, code & (1 << 29) - 1
    if kind == 4:
        return place_of(bound[number], layout, bound)
    return number + {0: 0, 1: layout[0], 2: layout[1], 3: layout[2]}[kind]


def rows_solve(
    values: list[int],
    coefficients: Sequence[int],
    rows: Sequence[tuple[Terms, Terms, Terms, int | None]],
    settings: Sequence[tuple[int, Terms, int, int]],
    layout: Sequence[int],
    bound: Sequence[int],
) -> tuple[int, list[tuple[int, int, int]]]:
    """Set all variables; give the first row that fails, or -1, and the values of A, B and C up to it."""

    def total(terms: Terms) -> int:
        parts = (values[place_of(code, layout, bound)] * coefficients[place] for code, place in terms)
        return sum(parts) % R

    made = []
    for at, (a, b, c, solved) in enumerate(rows):
        for row, source, target, bits in settings:
            if row == at:
                place, value = place_of(target, layout, bound), total(source)
                for bit in range(bits):
                    values[place + bit] |= value >> bit & 1
                if not bits:
                    values[place] = value
        product = total(a) * total(b) % R
        if solved is None:
            made.append((total(a), total(b), total(c)))
            if product != total(c):
                return at, made
            continue
        [place] = [place for code, place in c if code == solved]
        # C = rest + coefficient · variable, which is 0 so far
        missing = (product - total(c)) * pow(coefficients[place], -1, R) % R
        made.append((total(a), total(b), product))
        values[place_of(solved, layout, bound)] = missing
    return -1, made


def rows_scale(values: Sequence[int], factor: int) -> list[int]:
    """Each value times factor / 2^256."""
    return [value * factor * pow(1 << 256, -1, R) % R for value in values]


def columns_add(
    columns: list[int],
    rows: Sequence[Terms],
    coefficients: Sequence[int],
    lagrange: Sequence[int],
    layout: Sequence[int],
    bound: Sequence[int],
) -> None:
    """Add each row's Lagrange value times the coefficient to the columns of the row's variables."""
    for terms, value in zip(rows, lagrange, strict=True):
        for code, place in terms:
            at = place_of(code, layout, bound)
            columns[at] = (columns[at] + coefficients[place] * value) % R


def columns_mark(marks: list[int], codes: Sequence[int], layout: Sequence[int], bound: Sequence[int]) -> None:
    """Set the mark of each variable that occurs."""
    for code in codes:
        marks[place_of(code, layout, bound)] = 1


def columns_combine(columns: Sequence[Sequence[int]], factors: Sequence[int]) -> list[int]:
    """For each variable, the sum of its three columns, each times its factor."""
    pairs = [zip(row, factors, strict=True) for row in zip(*columns, strict=True)]
    return [sum(value * factor for value, factor in row) % R for row in pairs]
