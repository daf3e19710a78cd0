from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from poolsite.filecoin.porep.challenges import (
    ChallengeSource,
    porep_challenges,
    synthetic_challenges,
    synthetic_count,
)
from poolsite.filecoin.porep.parameters import ChallengeRule, seal_parameters
from tests.unit.filecoin.golden_proofs import golden, sha256_hex

CASES = golden("porep_challenges")["cases"]
FIELD = {ChallengeRule.INTERACTIVE: "interactive", ChallengeRule.NON_INTERACTIVE: "ni"}


def source():
    case = golden("porep_challenges")
    return ChallengeSource(*(bytes.fromhex(case[name]) for name in ("replica_id", "comm_r", "seed")))


@pytest.mark.parametrize("size", range(5), ids=[case["name"] for case in CASES])
@pytest.mark.parametrize("generation", [1, 3])
def test_challenges_equal_the_golden_ones(size, generation):
    parameters = seal_parameters(5 * generation + size)
    expected = CASES[size][FIELD[parameters.rule]]

    assert len(expected) == parameters.partitions
    for partition, challenges in enumerate(expected):
        assert list(porep_challenges(parameters, source(), partition=partition)) == challenges


@pytest.mark.parametrize("size", range(5), ids=[case["name"] for case in CASES])
def test_synthetic_selection_equals_the_golden_one(size):
    parameters = seal_parameters(10 + size)

    for partition, challenges in enumerate(CASES[size]["synthetic_selected"]):
        assert list(porep_challenges(parameters, source(), partition=partition)) == challenges


@pytest.mark.parametrize("size", range(5), ids=[case["name"] for case in CASES])
def test_the_synthetic_set_begins_as_the_golden_one(size):
    nodes, expected = CASES[size]["nodes"], CASES[size]["synthetic_all"]

    assert list(synthetic_challenges(nodes, source(), indices=range(16))) == expected["first16"]
    assert synthetic_count(nodes) == expected["count"]


def test_the_whole_synthetic_set_of_2_kib_equals_the_golden_one():
    drawn = synthetic_challenges(64, source(), indices=range(64))

    assert sha256_hex(struct.pack("<64I", *drawn)) == CASES[0]["synthetic_all"]["sha256_u32le"]


def test_node_0_is_never_challenged():
    parameters = replace(seal_parameters(5), challenges=2000)

    assert set(porep_challenges(parameters, source(), partition=0)) == set(range(1, 64))
