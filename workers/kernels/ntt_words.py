# mypy: allow-untyped-calls
"""Number-theoretic transforms over the scalar field with 64-bit limbs: the path of every CPU.

Decimation in frequency takes natural order to bit-reversed order, decimation in time takes it back, so a pair
of transforms needs no permutation.
"""

from __future__ import annotations

from numba import njit

from workers.kernels import llvm
from workers.kernels.flags import SERIAL, STEP
from workers.kernels.montgomery import SCALARS
from workers.kernels.r1cs import MULTIPLY, SUBTRACT

SLOT = SCALARS.slot


def _emit_split(builder, left, right, factor):
    """left, right = left + right, (left - right) · factor.

    Addresses of u64[4], Montgomery values below r, in and out; the factor is a power of the root.
    """
    first, second = SCALARS.load(builder, left), SCALARS.load(builder, right)
    difference = SCALARS.subtract(builder, first, second)
    SCALARS.store(builder, left, SCALARS.add(builder, first, second))
    SCALARS.store(builder, right, SCALARS.multiply(builder, difference, SCALARS.load(builder, factor)))


def _emit_join(builder, left, right, factor):
    """left, right = left + right · factor, left - right · factor; arguments as of `_emit_split`."""
    scaled = SCALARS.multiply_at(builder, right, factor)
    first = SCALARS.load(builder, left)
    SCALARS.store(builder, left, SCALARS.add(builder, first, scaled))
    SCALARS.store(builder, right, SCALARS.subtract(builder, first, scaled))


_SPLIT, _JOIN = llvm.step(_emit_split), llvm.step(_emit_join)


@njit(**STEP)
def _reversed_bits(number, bits):
    """Return the number with its lowest `bits` bits in reverse order.

    number: i64  below 2^bits
    bits:   i64
    """
    out = 0
    for _ in range(bits):
        out = out << 1 | number & 1
        number >>= 1
    return out


@njit(**SERIAL)
def transform_split(rows, roots):
    """rows = their transform, natural order in, bit-reversed order out.

    rows:  u64[n, 4]    Montgomery values; n a power of two
    roots: u64[n/2, 4]  powers of a primitive n-th root of unity
    Cost:    n/2 · log2 n products.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  filecoin-project/ec-gpu ec-gpu-gen/src/fft_cpu.rs serial_fft, by its values.
    Twin:    tests/naive/ntt.py transform.
    Golden:  h_coeffs_sha256 of tests/golden/proofs/r1cs_window_2k.json, r1cs_winning_2k.json.
    """
    count, base, root = rows.shape[0], rows.ctypes.data, roots.ctypes.data
    half, stride = count // 2, 1
    while half:
        for block in range(0, count, 2 * half):
            for i in range(half):
                left = base + SLOT * (block + i)
                _SPLIT(left, left + SLOT * half, root + SLOT * stride * i)
        half //= 2
        stride *= 2


@njit(**SERIAL)
def transform_join(rows, roots):
    """rows = their transform, bit-reversed order in, natural order out; arrays as there.

    rows:  u64[n, 4]    Montgomery values, in and out; n a power of two
    roots: u64[n/2, 4]  powers of a primitive n-th root of unity
    Cost:    n/2 · log2 n products.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  filecoin-project/ec-gpu ec-gpu-gen/src/fft_cpu.rs serial_fft, by its values.
    Twin:    tests/naive/ntt.py evaluate.
    Golden:  h_coeffs_sha256 of tests/golden/proofs/r1cs_window_2k.json, r1cs_winning_2k.json.
    """
    count, base, root = rows.shape[0], rows.ctypes.data, roots.ctypes.data
    half, stride = 1, count // 2
    while half < count:
        for block in range(0, count, 2 * half):
            for i in range(half):
                left = base + SLOT * (block + i)
                _JOIN(left, left + SLOT * half, root + SLOT * stride * i)
        half *= 2
        stride //= 2


@njit(**SERIAL)
def powers(first, factor, out):
    """out[i] = first · factor^i.

    first, factor: u64[4]     Montgomery values
    out:           u64[n, 4]  output, every word written
    Cost:    one product a row.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  filecoin-project/bellperson src/groth16/generator.rs generate_parameters.
    Twin:    tests/naive/ntt.py transform.
    Golden:  h_coeffs_sha256 of tests/golden/proofs/r1cs_window_2k.json, r1cs_winning_2k.json.
    """
    for word in range(4):
        out[0, word] = first[word]
    for row in range(1, out.shape[0]):
        at = out.ctypes.data + SLOT * row
        MULTIPLY(at, at - SLOT, factor.ctypes.data)


@njit(**SERIAL)
def multiply_reversed(rows, factors):
    """rows[i] = rows[i] · factors[i with its bits reversed].

    rows, factors: u64[n, 4]  Montgomery values; n a power of two
    Cost:    one product a row.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  filecoin-project/bellperson src/domain.rs distribute_powers.
    Twin:    tests/naive/ntt.py transform.
    Golden:  h_coeffs_sha256 of tests/golden/proofs/r1cs_window_2k.json, r1cs_winning_2k.json.
    """
    bits = 0
    while 1 << bits < rows.shape[0]:
        bits += 1
    for row in range(rows.shape[0]):
        at = rows.ctypes.data + SLOT * row
        MULTIPLY(at, at, factors.ctypes.data + SLOT * _reversed_bits(row, bits))


@njit(**SERIAL)
def quotient_rows(a, b, c, factor):
    """a = (a · b - c) · factor, row by row.

    a, b, c: u64[n, 4]  Montgomery values
    factor:  u64[4]     Montgomery value
    Cost:    two products a row.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  filecoin-project/bellperson src/groth16/prover/native.rs execute_fft.
    Twin:    tests/naive/ntt.py evaluate.
    Golden:  h_coeffs_sha256 of tests/golden/proofs/r1cs_window_2k.json, r1cs_winning_2k.json.
    """
    for row in range(a.shape[0]):
        at = a.ctypes.data + SLOT * row
        MULTIPLY(at, at, b.ctypes.data + SLOT * row)
        SUBTRACT(at, at, c.ctypes.data + SLOT * row)
        MULTIPLY(at, at, factor.ctypes.data)


@njit(**SERIAL)
def reorder_reversed(rows, out):
    """out[i with its bits reversed] = rows[i].

    rows, out: u64[n, 4]  n a power of two; two arrays
    Cost:    one pass.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  filecoin-project/ec-gpu ec-gpu-gen/src/fft_cpu.rs bitreverse.
    Twin:    tests/naive/ntt.py transform.
    Golden:  h_coeffs_sha256 of tests/golden/proofs/r1cs_window_2k.json, r1cs_winning_2k.json.
    """
    bits = 0
    while 1 << bits < rows.shape[0]:
        bits += 1
    for row in range(rows.shape[0]):
        target = _reversed_bits(row, bits)
        for word in range(4):
            out[target, word] = rows[row, word]
