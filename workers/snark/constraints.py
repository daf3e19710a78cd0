"""A circuit as rows: what its variables are, and which products of them must equal which sums.

A constraint is (A, B, C) with A · B = C, each a linear combination of variables.
Source: argumentcomputer/bellpepper crates/bellpepper-core/src/{lc,constraint_system}.rs.

Circuits repeat: a WindowPoSt has the same rows for each of its sectors, a PoRep for each of its challenges.
So a circuit is a list of parts, and a part's rows are written once for all of its instances.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    assigned: Codes
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
