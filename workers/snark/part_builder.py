"""Building a part of a circuit: variables, rows, and templates that are applied many times."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from poolsite.filecoin.scalars import SCALAR_MODULUS
from workers.snark.constraints import (
    BOUND,
    KIND_SHIFT,
    NONE,
    NUMBER_MASK,
    OUTER,
    OWN_AUX,
    OWN_INPUT,
    Assignments,
    Combination,
    Matrix,
    Part,
    variable,
)

if TYPE_CHECKING:
    from workers.snark.arrays import Codes


class Coefficients:
    """The table of a circuit's coefficients."""

    def __init__(self) -> None:
        self.places = {1: 0, SCALAR_MODULUS - 1: 1}

    def place(self, value: int) -> int:
        """Return the place of a coefficient, which is added if it is new."""
        return self.places.setdefault(value, len(self.places))


class _Rows:
    """A matrix that grows."""

    def __init__(self) -> None:
        self.ends, self.variables, self.coefficients = array("q"), array("I"), array("I")

    def add(self, combination: Combination, table: Coefficients) -> None:
        for code, coefficient in combination.items():
            reduced = coefficient % SCALAR_MODULUS
            if reduced:
                self.variables.append(code)
                self.coefficients.append(table.place(reduced))
        self.ends.append(len(self.variables))

    def extend(self, matrix: Matrix, variables: Codes) -> None:
        self.ends.frombytes((matrix.ends + len(self.variables)).tobytes())
        self.variables.frombytes(variables.tobytes())
        self.coefficients.frombytes(matrix.coefficients.tobytes())

    def matrix(self) -> Matrix:
        return Matrix(
            np.array(self.ends, np.int64),
            np.array(self.variables, np.uint32),
            np.array(self.coefficients, np.uint32),
        )


@dataclass(frozen=True, slots=True)
class _Template:
    """Rows over variables that are not known yet."""

    part: Part
    results: tuple[Any, ...]


