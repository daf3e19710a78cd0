from __future__ import annotations

from dataclasses import replace

import pytest

from poolsite.filecoin.groth16.public_inputs import (
    porep_public_inputs,
    post_public_inputs,
    update_public_inputs,
)
from poolsite.filecoin.groth16.verification import BadGroth16Proof, partitions_verify, verifying_key_decode
from poolsite.filecoin.porep.verification import PoRepPublicInputs
from poolsite.filecoin.post.parameters import post_parameters
from poolsite.filecoin.post.verification import ProvenSector
from poolsite.filecoin.scalars import BadScalar
from tests.unit.filecoin.golden_proofs import case_parameters, case_sealed, golden
from tests.unit.filecoin.groth16.simulated import simulated_key, simulated_proof
from tests.unit.filecoin.update.golden_updates import case_updated

NO_SCALAR = b"\xff" * 32
REFUSED = (BadGroth16Proof, BadScalar)


def porep_of(case):
    sector, parameters = case_sealed(case), case_parameters(case)
    seed = bytes.fromhex(golden(f"seal_{case}")["seed"])
    inputs = PoRepPublicInputs(sector.replica_id, sector.tree_d.root, sector.comm_r, seed)
    public = porep_public_inputs(parameters, inputs)
    return simulated_key(len(public[0])), b"".join(map(simulated_proof, public)), parameters, inputs


@pytest.mark.parametrize("case", ["2k_v1_1", "2k_ni"])
def test_a_porep_is_checked_against_its_own_public_inputs(case):
    key, proof, parameters, inputs = porep_of(case)

    def porep_verify(inputs):
        partitions_verify(key, proof, inputs=porep_public_inputs(parameters, inputs))

    porep_verify(inputs)
    for name in ("replica_id", "comm_d", "comm_r"):
        for value in (bytes(32), NO_SCALAR):
            with pytest.raises(REFUSED):
                porep_verify(replace(inputs, **{name: value}))


@pytest.mark.parametrize(("name", "number"), [("window", 10), ("winning", 0)])
def test_a_post_is_checked_against_its_sectors(name, number):
    case = golden(f"groth16_{name}_2k")
    key, proof = verifying_key_decode(bytes.fromhex(case["vk"])), bytes.fromhex(case["proof"])
    comm_r, randomness = bytes.fromhex(case["comm_r"]), bytes.fromhex(case["randomness"])

    def verify(sectors, randomness=randomness):
        public = post_public_inputs(post_parameters(number), randomness, sectors=sectors)
        partitions_verify(key, proof, inputs=public)

    verify([ProvenSector(1, comm_r)])
    for sectors in (
        [ProvenSector(2, comm_r)],
        [ProvenSector(1, bytes(32))],
        [ProvenSector(1, NO_SCALAR)],
    ):
        with pytest.raises(REFUSED):
            verify(sectors)
    with pytest.raises(BadGroth16Proof):
        verify([ProvenSector(1, comm_r)], randomness=bytes(32))


@pytest.mark.parametrize("case", ["2k_v1_1", "16k_sub8"])
def test_an_update_is_checked_against_its_commitments(case):
    sector = case_updated(case)
    proof = b"".join(map(simulated_proof, update_public_inputs(sector.parameters, sector.inputs)))
    key = simulated_key(4)

    def update_verify(inputs):
        partitions_verify(key, proof, inputs=update_public_inputs(sector.parameters, inputs))

    update_verify(sector.inputs)
    for name in ("comm_r_old", "comm_d_new", "comm_r_new"):
        for value in (bytes(32), NO_SCALAR):
            with pytest.raises(REFUSED):
                update_verify(replace(sector.inputs, **{name: value}))
