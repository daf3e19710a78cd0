from __future__ import annotations

from poolsite.filecoin.sha254 import sha254_node, sha254_zero
from tests.unit.filecoin.golden_proofs import golden


def test_node_hash_equals_the_golden_one():
    case = golden("poseidon")["sha254_hash2"]

    assert sha254_node((bytes.fromhex(case["a"]), bytes.fromhex(case["b"]))).hex() == case["out"]


def test_zero_commitments_equal_the_golden_ones_for_every_size():
    cases = golden("pieces")["zero_comm"]

    assert [sha254_zero(case["padded"]).hex() for case in cases] == [case["comm"] for case in cases]
    assert len(cases) == 30
