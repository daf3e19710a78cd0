from __future__ import annotations

import pytest

from poolsite.filecoin.groth16.public_inputs import (
    porep_public_inputs,
    post_public_inputs,
    update_public_inputs,
)
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.porep.verification import PoRepPublicInputs
from poolsite.filecoin.post.parameters import post_parameters
from poolsite.filecoin.post.verification import ProvenSector
from poolsite.filecoin.scalars import scalar_to_bytes
from poolsite.filecoin.update.parameters import update_parameters
from poolsite.filecoin.update.verification import UpdatePublicInputs
from tests.unit.filecoin.golden_proofs import SEALED_CASES, case_parameters, golden
from tests.unit.filecoin.update.golden_updates import UPDATE_CASES, case_update_parameters


def hex_of(partitions):
    return [[scalar_to_bytes(value).hex() for value in inputs] for inputs in partitions]


def porep_inputs(sealed):
    return PoRepPublicInputs(
        *(bytes.fromhex(sealed[name]) for name in ("replica_id", "comm_d", "comm_r", "seed"))
    )


@pytest.mark.parametrize("case", [*SEALED_CASES, "8m_v1_1"])
def test_porep_inputs_equal_the_golden_ones(case):
    sealed = golden(f"seal_{case}")
    computed = hex_of(porep_public_inputs(case_parameters(case), porep_inputs(sealed)))
    expected = sealed["circuit_public_inputs_per_partition"]

    if isinstance(expected, dict):
        assert (computed[0], len(computed)) == (expected["first"], expected["partitions"])
    else:
        assert computed == expected


def test_a_porep_of_32_gib_has_ten_partitions_of_327_inputs():
    inputs = PoRepPublicInputs(bytes(32), bytes(32), bytes(32), bytes(32))

    assert [len(part) for part in porep_public_inputs(seal_parameters(8), inputs)] == [327] * 10


@pytest.mark.parametrize(("name", "number"), [("window", 10), ("winning", 0)])
def test_post_inputs_equal_the_golden_ones(name, number):
    case = golden(f"groth16_{name}_2k")
    sectors = [ProvenSector(case["sector_id"], bytes.fromhex(case["comm_r"]))]
    randomness = bytes.fromhex(case["randomness"])

    assert hex_of(post_public_inputs(post_parameters(number), randomness, sectors=sectors)) == [
        case["public_inputs"]
    ]


def test_a_short_last_partition_repeats_its_last_sector():
    sectors = [ProvenSector(number, bytes([number]) + bytes(31)) for number in (1, 2, 3)]
    first, second = post_public_inputs(post_parameters(10), bytes(32), sectors=sectors)

    assert (first[0], first[11]) == (1, 2)
    assert second[:11] == second[11:]


def test_the_old_window_rule_goes_on_counting_in_later_partitions():
    sectors = [ProvenSector(number, bytes(32)) for number in (1, 2, 3)]
    old, new = (post_public_inputs(post_parameters(number), bytes(32), sectors=sectors) for number in (5, 10))

    assert old[0][:11] == new[0][:11]
    assert old[1] != new[1]


@pytest.mark.parametrize("case", [*UPDATE_CASES, "8m_v1_1"])
def test_update_inputs_equal_the_golden_ones(case):
    expected = golden(f"seal_{case}")["update"]
    parameters = update_parameters(1) if case == "8m_v1_1" else case_update_parameters(case)
    inputs = UpdatePublicInputs(
        *(bytes.fromhex(expected[name]) for name in ("comm_r_old", "comm_d_new", "comm_r_new"))
    )

    assert hex_of(update_public_inputs(parameters, inputs)) == expected["circuit_public_inputs"]
