"""Polynomials over the scalar field, by their definition."""

from __future__ import annotations

from tests.naive.field import MODULUS


def transform(values: list[int], root: int) -> list[int]:
    """Σ value_k · root^(i k), for each i."""
    count = len(values)
    return [
        sum(value * pow(root, i * k, MODULUS) for k, value in enumerate(values)) % MODULUS
        for i in range(count)
    ]


def evaluate(coefficients: list[int], x: int) -> int:
    """Horner's rule."""
    total = 0
    for coefficient in reversed(coefficients):
        total = (total * x + coefficient) % MODULUS
    return total
