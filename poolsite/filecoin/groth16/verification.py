"""Groth16: verifying keys and the pairing check of one proof.

A `.vk` file, all points uncompressed and numbers big-endian:

    alpha in G1, beta in G1, beta in G2, gamma in G2, delta in G1, delta in G2
    u32: how many points follow
    in G1 the point of the constant 1, then one of each public input

Points that the check does not use are read all the same: a damaged file is refused as a whole.

Source: filecoin-project/bellperson src/groth16/{verifying_key,proof,verifier}.rs.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import mul

from blspy import G1Element, G2Element, GTElement

from poolsite.filecoin.groth16.curve import (
    G1_BYTES,
    G2_BYTES,
    BadPoint,
    g1_combination,
    g1_from_compressed,
    g1_from_uncompressed,
    g2_from_compressed,
    g2_from_uncompressed,
)
from poolsite.filecoin.groth16.target import target_power
from poolsite.filecoin.scalars import SCALAR_MODULUS

PROOF_BYTES = 2 * G1_BYTES + G2_BYTES
"""A proof: A in G1, B in G2, C in G1, all compressed (192 bytes)."""

KEY_HEAD_BYTES = 2 * (3 * G1_BYTES + 3 * G2_BYTES)
"""alpha and beta in G1, beta and gamma in G2, delta in G1 and G2, all uncompressed (864 bytes)."""

IC_BYTES = 2 * G1_BYTES
"""One uncompressed point of the key's list."""

COMBINATION_BITS = 128
"""Bits of the random factors by which proofs are checked together."""


class BadVerifyingKey(ValueError):
    """Bytes that are not a verifying key."""


class BadGroth16Proof(ValueError):
    """A proof that does not hold for its public inputs."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """What the check of one circuit's proofs needs."""

    alpha_beta: GTElement
    """e(alpha, beta), the same for every proof."""
    gamma: G2Element
    """Divides the public part."""
    delta: G2Element
    """Divides the private part."""
    constant: G1Element
    """Point of the input that is always 1."""
    inputs: tuple[G1Element, ...]
    """Points of the public inputs."""


def verifying_key_decode(data: bytes) -> VerifyingKey:
    """Read a `.vk` file.  Raises BadVerifyingKey."""
    if len(data) < KEY_HEAD_BYTES + 4:
        raise BadVerifyingKey(f"{len(data)} bytes")
    (count,) = struct.unpack_from(">I", data, KEY_HEAD_BYTES)
    start = KEY_HEAD_BYTES + 4
    if count < 1 or len(data) != start + count * IC_BYTES:
        raise BadVerifyingKey(f"{len(data)} bytes for {count} points")
    try:
        alpha = g1_from_uncompressed(data[:96])
        g1_from_uncompressed(data[96:192])
        beta, gamma = g2_from_uncompressed(data[192:384]), g2_from_uncompressed(data[384:576])
        g1_from_uncompressed(data[576:672])
        delta = g2_from_uncompressed(data[672:864])
        constant, *inputs = (
            g1_from_uncompressed(data[at : at + IC_BYTES]) for at in range(start, len(data), IC_BYTES)
        )
    except BadPoint as error:
        raise BadVerifyingKey(f"bad point: {error}") from None
    return VerifyingKey(alpha.pair(beta), gamma, delta, constant, tuple(inputs))


def proof_points(proof: bytes) -> tuple[G1Element, G2Element, G1Element]:
    """Return A, B and C.  Raises BadGroth16Proof unless they are points of the groups."""
    if len(proof) != PROOF_BYTES:
        raise BadGroth16Proof(f"{len(proof)} bytes instead of {PROOF_BYTES}")
    try:
        return (
            g1_from_compressed(proof[:G1_BYTES]),
            g2_from_compressed(proof[G1_BYTES : G1_BYTES + G2_BYTES]),
            g1_from_compressed(proof[G1_BYTES + G2_BYTES :]),
        )
    except BadPoint as error:
        raise BadGroth16Proof(f"bad point: {error}") from None


