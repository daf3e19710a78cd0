# mypy: allow-untyped-calls
"""Columns of a circuit's matrices at a point, and which variables have any."""

from __future__ import annotations

import numpy as np
from numba import njit

from workers.kernels.flags import SERIAL
from workers.kernels.r1cs import ADD, MULTIPLY_ADD, SLOT, SUBTRACT, place_of


@njit(**SERIAL)
def add_columns(matrix, coefficients, lagrange, layout, bound, out):
    """out[variable] += coefficient · lagrange[row], for all terms of one side of one instance.

    matrix:       (i64[rows], u32[terms], u32[terms])  ends, variables, places
    coefficients: u64[k, 4]     the circuit's table, Montgomery
    lagrange:     u64[rows, 4]  Montgomery
    layout:       i64[3]        rows of the first aux, of this instance's first input and first aux
    bound:        u32[b]        variables behind the kind BOUND
    out:          u64[n, 4]     Montgomery; added to
    Cost:    a product a term whose coefficient is neither 1 nor -1.   Threads: none inside; the GIL is free.
    Errors:  none.
    Source:  filecoin-project/bellperson src/groth16/generator.rs eval_at_tau.
    Twin:    tests/naive/r1cs.py columns_add.
    Golden:  params.file_sha256 of tests/golden/proofs/r1cs_window_2k.json.
    """
    ends, variables, places = matrix
    begin = np.int64(0)
    for row in range(ends.shape[0]):
        value = lagrange.ctypes.data + SLOT * row
        for term in range(begin, ends[row]):
            target = out.ctypes.data + SLOT * place_of(variables[term], layout, bound)
            place = np.int64(places[term])
            if place == 0:
                ADD(target, target, value)
            elif place == 1:
                SUBTRACT(target, target, value)
            else:
                MULTIPLY_ADD(target, value, coefficients.ctypes.data + SLOT * place)
        begin = ends[row]


@njit(**SERIAL)
def mark_columns(variables, layout, bound, out):
    """out[variable] = 1 for all variables of one side of one instance.

    variables: u32[terms]
    layout:    i64[3]  rows of the first aux, of this instance's first input and first aux
    bound:     u32[b]  variables behind the kind BOUND
    out:       u8[n]   added to
    Cost:    one pass.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  filecoin-project/bellperson src/groth16/prover/mod.rs ProvingAssignment::enforce.
    Twin:    tests/naive/r1cs.py columns_mark.
    Golden:  a_aux_density, b_aux_density, b_input_density of tests/golden/proofs/r1cs_*_2k.json.
    """
    for term in range(variables.shape[0]):
        out[place_of(variables[term], layout, bound)] = 1


@njit(**SERIAL)
def combine_columns(columns, factors, out):
    """out = columns[0] · factors[0] + columns[1] · factors[1] + columns[2] · factors[2], row by row.

    columns: u64[3, n, 4]  Montgomery
    factors: u64[3, 4]     Montgomery
    out:     u64[n, 4]     output, Montgomery
    Cost:    three products a row.   Threads: none inside; the GIL is free.   Errors: none.
    Source:  filecoin-project/bellperson src/groth16/generator.rs generate_parameters, eval.
    Twin:    tests/naive/r1cs.py columns_combine.
    Golden:  params.file_sha256 of tests/golden/proofs/r1cs_window_2k.json.
    """
    for row in range(out.shape[0]):
        target = out.ctypes.data + SLOT * row
        for word in range(4):
            out[row, word] = np.uint64(0)
        for side in range(3):
            MULTIPLY_ADD(target, columns[side, row].ctypes.data, factors[side].ctypes.data)