class PartBuilder:
    """Collects the rows of one part; gadgets are functions on it."""

    def __init__(
        self,
        name: str,
        table: Coefficients,
        *,
        kinds: tuple[int, int] = (OWN_INPUT, OWN_AUX),
        first: tuple[int, int] = (0, 0),
        templates: dict[Any, _Template] | None = None,
    ) -> None:
        """`kinds` of own inputs and aux; `first`: their first numbers; parts of a circuit share templates."""
        self.name, self.table, self.kinds, self.first = name, table, kinds, first
        self.templates: dict[Any, _Template] = {} if templates is None else templates
        self.inputs = self.aux = self.bound = 0
        self.sides = (_Rows(), _Rows(), _Rows())
        self.solved, self.assigned_codes = array("I"), array("I")
        self.assigned_rows, self.assigned_bits, self.targets = array("q"), array("q"), array("I")
        self.sources = _Rows()
        self.scopes: list[tuple[int, str]] = []
        self.path: list[str] = []

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Name the rows that are added inside, for the sentence that says which constraint fails."""
        self.path.append(name)
        self.scopes.append((len(self.solved), "/".join(self.path)))
        yield
        self.path.pop()
        self.scopes.append((len(self.solved), "/".join(self.path)))

    def aux_new(self) -> int:
        """Return a new aux variable."""
        self.aux += 1
        return variable(self.kinds[1], self.first[1] + self.aux - 1)

    def input_new(self) -> int:
        """Return a new public input."""
        self.inputs += 1
        return variable(self.kinds[0], self.first[0] + self.inputs - 1)

    def assigned_new(self) -> int:
        """Return a new aux variable whose value the caller assigns."""
        code = self.aux_new()
        self.assigned_codes.append(code)
        return code

    def bound_new(self) -> int:
        """Return a variable that the circuit names for each instance of this part."""
        self.bound += 1
        return variable(BOUND, self.bound - 1)

    def enforce(
        self, left: Combination, right: Combination, result: Combination, *, solved: int = NONE
    ) -> None:
        """Add the constraint left · right = result; `solved` (1 or -1 in result) gets its value from it."""
        for side, combination in zip(self.sides, (left, right, result), strict=True):
            side.add(combination, self.table)
        self.solved.append(solved)

    def assign(self, source: Combination, target: int, *, bits: int = 0) -> None:
        """Assign the value of `source` to `target`, or to the variables from `target` on its lowest bits."""
        self.assigned_rows.append(len(self.solved))
        self.sources.add(source, self.table)
        self.targets.append(target)
        self.assigned_bits.append(bits)

    def apply(
        self, key: Any, outer: Sequence[int], gadget: Callable[[PartBuilder, list[int]], tuple[Any, ...]]
    ) -> tuple[Any, ...]:
        """Add the rows of `gadget` over the variables `outer`; rows of one `key` are built once.

        The gadget returns variables, or booleans (see `booleans`), of its own or of `outer`.
        """
        if len(set(outer)) < len(outer):  # terms of one variable merge: these rows are of another form
            return gadget(self, list(outer))
        if key not in self.templates:
            inner = PartBuilder(str(key), self.table, templates=self.templates)
            results = gadget(inner, [variable(OUTER, number) for number in range(len(outer))])
            self.templates[key] = _Template(inner.part(), results)
        template = self.templates[key]
        return self._instance(template, np.array(outer, np.uint32))

    def _instance(self, template: _Template, outer: Codes) -> tuple[Any, ...]:
        part, row = template.part, len(self.solved)
        own = [(kind << KIND_SHIFT) + first for kind, first in zip(self.kinds, self.first, strict=True)]
        bases = {OWN_INPUT: own[0] + self.inputs, OWN_AUX: own[1] + self.aux}

        def here(codes: Codes) -> Codes:
            kinds, numbers = codes >> KIND_SHIFT, codes & NUMBER_MASK
            placed = codes.copy()
            for kind, base in bases.items():
                placed[kinds == kind] = numbers[kinds == kind] + base
            placed[kinds == OUTER] = outer[numbers[kinds == OUTER]]
            placed[codes == NONE] = NONE
            return placed

        def result_here(result: Any) -> Any:
            if isinstance(result, bool):
                return result
            if isinstance(result, tuple):
                return (result[0], int(here(np.array([result[1]], np.uint32))[0]))
            return int(here(np.array([result], np.uint32))[0])

        for side, matrix in zip(self.sides, part.matrices, strict=True):
            side.extend(matrix, here(matrix.variables))
        assignments = part.assignments
        self.sources.extend(assignments.sources, here(assignments.sources.variables))
        self.assigned_rows.frombytes((assignments.rows + row).tobytes())
        self.assigned_bits.frombytes(assignments.bits.tobytes())
        self.targets.frombytes(here(assignments.targets).tobytes())
        self.solved.frombytes(here(part.solved).tobytes())
        self.assigned_codes.frombytes(here(part.assigned).tobytes())
        results = tuple(map(result_here, template.results))
        self.inputs, self.aux = self.inputs + part.inputs, self.aux + part.aux
        return results

    def part(self, *, instances: int = 1, bound: Codes | None = None) -> Part:
        """Return what was collected; `bound` names the variables of `bound_new` for each instance."""
        assignments = Assignments(
            np.array(self.assigned_rows, np.int64),
            self.sources.matrix(),
            np.array(self.targets, np.uint32),
            np.array(self.assigned_bits, np.int64),
        )
        a, b, c = (side.matrix() for side in self.sides)
        return Part(
            name=self.name,
            instances=instances,
            inputs=self.inputs,
            aux=self.aux,
            matrices=(a, b, c),
            solved=np.array(self.solved, np.uint32),
            assignments=assignments,
            assigned=np.array(self.assigned_codes, np.uint32),
            bound=np.zeros((instances, self.bound), np.uint32) if bound is None else bound,
            scopes=tuple(self.scopes),
        )
