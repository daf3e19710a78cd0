"""Groth16 proofs.

Source: spec snark section 2.3; filecoin-project/bellperson src/groth16/prover/native.rs.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.scalars import SCALAR_MODULUS
from workers.kernels.field import WORD_BITS, limbs
from workers.kernels.r1cs import scale_rows
from workers.snark.densities import densities_of
from workers.snark.domain import domain_for
from workers.snark.multiexp import multiexp
from workers.snark.parameters import BadParameters
from workers.snark.points import G1, G2, point_compress
from workers.snark.witness import FROM_MONTGOMERY, witness_solve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workers.snark.arrays import Flags, Words
    from workers.snark.constraints import Circuit
    from workers.snark.parameters import KeyPoints, ParameterFile
    from workers.snark.points import Group
    from workers.snark.witness import Witness


@dataclass(frozen=True, slots=True)
class ProvingKey:
    """A circuit and its parameters, ready to prove with."""

    circuit: Circuit
    """The rows."""
    key: KeyPoints
    """Points of the verifying key."""
    sections: dict[str, Words]
    """Points of h, l, a, b_g1 and b_g2."""
    is_in_a: Flags
    """bool[variables]: has a point in a."""
    is_in_b: Flags
    """bool[variables]: has a point in b_g1 and b_g2."""


def proving_key(circuit: Circuit, file: ParameterFile) -> ProvingKey:
    """Return the key of a circuit.  Raises BadParameters if the file is another circuit's, or damaged."""
    densities = densities_of(circuit)
    wanted = {
        "ic": circuit.inputs,
        "h": domain_for(circuit.rows + circuit.inputs).size - 1,
        "l": circuit.aux,
        "a": int(densities.a.sum()),
        "b_g1": int(densities.b.sum()),
        "b_g2": int(densities.b.sum()),
    }
    for name, count in file.counts().items():
        if count != wanted[name]:
            raise BadParameters(
                f"{file.path.name}: section {name} has {count} points, this circuit needs {wanted[name]}"
            )
    sections = {name: file.points(name) for name in file.sections}
    return ProvingKey(circuit, file.key_points(), sections, densities.a, densities.b)


def groth16_prove(
    key: ProvingKey, given: Iterable[int], *, threads: int = 1
) -> tuple[bytes, tuple[int, ...]]:
    """Return a proof of 192 bytes and its public inputs; `given` as the circuit's module yields it.

    Raises BadWitness if the circuit does not hold for the values.
    """
    witness = witness_solve(key.circuit, given)
    r, s = (secrets.randbelow(SCALAR_MODULUS - 1) + 1 for _ in range(2))
    return proof_of(key, witness, r=r, s=s, threads=threads), witness.public_inputs(key.circuit)


def proof_of(key: ProvingKey, witness: Witness, *, r: int, s: int, threads: int = 1) -> bytes:
    """Return the proof of a witness blinded by the scalars r and s."""
    values, inputs = witness.values, key.circuit.inputs
    sections, points = key.sections, key.key
    a_sum = multiexp(G1, sections["a"], values[key.is_in_a], threads=threads)
    b_values = values[key.is_in_b]
    b_sum = multiexp(G1, sections["b_g1"], b_values, threads=threads)
    b_sum_2 = multiexp(G2, sections["b_g2"], b_values, threads=threads)
    l_sum = multiexp(G1, sections["l"], values[inputs:], threads=threads)
    h_sum = multiexp(G1, sections["h"], quotient_scalars(witness)[:-1], threads=threads)
    a = _combination(G1, [(1, points.alpha), (1, a_sum), (r, points.delta_g1)])
    b = _combination(G2, [(1, points.beta_g2), (1, b_sum_2), (s, points.delta_g2)])
    terms = [(1, h_sum), (1, l_sum), (s, a_sum), (r, b_sum), (r * s, points.delta_g1), (s, points.alpha)]
    c = _combination(G1, [*terms, (r, points.beta_g1)])
    return point_compress(G1, a) + point_compress(G2, b) + point_compress(G1, c)


def quotient_scalars(witness: Witness) -> Words:
    """Return the coefficients of h as canonical scalars."""
    count = witness.rows.shape[1]
    domain = domain_for(count)
    padded = np.zeros((3, domain.size, 4), np.uint64)
    padded[:, :count] = witness.rows
    h = domain.quotient([padded[0], padded[1], padded[2]])
    scale_rows(h, FROM_MONTGOMERY, h)
    return h


def _combination(group: Group, terms: list[tuple[int, Words]]) -> Words:
    scalars = limbs([factor % SCALAR_MODULUS for factor, _ in terms], bits=WORD_BITS, montgomery=False)
    return multiexp(group, np.array([point for _, point in terms]), scalars)
