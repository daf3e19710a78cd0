"""Proofs as a chain checks them: containers by their tag, Groth16 by verifying key or by form."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from poolsite.devnet.proofs import ProofChecks
from poolsite.filecoin.groth16.aggregate import BadAggregate
from poolsite.filecoin.groth16.circuits import (
    porep_circuit_id,
    post_circuit_id,
    update_circuit_id,
    verifying_key_name,
)
from poolsite.filecoin.groth16.keys import VerifyingKeys
from poolsite.filecoin.groth16.powers import POWERS_NAME
from poolsite.filecoin.groth16.public_inputs import porep_public_inputs, update_public_inputs
from poolsite.filecoin.groth16.verification import BadGroth16Proof, VerifyingKey
from poolsite.filecoin.porep.verification import PoRepPublicInputs
from poolsite.filecoin.post.parameters import post_parameters
from poolsite.filecoin.proof_container import BadProofContainer
from poolsite.filecoin.proof_inputs import porep_inputs_of
from poolsite.filecoin.proof_verifier import BAD_PROOFS, KeyMissing, ProofVerifier, ProvenSeal
from poolsite.filecoin.update.parameters import update_parameters
from tests.unit.filecoin.golden_proofs import case_parameters, case_sealed, golden
from tests.unit.filecoin.groth16.simulated import simulated_key, simulated_key_bytes, simulated_proof
from tests.unit.filecoin.proof_container import porep_of
from tests.unit.filecoin.update.golden_updates import case_updated
from workers.processors import aggregate
from workers.processors.codec import Base64
from workers.processors.errors import BadInput
from workers.processors.tasks import AggregateTask
from workers.snark.powers import powers_make

NUMBERS = {"window": 5, "winning": 0}
SEAL_2K = 5


def post_case(name: str) -> tuple[bytes, dict[str, Any]]:
    case = golden(f"groth16_{name}_2k")
    known = {
        "post_proof": NUMBERS[name],
        "randomness": bytes.fromhex(case["randomness"]),
        "miner_id": 1000,
        "sectors": [(1, bytes.fromhex(case["comm_r"]))],
    }
    return bytes.fromhex(case["proof"]), known


@pytest.fixture
def keys(tmp_path: Path) -> VerifyingKeys:
    for name, number in NUMBERS.items():
        path = tmp_path / verifying_key_name(post_circuit_id(post_parameters(number)))
        path.write_bytes(bytes.fromhex(golden(f"groth16_{name}_2k")["vk"]))
    return VerifyingKeys(tmp_path)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_proof_of_bellperson_is_checked_by_the_verifying_key(name: str, keys: VerifyingKeys) -> None:
    proof, known = post_case(name)
    check = getattr(ProofVerifier(keys), f"{name}_post")
    check(proof, **known)
    for changed in ({"sectors": [(2, known["sectors"][0][1])]}, {"randomness": bytes(32)}):
        with pytest.raises(BadGroth16Proof, match="pairing equation does not hold"):
            check(proof, **known | changed)
    with pytest.raises(BadGroth16Proof, match="384 bytes for 1 partitions"):
        check(2 * proof, **known)
    with pytest.raises(BAD_PROOFS, match="is no"):
        check(proof, **known | {"post_proof": 5 - NUMBERS[name]})


def test_a_sector_that_stands_in_for_another_counts_once(keys: VerifyingKeys) -> None:
    proof, known = post_case("window")
    ProofVerifier(keys).window_post(proof, **known | {"sectors": 2 * known["sectors"]})


def test_without_a_key_the_form_is_checked_where_that_is_enough(tmp_path: Path) -> None:
    proof, known = post_case("window")
    nothing = VerifyingKeys(tmp_path)
    with pytest.raises(KeyMissing, match="there is no verifying key for proof-of-spacetime-fallback"):
        ProofVerifier(nothing).window_post(proof, **known)
    by_form = ProofVerifier(nothing, needs_keys=False)
    by_form.window_post(proof, **known)
    for bad, sentence in (
        (b"proof", "5 bytes for 1 partitions"),
        (bytes(192), "partition 0: bad point"),
        (proof[:-1] + bytes([proof[-1] ^ 1]), "partition 0: bad point"),
    ):
        with pytest.raises(BadGroth16Proof, match=sentence):
            by_form.window_post(bad, **known)


def test_a_damaged_key_proves_nothing(keys: VerifyingKeys) -> None:
    proof, known = post_case("window")
    path = keys.folder / verifying_key_name(post_circuit_id(post_parameters(5)))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(KeyMissing, match="the verifying key cannot be used"):
        ProofVerifier(keys, needs_keys=False).window_post(proof, **known)


def test_a_container_is_refused_where_the_chain_takes_none(keys: VerifyingKeys) -> None:
    proof, known = porep_of("2k_v1_1")
    ProofVerifier(keys).porep(proof, **known)
    with pytest.raises(BadProofContainer, match="but the chain accepts only Groth16 proofs"):
        ProofVerifier(keys, takes_containers=False).porep(proof, **known)


def test_the_devnet_takes_both_forms_and_a_key_that_comes_later(tmp_path: Path, keys: VerifyingKeys) -> None:
    container, known = porep_of("2k_v1_1")
    proof, post_known = post_case("window")
    checks = ProofChecks(keys)
    assert checks.is_proven(ProofVerifier.porep, container, **known)
    assert checks.is_proven(ProofVerifier.window_post, proof, **post_known)
    assert not checks.is_proven(ProofVerifier.window_post, proof, **post_known | {"randomness": bytes(32)})
    path = tmp_path / verifying_key_name(post_circuit_id(post_parameters(5)))
    key = path.read_bytes()
    path.unlink()
    late = ProofChecks(VerifyingKeys(tmp_path))
    assert not late.is_proven(ProofVerifier.window_post, proof, **post_known)
    path.write_bytes(key)
    assert late.is_proven(ProofVerifier.window_post, proof, **post_known)


class OneKey:
    """Stands for a folder with the key of one circuit, whose secrets the test knows."""

    folder = Path("keys")

    def __init__(self, circuit_id: str, inputs: int) -> None:
        self.circuit_id, self.key = circuit_id, simulated_key(inputs)

    def get(self, circuit_id: str) -> VerifyingKey | None:
        return self.key if circuit_id == self.circuit_id else None


@pytest.mark.parametrize("case", ["2k_v1_1", "2k_ni"])
def test_poreps_of_one_and_of_many_partitions_are_checked(case: str) -> None:
    parameters, sector = case_parameters(case), case_sealed(case)
    _, known = porep_of(case)
    _, inputs = porep_inputs_of(**known)
    assert inputs == PoRepPublicInputs(sector.replica_id, sector.tree_d.root, sector.comm_r, known["seed"])
    public = porep_public_inputs(parameters, inputs)
    proof = b"".join(map(simulated_proof, public))
    verifier = ProofVerifier(OneKey(porep_circuit_id(parameters), len(public[0])))  # type: ignore[arg-type]
    verifier.porep(proof, **known)
    with pytest.raises(BadGroth16Proof, match="partition 0: the pairing equation does not hold"):
        verifier.porep(proof, **known | {"comm_r": bytes(32)})
    if len(public) > 1:
        swapped = proof[192:384] + proof[:192] + proof[384:]
        with pytest.raises(BadGroth16Proof, match="partition 0: the pairing equation does not hold"):
            verifier.porep(swapped, **known)


def test_an_update_is_checked() -> None:
    sector, parameters = case_updated("2k_v1_1"), update_parameters(0)
    known = {name: getattr(sector.inputs, name) for name in ("comm_r_old", "comm_r_new", "comm_d_new")}
    proof = b"".join(map(simulated_proof, update_public_inputs(parameters, sector.inputs)))
    verifier = ProofVerifier(OneKey(update_circuit_id(parameters), 4))  # type: ignore[arg-type]
    verifier.update(proof, update_proof=0, **known)
    with pytest.raises(BadGroth16Proof):
        verifier.update(proof, update_proof=0, **known | {"comm_d_new": bytes(32)})


def seals_of(count: int) -> list[ProvenSeal]:
    """Seals that differ in everything."""
    return [
        ProvenSeal(
            number,
            comm_r=hashlib.sha256(f"r-{number}".encode()).digest()[:31] + b"\0",
            comm_d=hashlib.sha256(f"d-{number}".encode()).digest()[:31] + b"\0",
            ticket=bytes([number]) * 32,
            seed=bytes([number + 100]) * 32,
        )
        for number in range(1, count + 1)
    ]


def test_an_aggregate_of_seals_is_made_and_checked_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sectors = seals_of(5)
    known = [
        porep_inputs_of(
            SEAL_2K,
            comm_r=one.comm_r,
            comm_d=one.comm_d,
            miner_id=1000,
            sector_number=one.number,
            ticket=one.ticket,
            seed=one.seed,
        )
        for one in sectors
    ]
    inputs = [own for parameters, one in known for own in porep_public_inputs(parameters, one)]
    path = tmp_path / POWERS_NAME
    powers_make(path, seed="test", proofs=8)
    (tmp_path / verifying_key_name(porep_circuit_id(known[0][0]))).write_bytes(
        simulated_key_bytes(range(1, len(inputs[0]) + 2))
    )
    monkeypatch.setenv("FIL_PROOFS_PARAMETER_CACHE", str(tmp_path))
    comm_rs, seeds = tuple(one.comm_r for one in sectors), tuple(one.seed for one in sectors)
    proofs = tuple(Base64(simulated_proof(own)) for own in inputs)
    data = bytes(aggregate.run(AggregateTask(SEAL_2K, comm_rs, seeds, proofs)).proof)
    checks = ProofChecks(VerifyingKeys(tmp_path))

    def is_good(proof: bytes = data, about: Any = tuple(sectors)) -> bool:
        return checks.is_proven(
            ProofVerifier.porep_aggregate, proof, seal_proof=SEAL_2K, miner_id=1000, sectors=about
        )

    assert is_good()
    assert is_good(), "remembered"
    assert not is_good(about=tuple(sectors[::-1]))
    assert not is_good(about=(*sectors[:4], replace(sectors[4], ticket=bytes(32))))
    assert not is_good(about=(*sectors[:4], replace(sectors[4], seed=bytes(32))))
    assert not is_good(about=tuple(sectors[:4]))
    assert not is_good(about=())
    assert not is_good(data[:-1])
    verifier = ProofVerifier(VerifyingKeys(tmp_path))
    path.unlink()
    with pytest.raises(KeyMissing, match=r"there is no v28-fil-inner-product-v1\.srs"):
        verifier.porep_aggregate(data, seal_proof=SEAL_2K, miner_id=1000, sectors=sectors)
    by_form = ProofVerifier(VerifyingKeys(tmp_path), needs_keys=False)
    by_form.porep_aggregate(data, seal_proof=SEAL_2K, miner_id=1000, sectors=sectors)
    with pytest.raises(BadAggregate, match="number of proofs in the aggregate"):
        by_form.porep_aggregate(data, seal_proof=SEAL_2K, miner_id=1000, sectors=sectors[:4])
    monkeypatch.setenv("FIL_PROOFS_PARAMETER_CACHE", str(tmp_path / "none"))
    with pytest.raises(OSError, match="No such file"):
        aggregate.run(AggregateTask(SEAL_2K, comm_rs, seeds, proofs))
    with pytest.raises(BadInput, match="191 bytes for 1 partitions"):
        aggregate.run(AggregateTask(SEAL_2K, comm_rs[:1], seeds[:1], (Base64(bytes(191)),)))
    with pytest.raises(BadInput):
        aggregate.run(AggregateTask(99, comm_rs[:1], seeds[:1], proofs[:1]))
