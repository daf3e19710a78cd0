# mypy: allow-untyped-calls
"""The fields of G1's and G2's coordinates as steps of kernels: 6 words, or 12 for c0 + c1 · u, u² = -1."""

from __future__ import annotations

import numpy as np

from workers.kernels import llvm
from workers.kernels.montgomery import COORDINATES as BASE

G1_WORDS, G2_WORDS = 6, 12
"""Words of a coordinate."""


class _Extension:
    """c0 + c1 · u as two lists of limbs."""

    def load(self, builder, address):
        return [BASE.load(builder, address, BASE.slot * k) for k in range(2)]

    def store(self, builder, address, value):
        for k in range(2):
            BASE.store(builder, address, value[k], BASE.slot * k)

    def add(self, builder, left, right):
        return [BASE.add(builder, a, b) for a, b in zip(left, right, strict=True)]

    def subtract(self, builder, left, right):
        return [BASE.subtract(builder, a, b) for a, b in zip(left, right, strict=True)]

    def multiply(self, builder, left, right):
        """Karatsuba: three products."""
        low, high = (BASE.multiply(builder, left[k], right[k]) for k in range(2))
        cross = BASE.multiply(builder, BASE.add(builder, *left), BASE.add(builder, *right))
        mixed = BASE.subtract(builder, BASE.subtract(builder, cross, low), high)
        return [BASE.subtract(builder, low, high), mixed]


def _steps(name, field):
    """Multiply, add and subtract: (target, left, right) are addresses."""

    def step_of(operation):
        def emit(builder, target, left, right):
            field.store(
                builder, target, operation(builder, field.load(builder, left), field.load(builder, right))
            )

        return llvm.step(llvm.called(f"{name}_{operation.__name__}", emit))

    return step_of(field.multiply), step_of(field.add), step_of(field.subtract)


G1_STEPS, G2_STEPS = _steps("fp", BASE), _steps("fp2", _Extension())
"""Multiply, add and subtract of each field."""


def coordinate_rows(values: list[int], *, montgomery: bool = True) -> np.ndarray:
    """Return elements of the base field as u64[n, 6]."""
    radix = BASE.radix if montgomery else 1
    data = b"".join((value * radix % BASE.modulus).to_bytes(BASE.slot, "little") for value in values)
    return np.frombuffer(data, "<u8").astype(np.uint64).reshape(-1, G1_WORDS)


ONE_1 = coordinate_rows([1])[0]
ONE_2 = np.concatenate([ONE_1, np.zeros(G1_WORDS, np.uint64)])
"""1 in Montgomery form."""
TWELVE_1 = coordinate_rows([12])[0]
TWELVE_2 = np.concatenate([TWELVE_1, TWELVE_1])
"""Three times the curve's constant: 12, and 12 (1 + u)."""
FOUR_1 = coordinate_rows([4])[0]
FOUR_2 = np.concatenate([FOUR_1, FOUR_1])
"""The curves' constants: 4, and 4 (1 + u)."""
FERMAT_EXPONENT = tuple(
    np.uint64(BASE.modulus - 2 >> 64 * i & 0xFFFF_FFFF_FFFF_FFFF) for i in range(G1_WORDS)
)
"""The exponent that inverts, its lowest word first."""
