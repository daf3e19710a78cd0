"""Which variables occur in A and in B: for the others the parameters hold no points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workers.kernels.columns import mark_columns

if TYPE_CHECKING:
    from workers.snark.arrays import Flags, Integers
    from workers.snark.constraints import Circuit, Part


@dataclass(frozen=True, slots=True)
class Densities:
    """Flags of all variables, inputs first."""

    a: Flags
    """Occurs in A; every input does, in its own row."""
    b: Flags
    """Occurs in B."""


def densities_of(circuit: Circuit) -> Densities:
    """Return which variables have terms in A and in B."""
    marks = np.zeros((2, circuit.inputs + circuit.aux), np.uint8)
    for part, instance, layout in instances_of(circuit):
        for side in range(2):
            mark_columns(part.matrices[side].variables, layout, part.bound[instance], marks[side])
    marks[0, : circuit.inputs] = 1
    return Densities(marks[0].astype(np.bool_), marks[1].astype(np.bool_))


def instances_of(circuit: Circuit) -> Iterator[tuple[Part, int, Integers]]:
    """Yield each part's instances with their layout: places of the first aux, own input and own aux."""
    layout = np.array([circuit.inputs, 1, circuit.inputs], np.int64)
    for part in circuit.parts:
        for instance in range(part.instances):
            yield part, instance, layout
            layout[1:] += (part.inputs, part.aux)
