"""A circuit as rows: what its variables are, and which products of them must equal which sums.

A constraint is (A, B, C) with A · B = C, each a linear combination of variables.
Source: argumentcomputer/bellpepper crates/bellpepper-core/src/{lc,constraint_system}.rs.

Circuits repeat: a WindowPoSt has the same rows for each of its sectors, a PoRep for each of its challenges.
So a circuit is a list of parts, and a part's rows are written once for all of its instances.
"""

from __future__ import annotations

from array import array
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from poolsite.filecoin.scalars import SCALAR_MODULUS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from workers.snark.arrays import Codes, Integers

Combination = dict[int, int]
"""Variable → coefficient."""

KIND_SHIFT = 29
"""A variable is a code of 32 bits: its kind in the three highest, its number below."""
NUMBER_MASK = (1 << KIND_SHIFT) - 1
INPUT, AUX, OWN_INPUT, OWN_AUX, BOUND, OUTER = range(6)
"""Kinds: an input or aux by its number in the circuit; one by its number in this instance of the part; one
that is named for each instance by a list; and, in a template only, one that the template is applied to."""
ONE = 0
"""The input that is always 1."""
NONE = 0xFFFF_FFFF
"""No variable: a constraint that gives none its value, but must hold."""


def variable(kind: int, number: int) -> int:
    """Return the code of a variable."""
    return kind << KIND_SHIFT | number


@dataclass(frozen=True, slots=True)
class Matrix:
    """One side of many constraints, or many combinations."""

    ends: Integers
    """i64[rows]: where the terms of each row end."""
    variables: Codes
    """u32[terms]: variables."""
    coefficients: Codes
    """u32[terms]: places in the circuit's table of coefficients."""


@dataclass(frozen=True, slots=True)
class Assignments:
    """Variables whose values do not follow from their own constraint, in the order in which they are set."""

    rows: Integers
    """i64[n]: before which row each is set."""
    sources: Matrix
    """The combinations whose values are assigned."""
    targets: Codes
    """u32[n]: the variable, or the first of several."""
    bits: Integers
    """i64[n]: 0 to assign the value; else how many variables get one bit each of it, the lowest first."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that a circuit has once or several times over."""

    name: str
    """What an instance is, as `sector`."""
    instances: int
    """How often the rows occur."""
    inputs: int
    """Public inputs that each instance adds."""
    aux: int
    """Aux variables that each instance adds."""
    matrices: tuple[Matrix, Matrix, Matrix]
    """A, B and C."""
    solved: Codes
    """u32[rows]: the variable that a row gives its value, or NONE."""
    assignments: Assignments
    """What is set between the rows."""
    given: Codes
    """u32[n]: the variables whose values the caller gives, in this order."""
    bound: Codes
    """u32[instances, n]: for each instance the variables behind the kind BOUND."""
    scopes: tuple[tuple[int, str], ...]
    """First row and name of each stretch of rows."""

    @property
    def rows(self) -> int:
        """Return the number of constraints of one instance."""
        return len(self.solved)

    def scope_of(self, row: int) -> str:
        """Return the name of the stretch that holds a row."""
        return next((name for first, name in reversed(self.scopes) if first <= row), "")


@dataclass(frozen=True, slots=True)
class Circuit:
    """All rows of a circuit, without the row that the prover adds for each input."""

    coefficients: tuple[int, ...]
    """Each coefficient that occurs, once; the first two are 1 and -1."""
    parts: tuple[Part, ...]
    """In the order of the rows."""

    @property
    def inputs(self) -> int:
        """Return the number of public inputs, the constant 1 among them."""
        return 1 + sum(part.inputs * part.instances for part in self.parts)

    @property
    def aux(self) -> int:
        """Return the number of aux variables."""
        return sum(part.aux * part.instances for part in self.parts)

    @property
    def rows(self) -> int:
        """Return the number of constraints."""
        return sum(part.rows * part.instances for part in self.parts)


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
        self.solved, self.given_codes = array("I"), array("I")
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

    def given(self) -> int:
        """Return a new aux variable whose value the caller gives."""
        code = self.aux_new()
        self.given_codes.append(code)
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
        self.given_codes.frombytes(here(part.given).tobytes())
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
            given=np.array(self.given_codes, np.uint32),
            bound=np.zeros((instances, self.bound), np.uint32) if bound is None else bound,
            scopes=tuple(self.scopes),
        )
