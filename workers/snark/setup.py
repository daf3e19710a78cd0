"""Making parameters from secrets that must not exist: for tests and for chains of one's own only.

Whoever knows the five secrets can prove anything.  The network's parameters come from a ceremony in which
nobody learned them; these come from a seed.
Source: spec snark section 2.1; filecoin-project/bellperson src/groth16/generator.rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.scalars import SCALAR_MODULUS
from workers.kernels.columns import add_columns, combine_columns
from workers.kernels.field import WORD_BITS, limbs
from workers.kernels.ntt_words import powers
from workers.kernels.r1cs import scale_rows
from workers.snark.densities import instances_of
from workers.snark.domain import domain_for
from workers.snark.multiexp import multiples
from workers.snark.parameters import section_encode
from workers.snark.points import G1, G2, points_encode
from workers.snark.witness import FROM_MONTGOMERY

if TYPE_CHECKING:
    from pathlib import Path

    from workers.snark.arrays import Words
    from workers.snark.constraints import Circuit
    from workers.snark.domain import Domain


@dataclass(frozen=True, slots=True)
class Secrets:
    """What nobody may know of real parameters."""

    g1: Words
    """A generator of G1."""
    g2: Words
    """A generator of G2."""
    alpha: int
    """Scalars, none of them 0."""
    beta: int
    gamma: int
    delta: int
    tau: int


def parameters_make(circuit: Circuit, secrets: Secrets, path: Path) -> None:
    """Write the parameters of a circuit; an unfinished file never has the name."""
    inputs = circuit.inputs
    domain = domain_for(circuit.rows + inputs)
    columns = _columns(circuit, domain, secrets.tau)
    inverse_gamma, inverse_delta = (
        pow(value, -1, SCALAR_MODULUS) for value in (secrets.gamma, secrets.delta)
    )
    public = _combined(columns[:, :inputs], secrets, inverse_gamma)
    private = _combined(columns[:, inputs:], secrets, inverse_delta)
    h = _h_scalars(domain, secrets.tau, inverse_delta)
    u, v = (column[column.any(axis=1)] for column in columns[:2])
    key = limbs([secrets.alpha, secrets.beta, secrets.delta], bits=WORD_BITS)
    scalars = np.concatenate([key, public, h, private, u, v])
    scale_rows(scalars, FROM_MONTGOMERY, scalars)
    points = multiples(G1, secrets.g1, scalars)
    key_2 = limbs([secrets.beta, secrets.gamma, secrets.delta], bits=WORD_BITS)
    scalars_2 = np.concatenate([key_2, v])
    scale_rows(scalars_2, FROM_MONTGOMERY, scalars_2)
    points_2 = multiples(G2, secrets.g2, scalars_2)
    cuts = np.cumsum([3, len(public), len(h), len(private), len(u)])
    head, ic, h_points, l_points, a_points, b_points = np.split(points, cuts)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(points_encode(G1, head[:2]) + points_encode(G2, points_2[:2]))
        file.write(points_encode(G1, head[2:]) + points_encode(G2, points_2[2:3]))
        for section in (ic, h_points, l_points, a_points, b_points):
            file.write(section_encode(G1, section))
        file.write(section_encode(G2, points_2[3:]))
    partial.replace(path)


def _columns(circuit: Circuit, domain: Domain, tau: int) -> Words:
    """Return the polynomials of all variables at tau: u64[3, variables, 4], Montgomery."""
    lagrange = np.empty((domain.size, 4), np.uint64)
    one, step = limbs([1, tau], bits=WORD_BITS)
    powers(one, step, lagrange)
    lagrange = domain.coefficients(lagrange)
    coefficients = limbs(circuit.coefficients, bits=WORD_BITS)
    columns = np.zeros((3, circuit.inputs + circuit.aux, 4), np.uint64)
    row = 0
    for part, instance, layout in instances_of(circuit):
        own = lagrange[row : row + part.rows]
        for side, matrix in enumerate(part.matrices):
            arrays = (matrix.ends, matrix.variables, matrix.coefficients)
            add_columns(arrays, coefficients, own, layout, part.bound[instance], columns[side])
        row += part.rows
    # each input has a row of its own behind the circuit's: the input in A, nothing in B and C
    ends = np.arange(1, circuit.inputs + 1, dtype=np.int64)
    own_rows = (ends, np.arange(circuit.inputs, dtype=np.uint32), np.zeros(circuit.inputs, np.uint32))
    layout = np.array([circuit.inputs, 1, circuit.inputs], np.int64)
    nobody = np.zeros(0, np.uint32)
    add_columns(own_rows, coefficients, lagrange[row : row + circuit.inputs], layout, nobody, columns[0])
    return columns


def _combined(columns: Words, secrets: Secrets, divisor: int) -> Words:
    """Return (beta · u + alpha · v + w) · divisor."""
    factors = [factor * divisor % SCALAR_MODULUS for factor in (secrets.beta, secrets.alpha, 1)]
    out = np.empty((columns.shape[1], 4), np.uint64)
    combine_columns(np.ascontiguousarray(columns), limbs(factors, bits=WORD_BITS), out)
    return out


def _h_scalars(domain: Domain, tau: int, inverse_delta: int) -> Words:
    """Return tau^i · (tau^size - 1) / delta for all but the last coefficient."""
    first = (pow(tau, domain.size, SCALAR_MODULUS) - 1) * inverse_delta % SCALAR_MODULUS
    out = np.empty((domain.size - 1, 4), np.uint64)
    start, step = limbs([first, tau], bits=WORD_BITS)
    powers(start, step, out)
    return out
