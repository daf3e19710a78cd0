"""Making parameters from secrets that must not exist: for tests and for chains of one's own only.

Whoever knows the five secrets can prove anything.  The network's parameters come from a ceremony in which
nobody learned them; these come from a seed.
Source: filecoin-project/bellperson src/groth16/generator.rs generate_parameters.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha512
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from poolsite.filecoin.scalars import SCALAR_MODULUS
from workers.kernels.columns import add_columns, combine_columns
from workers.kernels.field import WORD_BITS, limbs
from workers.kernels.ntt_words import powers
from workers.kernels.r1cs import scale_rows
from workers.snark.arrays import silent
from workers.snark.densities import instances_of
from workers.snark.domain import domain_for
from workers.snark.multiples import multiples
from workers.snark.parameters import section_write
from workers.snark.points import G1, G2, points_decode, points_encode
from workers.snark.witness import FROM_MONTGOMERY

if TYPE_CHECKING:
    from workers.snark.arrays import Progress, Words
    from workers.snark.constraints import Circuit
    from workers.snark.domain import Domain

SEED_DOMAIN = b"poolsite/groth16-parameters/1"
"""Before the seed, so that its digests are those of nothing else."""
G1_GENERATOR = bytes.fromhex(
    "17f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
    "08b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1"
)
G2_GENERATOR = bytes.fromhex(
    "13e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
    "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
    "0606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be"
    "0ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801"
)
"""Uncompressed generators.  Source: IETF draft-irtf-cfrg-pairing-friendly-curves section 4.2.1."""


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


def secrets_from_seed(seed: bytes) -> Secrets:
    """Return secrets that everybody who knows the seed can compute: parameters of them prove nothing."""
    numbers = [
        int.from_bytes(sha512(SEED_DOMAIN + seed + bytes([place])).digest(), "big") % (SCALAR_MODULUS - 1) + 1
        for place in range(7)
    ]
    scalars = limbs(numbers[:2], bits=WORD_BITS, montgomery=False)
    g1, g2 = (
        multiples(group, points_decode(group, generator), scalars[place : place + 1])[0]
        for place, (group, generator) in enumerate(((G1, G1_GENERATOR), (G2, G2_GENERATOR)))
    )
    return Secrets(g1, g2, *numbers[2:])


def parameters_make(
    circuit: Circuit, secrets: Secrets, path: Path, *, threads: int = 1, progress: Progress = silent
) -> None:
    """Write the parameters of a circuit; an unfinished file never has the name.

    `progress` is called with the points done and their total; what it raises stops the work.
    """
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
    key_2 = limbs([secrets.beta, secrets.gamma, secrets.delta], bits=WORD_BITS)
    scalars_2 = np.concatenate([key_2, v])
    scale_rows(scalars_2, FROM_MONTGOMERY, scalars_2)
    total = len(scalars) + len(scalars_2)

    points = multiples(
        G1, secrets.g1, scalars, threads=threads, progress=lambda done, _: progress(done, total)
    )
    points_2 = multiples(
        G2,
        secrets.g2,
        scalars_2,
        threads=threads,
        progress=lambda done, _: progress(len(scalars) + done, total),
    )
    cuts = np.cumsum([3, len(public), len(h), len(private), len(u)])
    head, ic, *sections = np.split(points, cuts)
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    with partial.open("wb") as file:
        file.write(points_encode(G1, head[:2]) + points_encode(G2, points_2[:2]))
        file.write(points_encode(G1, head[2:]) + points_encode(G2, points_2[2:3]))
        for section in (ic, *sections):
            section_write(file, G1, section)
        section_write(file, G2, points_2[3:])
        file.flush()
        os.fsync(file.fileno())
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
