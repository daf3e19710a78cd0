# mypy: allow-untyped-calls
"""Rows of a circuit over values: each variable's value from its own row, and all rows' products.

Values are Montgomery forms of scalars (radix 2^256).  Variables are codes as `workers.snark.constraints`
makes them: a kind in the three highest bits, a number below.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workers.kernels import llvm
from workers.kernels.flags import SERIAL, STEP
from workers.kernels.montgomery import SCALARS

SLOT = SCALARS.slot
_OWN_INPUT, _OWN_AUX, _BOUND, _AUX = 2, 3, 4, 1
_SHIFT, _MASK = np.uint32(29), np.uint32((1 << 29) - 1)
_NONE = np.uint32(0xFFFF_FFFF)
_ONE_WORDS = tuple(
    np.uint64(SCALARS.radix % SCALARS.modulus >> 64 * i & 0xFFFF_FFFF_FFFF_FFFF) for i in range(4)
)


def _emit_add(builder, target, left, right):
    """target = left + right: addresses of scalars below r; the target may be either."""
    SCALARS.store(
        builder, target, SCALARS.add(builder, SCALARS.load(builder, left), SCALARS.load(builder, right))
    )


def _emit_subtract(builder, target, left, right):
    """target = left - right: addresses of scalars below r; the target may be either."""
    difference = SCALARS.subtract(builder, SCALARS.load(builder, left), SCALARS.load(builder, right))
    SCALARS.store(builder, target, difference)


def _emit_multiply(builder, target, left, right):
    """target = left · right / 2^256: addresses of scalars, `right` below r; the target may be either."""
    SCALARS.store(builder, target, SCALARS.multiply_at(builder, left, right))


def _emit_multiply_add(builder, target, left, right):
    """target = target + left · right / 2^256: addresses of scalars below r."""
    product = SCALARS.multiply_at(builder, left, right)
    SCALARS.store(builder, target, SCALARS.add(builder, SCALARS.load(builder, target), product))


ADD, SUBTRACT = llvm.step(_emit_add), llvm.step(_emit_subtract)
MULTIPLY, MULTIPLY_ADD = llvm.step(_emit_multiply), llvm.step(_emit_multiply_add)


@njit(**STEP)
def place_of(code, layout, bound):
    """Row of a variable in the values; `layout`: first aux, own inputs, own aux.

    A variable bound to another takes that one's place; what a name is bound to is not bound itself.

    code:   u32     a variable
    layout: i64[3]  rows of the first aux, of this instance's first input and first aux
    bound:  u32[b]  codes of the variables behind the kind BOUND
    """
    kind, number = np.int64(code >> _SHIFT), np.int64(code & _MASK)
    if kind == _BOUND:
        code = bound[number]
        kind, number = np.int64(code >> _SHIFT), np.int64(code & _MASK)
    if kind == _OWN_AUX:
        return layout[2] + number
    if kind == _OWN_INPUT:
        return layout[1] + number
    if kind == _AUX:
        return layout[0] + number
    return number


@njit(**STEP)
def _combination(total, matrix, row, values, coefficients, layout, bound):
    """total (u64[4]) = the value of a combination; variables not yet solved count as 0.

    total:        u64[4]     output; Montgomery form
    matrix:       (i64[rows], u32[terms], u32[terms])  ends, variables, places in `coefficients`
    row:          i64        of the matrix
    values:       u64[n, 4]  inputs, then aux
    coefficients: u64[k, 4]  the circuit's table; places 0 and 1 are 1 and -1
    layout:       i64[3]     as in `place_of`
    bound:        u32[b]     as in `place_of`
    """
    ends, variables, places = matrix
    for word in range(4):
        total[word] = np.uint64(0)
    address = total.ctypes.data
    begin = ends[row - 1] if row else np.int64(0)
    for term in range(begin, ends[row]):
        at = place_of(variables[term], layout, bound)
        value = values[at]
        if value[0] | value[1] | value[2] | value[3] == 0:
            continue
        place = np.int64(places[term])
        if place == 0:
            ADD(address, address, values.ctypes.data + SLOT * at)
        elif place == 1:
            SUBTRACT(address, address, values.ctypes.data + SLOT * at)
        elif (
            value[0] == _ONE_WORDS[0]
            and value[1] == _ONE_WORDS[1]
            and value[2] == _ONE_WORDS[2]
            and value[3] == _ONE_WORDS[3]
        ):
            ADD(address, address, coefficients.ctypes.data + SLOT * place)
        else:
            MULTIPLY_ADD(address, values.ctypes.data + SLOT * at, coefficients.ctypes.data + SLOT * place)


@njit(**STEP)
def _assign(values, source, target, bits, scratch):
    """Assign a variable the value of `source`, or the variables from it on its lowest bits.

    values:  u64[n, 4]  rows target … target + max(bits, 1) - 1 are written; bits that are 0 stay as they are
    source:  u64[4]     Montgomery form
    target:  i64        a row of `values`
    bits:    i64        0: the value itself
    scratch: u64[>= 2, 4]  both rows written
    """
    if bits == 0:
        for word in range(4):
            values[target, word] = source[word]
        return
    plain, unit = scratch[0], scratch[1]
    unit[0], unit[1], unit[2], unit[3] = np.uint64(1), np.uint64(0), np.uint64(0), np.uint64(0)
    MULTIPLY(plain.ctypes.data, source.ctypes.data, unit.ctypes.data)
    for bit in range(bits):
        if plain[bit >> 6] >> np.uint64(bit & 63) & np.uint64(1):
            for word in range(4):
                values[target + bit, word] = _ONE_WORDS[word]


@njit(**SERIAL)
def solve_rows(values, coefficients, matrices, solved, assignments, layout, bound, out):
    """Walk one instance of a part: set its variables, fill the rows' values, and find a row that fails.

    values:       u64[n, 4]   inputs, then aux; what is not given must be 0 before
    coefficients: u64[k, 4]   the circuit's table; places 0 and 1 are 1 and -1
    matrices:     3 x (i64[rows], u32[terms], u32[terms])  A, B, C: ends, variables, places
    solved:       u32[rows]   the variable that a row gives its value; 0xFFFFFFFF: none
    assignments:  (i64[m], (i64[m], u32[terms], u32[terms]), u32[m], i64[m])  rows, sources, targets, bits
    layout:       i64[3]      rows of the first aux, of this instance's first input and first aux
    bound:        u32[b]      variables behind the kind BOUND
    out:          u64[3, rows, 4]  output: the values of A, B and C, every word written
    Returns the first row whose product is not its sum, or -1.
    Cost:    one product a row and one a term whose coefficient and value are neither 1 nor -1.
    Threads: none inside; the GIL is free.   Errors: none; `snark.witness` has made all arrays.
    Source:  filecoin-project/bellperson src/groth16/prover/mod.rs ProvingAssignment::enforce.
    Twin:    tests/naive/r1cs.py rows_solve.   Golden: tests/golden/proofs/r1cs_*.json.
    Golden:  witness_sha256, eval_a_sha256 to eval_c_sha256 of tests/golden/proofs/r1cs_*_2k.json.
    """
    rows, sources, targets, bits = assignments
    scratch = np.zeros((4, 4), np.uint64)
    total, product = scratch[2], scratch[3]
    setting = 0
    for row in range(solved.shape[0]):
        while setting < rows.shape[0] and rows[setting] == row:
            _combination(total, sources, setting, values, coefficients, layout, bound)
            _assign(values, total, place_of(targets[setting], layout, bound), bits[setting], scratch)
            setting += 1
        for side in range(3):
            _combination(out[side, row], matrices[side], row, values, coefficients, layout, bound)
        MULTIPLY(product.ctypes.data, out[0, row].ctypes.data, out[1, row].ctypes.data)
        code = solved[row]
        if code == _NONE:
            for word in range(4):
                if product[word] != out[2, row, word]:
                    return row
            continue
        # the only term of C that had no value: its coefficient, 1 or -1, tells which way round
        ends, variables, places = matrices[2]
        sign = np.int64(0)
        for term in range(ends[row - 1] if row else np.int64(0), ends[row]):
            if variables[term] == code:
                sign = np.int64(places[term])
        target = values.ctypes.data + SLOT * place_of(code, layout, bound)
        if sign == 0:
            SUBTRACT(target, product.ctypes.data, out[2, row].ctypes.data)
        else:
            SUBTRACT(target, out[2, row].ctypes.data, product.ctypes.data)
        for word in range(4):
            out[2, row, word] = product[word]
    return -1


@njit(**SERIAL)
def scale_rows(rows, factor, out):
    """out = rows · factor / 2^256 mod r: into Montgomery form by 2^512 mod r, out of it by 1.

    rows:   u64[n, 4]  values below r
    factor: u64[4]     below r
    out:    u64[n, 4]  output; may be `rows`
    Cost:    one product a row.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  supranational/blst src/vect.h mul_mont_sparse_256.   Twin: tests/naive/r1cs.py rows_scale.
    Golden:  witness_sha256 of tests/golden/proofs/r1cs_*_2k.json.
    """
    for row in range(rows.shape[0]):
        MULTIPLY(out.ctypes.data + SLOT * row, rows.ctypes.data + SLOT * row, factor.ctypes.data)
