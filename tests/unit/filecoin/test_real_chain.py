"""Proofs of ours that a real lotus node's actors accepted hold here too, by the keys that it read."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from poolsite.filecoin.actors.decode import params_decode, params_encode
from poolsite.filecoin.groth16.circuits import porep_circuit_id, post_circuit_id, verifying_key_name
from poolsite.filecoin.groth16.keys import VerifyingKeys
from poolsite.filecoin.groth16.verification import BadGroth16Proof
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.post.parameters import post_parameters
from poolsite.filecoin.proof_verifier import ProofVerifier
from tests.unit.filecoin.golden_proofs import golden

CHAIN = golden("real_chain_2k")
SEALS = {seal["number"]: seal for seal in CHAIN["seals"]}


@pytest.fixture
def verifier(tmp_path: Path) -> ProofVerifier:
    for name, key in CHAIN["keys"].items():
        (tmp_path / name).write_bytes(bytes.fromhex(key))
    return ProofVerifier(VerifyingKeys(tmp_path), takes_containers=False)


def seal_known(number: int) -> dict[str, Any]:
    seal = SEALS[number]
    values = {name: bytes.fromhex(seal[name]) for name in ("comm_r", "comm_d", "ticket", "seed")}
    return values | {
        "seal_proof": seal["seal_proof"],
        "miner_id": CHAIN["miner_id"],
        "sector_number": number,
    }


def test_names_of_the_keys_are_those_that_the_node_looks_for() -> None:
    ids = (post_circuit_id(post_parameters(10)), porep_circuit_id(seal_parameters(5)))
    assert set(CHAIN["keys"]) == set(map(verifying_key_name, ids))


@pytest.mark.parametrize("number", SEALS)
def test_porep_that_the_chain_took_is_checked_alike(verifier: ProofVerifier, number: int) -> None:
    known = seal_known(number)
    verifier.porep(bytes.fromhex(SEALS[number]["proof"]), **known)
    with pytest.raises(BadGroth16Proof, match="pairing equation does not hold"):
        verifier.porep(bytes.fromhex(SEALS[1 - number]["proof"]), **known)


@pytest.mark.parametrize("post", CHAIN["posts"], ids=["first", "with a skipped sector", "recovering"])
def test_window_post_that_the_chain_took_is_checked_alike(
    verifier: ProofVerifier, post: dict[str, Any]
) -> None:
    known = {
        "post_proof": post["post_proof"],
        "randomness": bytes.fromhex(post["randomness"]),
        "miner_id": CHAIN["miner_id"],
        "sectors": [(number, bytes.fromhex(SEALS[number]["comm_r"])) for number in post["proven"]],
    }
    verifier.window_post(bytes.fromhex(post["proof"]), **known)
    with pytest.raises(BadGroth16Proof):
        verifier.window_post(bytes.fromhex(post["proof"]), **known | {"randomness": bytes(32)})


@pytest.mark.parametrize("message", CHAIN["landed"], ids=lambda message: str(message["height"]))
def test_parameters_that_the_actors_took_keep_their_bytes(message: dict[str, Any]) -> None:
    data = base64.b64decode(message["params"])
    assert message["receipt"]["exit_code"] == 0
    assert params_encode("miner", message["method"], params_decode("miner", message["method"], data)) == data
