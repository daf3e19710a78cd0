"""Groth16 proofs.

Source: filecoin-project/bellperson src/groth16/prover/native.rs create_proof_batch_priority_inner.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.scalars import SCALAR_MODULUS
from workers.kernels.field import WORD_BITS, limbs
from workers.snark.arrays import silent
from workers.snark.densities import densities_of
from workers.snark.domain import domain_for, domain_size
from workers.snark.multiexp import multiexp
from workers.snark.parameters import SECTIONS, BadParameters
from workers.snark.points import G1, G2, point_compress
from workers.snark.witness import witness_solve

if TYPE_CHECKING:
    from workers.snark.arrays import Flags, Progress, Words
    from workers.snark.constraints import Circuit
    from workers.snark.densities import Densities
    from workers.snark.parameters import KeyPoints, ParameterSource
    from workers.snark.points import Group
    from workers.snark.witness import Witness

WEIGHTS = {"G1": 1.0, "G2": 3.0}
"""Time that a point of each group takes."""
QUOTIENT_WEIGHT = 0.27
"""Time that a row of the quotient takes: 17 s of 2^22 rows, whose points take 62 s."""


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


def proving_key(circuit: Circuit, source: ParameterSource) -> ProvingKey:
    """Return the key of a circuit.  Raises BadParameters if the source is another circuit's, or damaged."""
    densities = counts_check(circuit, source)
    sections = {name: source.points(name) for name, _ in SECTIONS}
    return ProvingKey(circuit, source.key_points(), sections, densities.a, densities.b)


def counts_check(circuit: Circuit, source: ParameterSource) -> Densities:
    """Return the densities of a circuit.  Raises BadParameters if the source is another circuit's."""
    densities = densities_of(circuit)
    wanted = sizes_of(circuit, densities)
    for name, count in source.counts().items():
        if count != wanted[name]:
            raise BadParameters(
                f"{source.name}: section {name} has {count} points, this circuit needs {wanted[name]}"
            )
    return densities


def sizes_of(circuit: Circuit, densities: Densities) -> dict[str, int]:
    """Return how many points each section of a circuit's parameters has."""
    return {
        "ic": circuit.inputs,
        "h": domain_size(circuit.rows + circuit.inputs) - 1,
        "l": circuit.aux,
        "a": int(densities.a.sum()),
        "b_g1": int(densities.b.sum()),
        "b_g2": int(densities.b.sum()),
    }


def groth16_prove(
    key: ProvingKey, values: Iterable[int], *, threads: int = 1, progress: Progress = silent
) -> tuple[bytes, tuple[int, ...]]:
    """Return a proof of 192 bytes and its public inputs; `values` as the circuit's module yields it.

    `progress` is called with the steps done and their number; what it raises stops the work.
    Raises BadWitness if the circuit does not hold for the values.
    """
    witness = witness_solve(key.circuit, values, threads=threads)
    r, s = (secrets.randbelow(SCALAR_MODULUS - 1) + 1 for _ in range(2))
    proof = proof_of(key, witness, r=r, s=s, threads=threads, progress=progress)
    return proof, witness.public_inputs(key.circuit)


def proof_of(
    key: ProvingKey, witness: Witness, *, r: int, s: int, threads: int = 1, progress: Progress = silent
) -> bytes:
    """Return the proof of a witness blinded by the scalars r and s."""
    points, sums = key.key, _sums(key, witness, threads=threads, progress=progress)
    a = _combination(G1, [(1, points.alpha), (1, sums["a"]), (r, points.delta_g1)])
    b = _combination(G2, [(1, points.beta_g2), (1, sums["b_g2"]), (s, points.delta_g2)])
    terms = [(1, sums["h"]), (1, sums["l"]), (s, sums["a"]), (r, sums["b_g1"])]
    ends = [(r * s, points.delta_g1), (s, points.alpha), (r, points.beta_g1)]
    c = _combination(G1, terms + ends)
    return point_compress(G1, a) + point_compress(G2, b) + point_compress(G1, c)


def _sums(key: ProvingKey, witness: Witness, *, threads: int, progress: Progress) -> dict[str, Words]:
    """Return the sum of each section's points times their scalars."""
    values, inputs = witness.values, key.circuit.inputs
    weights = {name: WEIGHTS[group.name] * len(key.sections[name]) for name, group in SECTIONS}
    quotient = QUOTIENT_WEIGHT * len(key.sections["h"])
    total = int(quotient + sum(weights.values()))

    def part(begin: float, weight: float) -> Progress:
        return lambda done, steps: progress(int(begin + weight * done / steps), total)

    b_values = values[key.is_in_b]
    scalars: dict[str, Callable[[], Words]] = {
        "h": lambda: quotient_scalars(witness, threads=threads, progress=part(0, quotient))[:-1],
        "l": lambda: values[inputs:],
        "a": lambda: values[key.is_in_a],
        "b_g1": lambda: b_values,
        "b_g2": lambda: b_values,
    }
    before, sums = quotient, {}
    progress(0, total)
    for name, group in SECTIONS:
        own, report = scalars[name](), part(before, weights[name])
        sums[name] = multiexp(group, key.sections[name], own, threads=threads, progress=report)
        before += weights[name]
    progress(total, total)
    return sums


def quotient_scalars(witness: Witness, *, threads: int = 1, progress: Progress = silent) -> Words:
    """Return the coefficients of h as canonical scalars."""
    count = witness.rows.shape[1]
    domain = domain_for(count)
    padded = np.zeros((3, domain.size, 4), np.uint64)
    padded[:, :count] = witness.rows
    return domain.quotient([padded[0], padded[1], padded[2]], threads=threads, progress=progress)


def _combination(group: Group, terms: list[tuple[int, Words]]) -> Words:
    scalars = limbs([factor % SCALAR_MODULUS for factor, _ in terms], bits=WORD_BITS, montgomery=False)
    return multiexp(group, np.array([point for _, point in terms]), scalars)
