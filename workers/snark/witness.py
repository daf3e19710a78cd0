"""The witness of a circuit: the values of all variables and rows that follow from what the caller gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from poolsite.filecoin.scalars import SCALAR_MODULUS
from workers.kernels.field import WORD_BITS, limbs
from workers.kernels.r1cs import scale_rows, solve_rows
from workers.snark.constraints import NUMBER_MASK, OWN_AUX
from workers.snark.threads import each_of

if TYPE_CHECKING:
    from workers.snark.arrays import Integers, Words
    from workers.snark.constraints import Circuit, Matrix, Part

TO_MONTGOMERY = limbs([1 << 256], bits=WORD_BITS)[0]
FROM_MONTGOMERY = limbs([1], bits=WORD_BITS, montgomery=False)[0]
"""Factors of `scale_rows`."""


class BadWitness(ValueError):
    """Values for which the circuit does not hold; no proof can be made of them."""


@dataclass(frozen=True, slots=True)
class Witness:
    """All values of one proof."""

    values: Words
    """u64[inputs + aux, 4]: canonical values, inputs first."""
    rows: Words
    """u64[3, rows + inputs, 4]: Montgomery values of A, B and C of each row, then of each input's own row."""

    def public_inputs(self, circuit: Circuit) -> tuple[int, ...]:
        """Return the public inputs as integers, without the constant 1."""
        data = self.values[1 : circuit.inputs].astype("<u8").tobytes()
        return tuple(int.from_bytes(data[at : at + 32], "little") for at in range(0, len(data), 32))


def witness_solve(circuit: Circuit, assigned: Iterable[int], *, threads: int = 1) -> Witness:
    """Return the witness that follows from the assigned values.

    A part's instances know nothing of each other, so each thread solves another one.
    Raises BadWitness if a value is no scalar, if there are too few or too many, or with the name of the first
    constraint that fails.
    """
    values = np.zeros((circuit.inputs + circuit.aux, 4), np.uint64)
    values[0] = limbs([1], bits=WORD_BITS)[0]
    rows = np.zeros((3, circuit.rows + circuit.inputs, 4), np.uint64)
    coefficients = limbs(circuit.coefficients, bits=WORD_BITS)
    supply = iter(assigned)
    layout = np.array([circuit.inputs, 1, circuit.inputs], np.int64)
    row = 0
    for part in circuit.parts:
        layouts = [layout + np.array([0, part.inputs, part.aux]) * number for number in range(part.instances)]
        for own in layouts:
            _assign(part, values, supply, own)
        out = rows[:, row : row + part.rows * part.instances]
        solve = partial(_solve, part, values, coefficients, layouts, out)
        for _ in each_of(solve, range(part.instances), threads=min(threads, part.instances)):
            pass
        layout[1:] += np.array([part.inputs, part.aux]) * part.instances
        row += part.rows * part.instances
    if next(supply, None) is not None:
        raise BadWitness("more values are given than the circuit has variables for")
    rows[0, circuit.rows :] = values[: circuit.inputs]
    scale_rows(values, FROM_MONTGOMERY, values)
    return Witness(values, rows)


def _assign(part: Part, values: Words, supply: Iterator[int], layout: Integers) -> None:
    """Set the assigned variables of an instance."""
    scalars = list(islice(supply, len(part.assigned)))
    if len(scalars) < len(part.assigned):
        raise BadWitness(f"{part.name}: {len(scalars)} of {len(part.assigned)} values are given")
    if not all(0 <= scalar < SCALAR_MODULUS for scalar in scalars):
        raise BadWitness(f"{part.name}: a given value is not a scalar")
    kinds, numbers = part.assigned >> np.uint32(29), (part.assigned & np.uint32(NUMBER_MASK)).astype(np.int64)
    places = numbers + np.where(kinds == OWN_AUX, layout[2], layout[0])
    data = b"".join(scalar.to_bytes(32, "little") for scalar in scalars)
    words: Words = np.frombuffer(data, "<u8").reshape(-1, 4).astype(np.uint64)
    scale_rows(words, TO_MONTGOMERY, words)
    values[places] = words


def _solve(
    part: Part, values: Words, coefficients: Words, layouts: list[Integers], rows: Words, instance: int
) -> None:
    """Solve one instance; `rows` are those of all."""
    assignments, out = part.assignments, rows[:, part.rows * instance : part.rows * (instance + 1)]
    steps = (assignments.rows, _arrays(assignments.sources), assignments.targets, assignments.bits)
    matrices = tuple(_arrays(matrix) for matrix in part.matrices)
    layout, bound = layouts[instance], part.bound[instance]
    failed = solve_rows(values, coefficients, matrices, part.solved, steps, layout, bound, out)
    if failed >= 0:
        scope = part.scope_of(failed)
        raise BadWitness(f"{part.name} {instance}: {scope or 'rows'}: constraint {failed} does not hold")


def _arrays(matrix: Matrix) -> tuple[Any, Any, Any]:
    return matrix.ends, matrix.variables, matrix.coefficients
