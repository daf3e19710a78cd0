from __future__ import annotations

import pytest

from poolsite.filecoin.bincode import BadBincode
from poolsite.filecoin.merkle_codec import merkle_proof_to_json
from poolsite.filecoin.update.vanilla import update_proof_decode, update_proof_encode
from tests.naive.updates import update_prove
from tests.unit.filecoin.golden_proofs import golden, sha256_hex
from tests.unit.filecoin.update.golden_updates import UPDATE_CASES, case_updated


@pytest.mark.parametrize("case", UPDATE_CASES)
def test_an_updated_sector_equals_the_golden_one(case):
    expected, sector = golden(f"seal_{case}")["update"], case_updated(case)
    replica = b"".join(node for rows in sector.tree_r_last.base_trees for node in rows[0])

    assert sha256_hex(replica) == expected["new_replica_sha256"]
    assert sector.tree_r_last.root.hex() == expected["comm_r_last_new"]
    assert sector.inputs.comm_r_old.hex() == expected["comm_r_old"]
    assert sector.inputs.comm_d_new.hex() == expected["comm_d_new"]
    assert sector.inputs.comm_r_new.hex() == expected["comm_r_new"]


@pytest.mark.parametrize("case", UPDATE_CASES)
def test_vanilla_proofs_are_the_golden_bytes(case):
    sector = case_updated(case)
    proofs = [update_prove(sector, at) for at in range(sector.parameters.partitions)]
    encoded = [update_proof_encode(proof) for proof in proofs]

    assert [sha256_hex(data) for data in encoded] == golden(f"seal_{case}")["update"][
        "vanilla_bincode_sha256"
    ]
    assert [update_proof_decode(data) for data in encoded] == proofs


def test_the_proof_of_2_kib_is_the_golden_json():
    proof = update_prove(case_updated("2k_v1_1"), 0)
    expected = golden("seal_2k_v1_1")["update"]["partition_proof0_json"]

    assert expected == {
        "comm_c": list(proof.comm_c),
        "apex_leafs": [list(node) for node in proof.apex_leaves],
        "challenge_proofs": [
            {
                "proof_r_old": merkle_proof_to_json(challenge.proof_r_old),
                "proof_d_new": merkle_proof_to_json(challenge.proof_d_new),
                "proof_r_new": merkle_proof_to_json(challenge.proof_r_new),
            }
            for challenge in proof.challenge_proofs
        ],
    }


def test_truncated_and_lengthened_bytes_are_refused():
    data = update_proof_encode(update_prove(case_updated("2k_v1_1"), 0))

    for wrong in (*(data[:length] for length in range(0, len(data), 13)), data[:-1], data + b"\0"):
        with pytest.raises(BadBincode):
            update_proof_decode(wrong)