def inputs_check(key: VerifyingKey, inputs: Sequence[int]) -> None:
    """Raise BadGroth16Proof unless these can be the circuit's public inputs."""
    if len(inputs) != len(key.inputs):
        raise BadGroth16Proof(f"{len(inputs)} public inputs instead of {len(key.inputs)}")
    if not all(0 <= value < SCALAR_MODULUS for value in inputs):
        raise BadGroth16Proof("a public input is not a scalar")


def groth16_verify(key: VerifyingKey, proof: bytes, *, inputs: Sequence[int]) -> None:
    """Raise BadGroth16Proof unless e(A, B) = e(alpha, beta) · e(inputs, gamma) · e(C, delta)."""
    inputs_check(key, inputs)
    a, b, c = proof_points(proof)
    public = g1_combination(key.constant, key.inputs, factors=inputs)
    if a.pair(b) != key.alpha_beta * public.pair(key.gamma) * c.pair(key.delta):
        raise BadGroth16Proof("the pairing equation does not hold")


def groth16_verify_batch(
    key: VerifyingKey, proofs: Sequence[bytes], *, inputs: Sequence[Sequence[int]]
) -> None:
    """Check many proofs of one circuit at once, by a random combination of their equations.

    With a factor z of 128 random bits for each proof,

        Π e(z A, B) = e(alpha, beta)^Σz · e(Σ z inputs, gamma) · e(Σ z C, delta)

    is one pairing for each proof and two for all, instead of three for each.  Wrong proofs pass with a chance
    of 2^-128.

    Raises BadGroth16Proof, which does not say of which proof.
    """
    for values in inputs:
        inputs_check(key, values)
    points = [proof_points(proof) for proof in proofs]
    # Never zero, which would leave a proof unchecked; drawn after the proofs, which cannot be made for them.
    factors = [secrets.randbits(COMBINATION_BITS) | 1 << COMBINATION_BITS for _ in points]
    totals = [
        sum(factor * values[index] for factor, values in zip(factors, inputs, strict=True)) % SCALAR_MODULUS
        for index in range(len(key.inputs))
    ]
    factor_sum = sum(factors) % SCALAR_MODULUS
    public = g1_combination(G1Element(), (key.constant, *key.inputs), factors=(factor_sum, *totals))
    last = g1_combination(G1Element(), [c for _, _, c in points], factors=factors)
    expected = target_power(key.alpha_beta, factor_sum) * public.pair(key.gamma) * last.pair(key.delta)
    pairs = [
        g1_combination(G1Element(), [a], factors=[factor]).pair(b)
        for factor, (a, b, _) in zip(factors, points, strict=True)
    ]
    if reduce(mul, pairs) != expected:
        raise BadGroth16Proof("the pairing equation does not hold for all of the proofs")


def partitions_of(proofs: bytes, partitions: int) -> list[bytes]:
    """Return the concatenated proofs of so many partitions.  Raises BadGroth16Proof."""
    if len(proofs) != PROOF_BYTES * partitions:
        raise BadGroth16Proof(f"{len(proofs)} bytes for {partitions} partitions")
    return [proofs[at : at + PROOF_BYTES] for at in range(0, len(proofs), PROOF_BYTES)]


def partitions_form_check(proofs: bytes, *, partitions: int) -> None:
    """Check that bytes have the form of so many proofs.  Raises BadGroth16Proof."""
    for number, proof in enumerate(partitions_of(proofs, partitions)):
        try:
            proof_points(proof)
        except BadGroth16Proof as error:
            raise BadGroth16Proof(f"partition {number}: {error}") from None


def partitions_verify(key: VerifyingKey, proofs: bytes, *, inputs: Sequence[Sequence[int]]) -> None:
    """Check the concatenated proofs of all partitions, each with its inputs.

    Several are checked at once; only where that fails each by itself, so that the error names the partition.
    Raises BadGroth16Proof.
    """
    each = partitions_of(proofs, len(inputs))
    if len(each) > 1:
        try:
            groth16_verify_batch(key, each, inputs=inputs)
        except BadGroth16Proof:
            pass  # named below
        else:
            return
    for number, (proof, partition_inputs) in enumerate(zip(each, inputs, strict=True)):
        try:
            groth16_verify(key, proof, inputs=partition_inputs)
        except BadGroth16Proof as error:
            raise BadGroth16Proof(f"partition {number}: {error}") from None
