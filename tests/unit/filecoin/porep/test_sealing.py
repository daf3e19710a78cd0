from __future__ import annotations

import pytest

from poolsite.filecoin.porep.challenges import ChallengeSource, porep_challenges
from poolsite.filecoin.porep.sealing import porep_prove, sector_seal
from tests.unit.filecoin.golden_proofs import (
    SEALED_CASES,
    case_parameters,
    case_sealed,
    golden,
    sha256_hex,
)


@pytest.mark.parametrize("case", SEALED_CASES)
def test_a_sealed_sector_equals_the_golden_one(case):
    expected, sector = golden(f"seal_{case}"), case_sealed(case)

    assert sector.replica_id.hex() == expected["replica_id"]
    assert [sha256_hex(b"".join(layer)) for layer in sector.layers] == [
        layer["sha256"] for layer in expected["layers"]
    ]
    assert sector.tree_d.root.hex() == expected["comm_d"]
    assert sector.tree_c.root.hex() == expected["comm_c"]
    assert sector.tree_r_last.root.hex() == expected["comm_r_last"]
    assert sector.comm_r.hex() == expected["comm_r"]
    assert sha256_hex(sector.replica) == expected["sealed_sha256"]


@pytest.mark.parametrize("case", SEALED_CASES)
def test_tree_c_equals_the_golden_cache_files(case):
    files, trees = golden(f"seal_{case}")["cache_files"], case_sealed(case).tree_c.base_trees
    names = [
        f"sc-02-data-tree-c-{at}.dat" if len(trees) > 1 else "sc-02-data-tree-c.dat"
        for at in range(len(trees))
    ]

    for name, rows in zip(names, trees, strict=True):
        assert sha256_hex(b"".join(node for row in rows for node in row)) == files[name]["sha256"]


@pytest.mark.parametrize("case", ["2k_v1_1", "2k_v1", "2k_11layers"])
def test_the_challenged_nodes_are_those_of_the_golden_public_inputs(case):
    expected, sector = golden(f"seal_{case}"), case_sealed(case)
    source = ChallengeSource(sector.replica_id, sector.comm_r, bytes.fromhex(expected["seed"]))
    challenges = porep_challenges(case_parameters(case), source, partition=0)
    inputs = expected["circuit_public_inputs_per_partition"][0]

    assert [int.from_bytes(bytes.fromhex(inputs[at]), "little") for at in (3, 21)] == list(challenges)
    for at, challenge in zip((4, 22), challenges, strict=True):
        proof = porep_prove(sector, challenge)
        parents = [column.index for column in (*proof.drg_parents, *proof.exp_parents)]
        assert parents == [int.from_bytes(bytes.fromhex(value), "little") for value in inputs[at : at + 14]]


def test_data_that_does_not_fill_the_sector_is_refused():
    with pytest.raises(ValueError, match="do not fill"):
        sector_seal(
            bytes(2016),
            parameters=case_parameters("2k_v1"),
            prover_id=bytes(32),
            sector_number=1,
            ticket=bytes(32),
        )
