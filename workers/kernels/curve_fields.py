# mypy: allow-untyped-calls
"""The fields of G1's and G2's coordinates as steps of kernels: 6 words, or 12 for c0 + c1 · u, u² = -1."""

from __future__ import annotations

import numpy as np
from numba import njit

from workers.kernels import llvm
from workers.kernels.flags import STEP
from workers.kernels.montgomery import COORDINATES as BASE

G1_WORDS, G2_WORDS = 6, 12
"""Words of a coordinate."""


class _Extension:
    """c0 + c1 · u as two lists of limbs."""

    def load(self, builder, address):
        """12 words: c0, then c1, each of 6, the lowest first."""
        return [BASE.load(builder, address, BASE.slot * k) for k in range(2)]

    def store(self, builder, address, value):
        """Write c0, then c1, as `load` reads them."""
        for k in range(2):
            BASE.store(builder, address, value[k], BASE.slot * k)

    def add(self, builder, left, right):
        """Part by part; each below p."""
        return [BASE.add(builder, a, b) for a, b in zip(left, right, strict=True)]

    def subtract(self, builder, left, right):
        """Part by part; each below p."""
        return [BASE.subtract(builder, a, b) for a, b in zip(left, right, strict=True)]

    def multiply_at(self, builder, left, right):
        """Karatsuba: three products of elements at i64 addresses.

        (a + b u)(c + d u) = ac - bd + ((a + b)(c + d) - ac - bd) u, as u² = -1.  Every sum and difference is
        brought below p again, so products stay below p as `MontgomeryField.multiply` needs it.
        """
        above = [builder.add(address, llvm.splat(llvm.I64, BASE.slot)) for address in (left, right)]
        low, high = BASE.multiply_at(builder, left, right), BASE.multiply_at(builder, *above)
        sums = [BASE.add(builder, *self.load(builder, address)) for address in (left, right)]
        cross = BASE.multiply(builder, *sums)
        mixed = BASE.subtract(builder, BASE.subtract(builder, cross, low), high)
        return [BASE.subtract(builder, low, high), mixed]


def _steps(name, field):
    """Multiply, add and subtract: (target, left, right) are addresses.

    name:  "fp" or "fp2": begins the names of the functions in the compiled module
    field: has load, store, multiply_at, add and subtract; elements in memory are below p, Montgomery form
    The target may be either operand: both are read before it is written.
    """

    def step_of(operation, *, is_loaded=True):
        """The step of one operation; its code is a function of its own in every module that uses it."""

        def emit(builder, target, left, right):
            """Read both, write the result."""
            both = [field.load(builder, address) for address in (left, right)] if is_loaded else [left, right]
            field.store(builder, target, operation(builder, *both))

        return llvm.step(llvm.called(f"{name}_{operation.__name__}", emit))

    return step_of(field.multiply_at, is_loaded=False), step_of(field.add), step_of(field.subtract)


G1_STEPS, G2_STEPS = _steps("fp", BASE), _steps("fp2", _Extension())
"""Multiply, add and subtract of each field."""


def coordinate_rows(values: list[int], *, montgomery: bool = True) -> np.ndarray:
    """Return elements of the base field as u64[n, 6], the lowest word first.

    values:     integers; taken modulo p
    montgomery: times 2^384 modulo p, the form of all kernels but those that convert
    """
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
_MULTIPLY, _ADD, _SUBTRACT = G1_STEPS


@njit(**STEP)
def is_zero(row):
    """Return whether all words are 0.

    row: u64[w]  any words
    """
    bits = np.uint64(0)
    for word in range(row.shape[0]):
        bits |= row[word]
    return bits == 0


@njit(**STEP)
def copy_words(target, source):
    """target = source.

    target: u64[w]  output, every word written
    source: u64[w]
    """
    for word in range(target.shape[0]):
        target[word] = source[word]


@njit(**STEP)
def _invert_1(target, value):
    """target = 1 / value in the base field, by Fermat; 0 stays 0.

    value^(p - 2) by squaring and multiplying from the highest bit; leading zero bits square a 1.  The
    exponent is public, so its branches tell nothing.

    target: u64[6]  output; may be `value`
    value:  u64[6]  Montgomery form
    """
    power = np.empty(G1_WORDS, np.uint64)
    copy_words(power, ONE_1)
    at = power.ctypes.data
    for bit in range(64 * G1_WORDS - 1, -1, -1):
        _MULTIPLY(at, at, at)
        if FERMAT_EXPONENT[bit >> 6] >> np.uint64(bit & 63) & np.uint64(1):
            _MULTIPLY(at, at, value.ctypes.data)
    copy_words(target, power)


@njit(**STEP)
def _invert_2(target, value):
    """target = 1 / value in the extension: the conjugate over the norm.

    1 / (a + b u) = (a - b u) / (a² + b²).  The norm is 0 for 0 alone: -1 is no square modulo p, which is 3
    mod 4.

    target: u64[12]  output: real part, imaginary part
    value:  u64[12]  Montgomery form; not changed, not `target`
    """
    norm, square = np.empty(G1_WORDS, np.uint64), np.empty(G1_WORDS, np.uint64)
    real, imaginary = value[:G1_WORDS], value[G1_WORDS:]
    _MULTIPLY(norm.ctypes.data, real.ctypes.data, real.ctypes.data)
    _MULTIPLY(square.ctypes.data, imaginary.ctypes.data, imaginary.ctypes.data)
    _ADD(norm.ctypes.data, norm.ctypes.data, square.ctypes.data)
    _invert_1(norm, norm)
    negative = np.zeros(G1_WORDS, np.uint64)
    _SUBTRACT(negative.ctypes.data, negative.ctypes.data, imaginary.ctypes.data)
    _MULTIPLY(target[:G1_WORDS].ctypes.data, real.ctypes.data, norm.ctypes.data)
    _MULTIPLY(target[G1_WORDS:].ctypes.data, negative.ctypes.data, norm.ctypes.data)


@njit(**STEP)
def invert(target, value):
    """target = 1 / value in the field of so many words; 0 stays 0.

    target: u64[w]  output; w is 6 (G1) or 12 (G2)
    value:  u64[w]  Montgomery form
    """
    if value.shape[0] == G1_WORDS:
        _invert_1(target, value)
    else:
        _invert_2(target, value)
