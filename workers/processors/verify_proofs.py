"""Checking Groth16 proofs that `workers prove` has printed, those of one circuit all at once."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poolsite.filecoin.groth16.aggregate import BadAggregate
from poolsite.filecoin.groth16.aggregate_challenges import porep_include
from poolsite.filecoin.groth16.aggregate_verification import aggregate_verify
from poolsite.filecoin.groth16.circuits import porep_circuit_id, post_circuit_id, update_circuit_id
from poolsite.filecoin.groth16.keys import VerifyingKeys, parameter_folder
from poolsite.filecoin.groth16.powers import POWERS_NAME, BadPowers, aggregate_key_read
from poolsite.filecoin.groth16.public_inputs import (
    porep_public_inputs,
    post_public_inputs,
    update_public_inputs,
)
from poolsite.filecoin.groth16.verification import BadGroth16Proof, partitions_verify
from poolsite.filecoin.porep.parameters import ChallengeRule, seal_parameters
from poolsite.filecoin.porep.verification import PoRepPublicInputs
from poolsite.filecoin.post.challenges import post_randomness
from poolsite.filecoin.post.parameters import post_parameters
from poolsite.filecoin.post.verification import ProvenSector
from poolsite.filecoin.proof_inputs import update_inputs_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from poolsite.filecoin.groth16.verification import VerifyingKey


@dataclass(frozen=True, slots=True)
class Statement:
    """A proof and what it must be about."""

    path: Path
    circuit_id: str
    proof: bytes
    inputs: tuple[tuple[int, ...], ...]
    """Public inputs of each partition."""
    include: bytes | None = None
    """What an aggregate is about, hashed; None for a proof that is none."""


def proofs_check(paths: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Return the names of the good proofs, and a sentence for each bad one."""
    circuits: dict[str, list[Statement]] = defaultdict(list)
    good, errors = [], []
    for path in paths:
        try:
            statement = statement_of(path, json.loads(path.read_text()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            errors.append(f"{path}: cannot be read: {error!r}"[:300])
        else:
            circuits[statement.circuit_id].append(statement)
    keys = VerifyingKeys(parameter_folder())
    for circuit_id, statements in circuits.items():
        refused = _circuit_check(keys, circuit_id, statements)
        good += [str(one.path) for one in statements if one.path not in refused]
        errors += [f"{path}: {reason}" for path, reason in refused.items()]
    return good, errors


def statement_of(path: Path, value: dict[str, Any]) -> Statement:
    """Read what `workers prove` printed.  Raises ValueError, KeyError, TypeError."""
    proof = base64.b64decode(value["proof"], validate=True)
    if value["kind"] == "porep":
        parameters = seal_parameters(value["registered_proof"])
        known = _seal_of(value)
        return Statement(path, porep_circuit_id(parameters), proof, porep_public_inputs(parameters, known))
    if value["kind"] == "porep_aggregate":
        return _aggregate_of(path, value, proof)
    if value["kind"] == "update":
        return _update_of(path, value, proof)
    post = post_parameters(value["registered_proof"])
    sectors = [ProvenSector(number, bytes.fromhex(comm_r)) for number, comm_r in value["sectors"]]
    randomness = post_randomness(bytes.fromhex(value["randomness"]))
    inputs = post_public_inputs(post, randomness, sectors=sectors)
    return Statement(path, post_circuit_id(post), proof, inputs)


def _seal_of(value: dict[str, Any]) -> PoRepPublicInputs:
    names = ("replica_id", "comm_d", "comm_r", "seed")
    return PoRepPublicInputs(*(bytes.fromhex(value[name]) for name in names))


def _update_of(path: Path, value: dict[str, Any], proof: bytes) -> Statement:
    commitments = {name: bytes.fromhex(value[name]) for name in ("comm_r_old", "comm_r_new", "comm_d_new")}
    parameters, known = update_inputs_of(value["registered_proof"], **commitments)
    return Statement(path, update_circuit_id(parameters), proof, update_public_inputs(parameters, known))


def _aggregate_of(path: Path, value: dict[str, Any], proof: bytes) -> Statement:
    parameters = seal_parameters(value["registered_proof"])
    seals = [_seal_of(sector) for sector in value["sectors"]]
    has_seeds = parameters.rule is not ChallengeRule.NON_INTERACTIVE
    include = porep_include(
        [seal.comm_r for seal in seals], seeds=[seal.seed for seal in seals] if has_seeds else None
    )
    inputs = tuple(own for seal in seals for own in porep_public_inputs(parameters, seal))
    return Statement(path, porep_circuit_id(parameters), proof, inputs, include)


def _circuit_check(keys: VerifyingKeys, circuit_id: str, statements: Sequence[Statement]) -> dict[Path, str]:
    """Return the reasons of those that are refused."""
    try:
        key = keys.get(circuit_id)
    except (OSError, ValueError) as error:
        return {one.path: str(error) for one in statements}
    if key is None:
        return {one.path: f"no verifying key for {circuit_id} in {keys.folder}" for one in statements}
    plain = [one for one in statements if one.include is None]
    refused = {one.path: reason for one in statements if (reason := _aggregate_refusal(keys, key, one))}
    try:
        joined = b"".join(one.proof for one in plain)
        partitions_verify(key, joined, inputs=[own for one in plain for own in one.inputs])
    except BadGroth16Proof:
        pass  # each by itself, below
    else:
        return refused
    for one in plain:
        try:
            partitions_verify(key, one.proof, inputs=one.inputs)
        except BadGroth16Proof as error:
            refused[one.path] = str(error)
    return refused


def _aggregate_refusal(keys: VerifyingKeys, key: VerifyingKey, one: Statement) -> str:
    """Return why an aggregate is refused; empty if it is none or good."""
    if one.include is None:
        return ""
    try:
        setup = aggregate_key_read(keys.folder / POWERS_NAME)
        aggregate_verify(key, one.proof, setup=setup, inputs=one.inputs, include=one.include)
    except (BadAggregate, BadGroth16Proof, BadPowers, OSError) as error:
        return str(error)
    return ""
