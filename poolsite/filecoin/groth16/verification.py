"""Groth16: verifying keys and the pairing check of one proof.

Source: filecoin-project/bellperson src/groth16/{verifying_key,proof,verifier}.rs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
from poolsite.filecoin.scalars import SCALAR_MODULUS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blspy import G1Element, G2Element, GTElement

PROOF_BYTES = 2 * G1_BYTES + G2_BYTES
"""A proof: A in G1, B in G2, C in G1, all compressed (192 bytes)."""

KEY_HEAD_BYTES = 2 * (3 * G1_BYTES + 3 * G2_BYTES)
"""alpha and beta in G1, beta and gamma in G2, delta in G1 and G2, all uncompressed (864 bytes)."""

IC_BYTES = 2 * G1_BYTES
"""One uncompressed point of the key's list."""


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


def groth16_verify(key: VerifyingKey, proof: bytes, *, inputs: Sequence[int]) -> None:
    """Check e(A, B) = e(alpha, beta) · e(inputs, gamma) · e(C, delta).  Raises BadGroth16Proof."""
    if len(proof) != PROOF_BYTES:
        raise BadGroth16Proof(f"{len(proof)} bytes instead of {PROOF_BYTES}")
    if len(inputs) != len(key.inputs):
        raise BadGroth16Proof(f"{len(inputs)} public inputs instead of {len(key.inputs)}")
    if not all(0 <= value < SCALAR_MODULUS for value in inputs):
        raise BadGroth16Proof("a public input is not a scalar")
    try:
        a = g1_from_compressed(proof[:G1_BYTES])
        b = g2_from_compressed(proof[G1_BYTES : G1_BYTES + G2_BYTES])
        c = g1_from_compressed(proof[G1_BYTES + G2_BYTES :])
    except BadPoint as error:
        raise BadGroth16Proof(f"bad point: {error}") from None
    public = g1_combination(key.constant, key.inputs, factors=inputs)
    if a.pair(b) != key.alpha_beta * public.pair(key.gamma) * c.pair(key.delta):
        raise BadGroth16Proof("the pairing equation does not hold")


def partitions_verify(key: VerifyingKey, proofs: bytes, *, inputs: Sequence[Sequence[int]]) -> None:
    """Check the concatenated proofs of all partitions, each with its inputs.  Raises BadGroth16Proof."""
    if len(proofs) != PROOF_BYTES * len(inputs):
        raise BadGroth16Proof(f"{len(proofs)} bytes for {len(inputs)} partitions")
    for number, partition_inputs in enumerate(inputs):
        proof = proofs[number * PROOF_BYTES : (number + 1) * PROOF_BYTES]
        try:
            groth16_verify(key, proof, inputs=partition_inputs)
        except BadGroth16Proof as error:
            raise BadGroth16Proof(f"partition {number}: {error}") from None
