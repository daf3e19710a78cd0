"""A circuit's rows in the form whose SHA-256 `rows_sha256` of the golden files is.

Of each constraint A, B and C: the number of terms (u32), and of each term its kind (u8: 0 input, 1 aux),
index (u32) and coefficient (32 bytes), all little-endian; inputs before aux, each by ascending index.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from workers.snark.constraints import AUX, BOUND, KIND_SHIFT, NUMBER_MASK, OWN_AUX, OWN_INPUT, Circuit, Part
from workers.snark.densities import instances_of

TERM_BYTES = 37
"""Kind, index of 4 bytes, coefficient of 32."""
SOME_ROWS = 1 << 14
Array = np.ndarray[Any, Any]


def rows_sha256(circuit: Circuit) -> tuple[str, list[int]]:
    """Return the digest of all rows, and the number of terms of A, B and C."""
    digest = hashlib.sha256()
    table = b"".join(value.to_bytes(32, "little") for value in circuit.coefficients)
    coefficients = np.frombuffer(table, np.uint8).reshape(-1, 32)
    terms = [0, 0, 0]
    for part, instance, layout in instances_of(circuit):
        for some in _instance(part, instance, layout, circuit.inputs, coefficients):
            digest.update(some)
        for side, matrix in enumerate(part.matrices):
            terms[side] += len(matrix.variables)
    return digest.hexdigest(), terms


def _instance(part: Part, instance: int, layout: Array, inputs: int, coefficients: Array) -> Iterator[bytes]:
    """Yield the bytes of some rows at a time."""
    sides = [_side(part, instance, side, layout, inputs) for side in range(3)]
    counts = np.stack([np.diff(matrix.ends, prepend=0) for matrix in part.matrices], axis=1)
    for first in range(0, part.rows, SOME_ROWS):
        own = counts[first : first + SOME_ROWS]
        sizes = own * TERM_BYTES + 4
        ends = np.cumsum(sizes.reshape(-1)).reshape(sizes.shape)
        out = np.zeros(int(ends[-1, -1]), np.uint8)
        for side, (kinds, numbers, places) in enumerate(sides):
            starts = ends[:, side] - sizes[:, side]
            out[starts[:, None] + np.arange(4)] = own[:, side].astype("<u4").view(np.uint8).reshape(-1, 4)
            last = part.matrices[side].ends[first : first + SOME_ROWS]
            begin, end = int(last[0] - own[0, side]), int(last[-1])
            rows = np.repeat(np.arange(len(own)), own[:, side])
            at = starts[rows] + 4 + TERM_BYTES * (np.arange(begin, end) - (last - own[:, side])[rows])
            out[at] = kinds[begin:end]
            index_bytes = numbers[begin:end].astype("<u4").view(np.uint8).reshape(-1, 4)
            out[at[:, None] + np.arange(1, 5)] = index_bytes
            out[at[:, None] + np.arange(5, TERM_BYTES)] = coefficients[places[begin:end]]
        yield out.tobytes()


def _side(part: Part, instance: int, side: int, layout: Array, inputs: int) -> tuple[Array, Array, Array]:
    """Kinds, indices and coefficients of all terms, sorted within their rows."""
    matrix = part.matrices[side]
    codes = matrix.variables.copy()
    is_bound = codes >> KIND_SHIFT == BOUND
    codes[is_bound] = part.bound[instance][codes[is_bound] & NUMBER_MASK]
    kinds, numbers = codes >> KIND_SHIFT, (codes & NUMBER_MASK).astype(np.int64)
    is_aux = (kinds == AUX) | (kinds == OWN_AUX)
    numbers += np.where(kinds == OWN_INPUT, layout[1], 0)
    numbers += np.where(kinds == OWN_AUX, layout[2] - inputs, 0)
    rows = np.repeat(np.arange(part.rows), np.diff(matrix.ends, prepend=0))
    order = np.lexsort((numbers, is_aux, rows))
    return is_aux[order].astype(np.uint8), numbers[order], matrix.coefficients[order]
