from __future__ import annotations

from functools import cache

import pytest

from poolsite.filecoin.bincode import BadBincode
from poolsite.filecoin.porep.challenges import ChallengeSource, synthetic_challenges
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.porep.sealing import porep_prove
from poolsite.filecoin.porep.synthetic import (
    ROOTS_BYTES,
    synthetic_file_encode,
    synthetic_proof_read,
    synthetic_record_bytes,
)
from tests.unit.filecoin.golden_proofs import case_parameters, case_sealed, golden, sha256_hex

CASE = "2k_synth"


@cache
def proofs():
    sector = case_sealed(CASE)
    source = ChallengeSource(sector.replica_id, sector.comm_r, bytes(32))
    drawn = synthetic_challenges(64, source, indices=range(64))
    return tuple(porep_prove(sector, challenge) for challenge in drawn)


def test_the_file_equals_the_golden_one():
    data, expected = synthetic_file_encode(proofs()), golden(f"seal_{CASE}")["cache_files"]

    assert len(data) == ROOTS_BYTES + 64 * synthetic_record_bytes(case_parameters(CASE))
    assert sha256_hex(data) == expected["syn-porep-vanilla-proofs.dat"]["sha256"]


def test_every_proof_is_read_back_out_of_the_file():
    data = synthetic_file_encode(proofs())

    for index, proof in enumerate(proofs()):
        assert synthetic_proof_read(data, index, parameters=case_parameters(CASE)) == proof


@pytest.mark.parametrize("case", ["4k_sub2", "32k_top2_11layers"])
def test_proofs_of_other_shapes_come_back(case):
    proof = porep_prove(case_sealed(case), 77)

    assert synthetic_proof_read(synthetic_file_encode([proof]), 0, parameters=case_parameters(case)) == proof


def test_a_proof_behind_the_end_and_a_node_outside_the_sector_are_refused():
    data = bytearray(synthetic_file_encode(proofs()))

    with pytest.raises(BadBincode):
        synthetic_proof_read(bytes(data), 64, parameters=case_parameters(CASE))
    with pytest.raises(BadBincode):
        synthetic_proof_read(bytes(data[:50]), 0, parameters=case_parameters(CASE))
    data[ROOTS_BYTES + 1] = 1
    with pytest.raises(BadBincode, match="outside the sector"):
        synthetic_proof_read(bytes(data), 0, parameters=case_parameters(CASE))


def test_a_record_of_32_gib_has_the_length_of_the_formula():
    path = 1 + 7 * 10

    assert synthetic_record_bytes(seal_parameters(13)) == 15 * 8 + 32 * (31 + 15 * (11 + path) + path)
