from __future__ import annotations

from dataclasses import replace

import pytest

from poolsite.filecoin.bincode import BadBincode, u64_encode
from poolsite.filecoin.post.parameters import post_parameters
from poolsite.filecoin.post.proving import post_prove
from poolsite.filecoin.post.vanilla import post_proof_decode, post_proof_encode
from tests.unit.filecoin.golden_proofs import SEALED_CASES, case_sealed, golden, sha256_hex

NUMBERS = {("winning", "1.0.0"): 0, ("window", "1.0.0"): 5, ("window", "1.2.0"): 10}
CASES = [(case, at) for case in SEALED_CASES for at in range(len(golden(f"seal_{case}").get("post", [])))]


def proof_of(case, at):
    expected, sector = golden(f"seal_{case}")["post"][at], case_sealed(case)
    registered = post_parameters(NUMBERS[expected["type"], expected["api_version"]])
    return post_prove(
        sector.tree_r_last,
        sector.tree_c.root,
        parameters=replace(
            registered, sector_bytes=sector.parameters.sector_bytes, shape=sector.parameters.shape
        ),
        randomness=bytes.fromhex(expected["randomness"]),
        sector_number=1,
    )


@pytest.mark.parametrize(("case", "at"), CASES)
def test_vanilla_proofs_are_the_golden_bytes(case, at):
    data = post_proof_encode(proof_of(case, at))

    assert sha256_hex(data) == golden(f"seal_{case}")["post"][at]["vanilla_bincode_sha256"]
    assert post_proof_encode(post_proof_decode(data)) == data


def test_every_truncated_prefix_is_refused():
    data = post_proof_encode(proof_of("2k_v1_1", 1))

    for wrong in (*(data[:length] for length in range(len(data))), data + b"\0"):
        with pytest.raises(BadBincode):
            post_proof_decode(wrong)


@pytest.mark.parametrize("count", [0, 2])
def test_a_proof_of_no_sector_or_of_two_is_refused(count):
    sector = u64_encode(0) + bytes(64)

    with pytest.raises(BadBincode):
        post_proof_decode(u64_encode(1) + bytes(32) + u64_encode(count) + count * sector)
