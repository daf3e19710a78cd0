from __future__ import annotations

import json

import pytest

from poolsite.filecoin.merkle_codec import BadProofJson
from poolsite.filecoin.porep.c1 import Commit1Output, c1_from_json, c1_to_json
from poolsite.filecoin.porep.challenges import ChallengeSource, porep_challenges
from poolsite.filecoin.porep.sealing import porep_prove
from tests.unit.filecoin.golden_proofs import (
    SEALED_CASES,
    case_parameters,
    case_sealed,
    golden,
    golden_text,
    sha256_hex,
)

RAW_CASES = ("2k_v1_1", "2k_synth", "4k_sub2", "16k_sub8", "32k_top2_11layers")


def c1_of(case, registered_proof="", label_tag=""):
    expected, sector, parameters = golden(f"seal_{case}"), case_sealed(case), case_parameters(case)
    seed = bytes.fromhex(expected["seed"])
    source = ChallengeSource(sector.replica_id, sector.comm_r, seed)
    partitions = tuple(
        tuple(porep_prove(sector, node) for node in porep_challenges(parameters, source, partition=at))
        for at in range(parameters.partitions)
    )
    return Commit1Output(
        registered_proof=registered_proof,
        label_tag=label_tag,
        partitions=partitions,
        comm_r=sector.comm_r,
        comm_d=sector.tree_d.root,
        replica_id=sector.replica_id,
        seed=seed,
        ticket=bytes.fromhex(expected["ticket"]),
    )


@pytest.mark.parametrize("case", SEALED_CASES)
def test_c1_output_has_the_golden_digest(case):
    assert sha256_hex(c1_to_json(c1_of(case)).encode()) == golden(f"seal_{case}")["c1_raw_sha256"]


@pytest.mark.parametrize("case", RAW_CASES)
def test_c1_output_is_read_and_written_back_byte_for_byte(case):
    text = golden_text(f"c1_raw_{case}")

    assert c1_from_json(text) == c1_of(case)
    assert c1_to_json(c1_from_json(text)) == text


def test_the_tagged_form_that_crosses_the_ffi_is_the_golden_one():
    parameters = case_parameters("2k_v1_1")
    output = c1_of("2k_v1_1", parameters.name, parameters.label_tag)
    text = golden_text("api_c1_2k_v1_1")

    assert c1_to_json(output) == text
    assert c1_from_json(text) == output


MALFORMED = {
    "no JSON": lambda value: "{",
    "a list": lambda value: "[]",
    "a field less": lambda value: json.dumps({name: value[name] for name in value if name != "seed"}),
    "a field more": lambda value: json.dumps(value | {"nonce": 1}),
    "short seed": lambda value: json.dumps(value | {"seed": [1]}),
    "two tags": lambda value: json.dumps(value | {"vanilla_proofs": value["vanilla_proofs"] | {"x": []}}),
    "no tag": lambda value: json.dumps(value | {"vanilla_proofs": []}),
    "name of no text": lambda value: json.dumps(value | {"registered_proof": 5}),
    "partition of no list": lambda value: json.dumps(value | {"vanilla_proofs": {"StackedDrg2KiBV1": [7]}}),
    "deep nesting": lambda value: "[" * 100_000,
}


@pytest.mark.parametrize("change", list(MALFORMED.values()), ids=list(MALFORMED))
def test_malformed_c1_output_is_refused(change):
    with pytest.raises(BadProofJson):
        c1_from_json(change(json.loads(golden_text("api_c1_2k_v1_1"))))


def test_a_column_with_a_phantom_is_refused():
    value = json.loads(golden_text("c1_raw_2k_v1_1"))
    value["vanilla_proofs"][0][0]["replica_column_proofs"]["c_x"]["column"]["_h"] = 0

    with pytest.raises(BadProofJson):
        c1_from_json(json.dumps(value))
