from __future__ import annotations

import pytest

from poolsite.filecoin.groth16.circuits import (
    porep_circuit_id,
    post_circuit_id,
    update_circuit_id,
    verifying_key_name,
)
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.post.parameters import PoStKind, post_parameters
from poolsite.filecoin.update.parameters import update_parameters
from tests.unit.filecoin.golden_proofs import SEALED_CASES, case_parameters, golden

KINDS = {PoStKind.WINNING: "Winning", PoStKind.WINDOW: "Window"}


def test_porep_circuits_are_named_as_in_the_registry():
    for number, entry in enumerate(golden("registry")["seal"]):
        circuit_id = porep_circuit_id(seal_parameters(number))
        assert circuit_id == entry["circuit_id"]
        assert verifying_key_name(circuit_id) == entry["vk"]


@pytest.mark.parametrize("case", SEALED_CASES)
def test_porep_circuits_of_other_shapes_are_named_as_the_golden_ones(case):
    assert porep_circuit_id(case_parameters(case)) == golden(f"seal_{case}")["circuit_cache_identifier"]


@pytest.mark.parametrize("number", range(15))
def test_post_circuits_are_named_as_in_the_registry(number):
    parameters = post_parameters(number)
    (entry,) = (
        entry
        for entry in golden("registry")["post"]
        if KINDS[parameters.kind] in entry["name"]
        and entry["sector_size"] == parameters.sector_bytes
        and entry["api_version"] == parameters.api_version
    )

    assert post_circuit_id(parameters) == entry["circuit_id"]


def test_the_update_circuit_of_32_gib_has_the_published_name():
    expected = "3b7f44a9362e3985369454947bc94022e118211e49fd672d52bec1cbfd599d18"

    assert update_circuit_id(update_parameters(3)) == (
        f"empty-sector-update-merkletree-poseidon_hasher-8-8-0-{expected}"
    )
