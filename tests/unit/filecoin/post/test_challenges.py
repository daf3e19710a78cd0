from __future__ import annotations

import pytest

from poolsite.filecoin.post.challenges import (
    BadSectorSet,
    post_randomness,
    sector_challenges,
    winning_sector,
)
from poolsite.filecoin.post.parameters import PoStKind, post_parameters
from tests.unit.filecoin.golden_proofs import golden

GOLDEN = golden("post_challenges")
RANDOMNESS = bytes.fromhex(GOLDEN["randomness"])
SIZES = ("2KiB", "8MiB", "512MiB", "32GiB", "64GiB")
CASES = GOLDEN["leaf_challenges"]


def number_of(name):
    """The registered number of a name of rust-filecoin-proofs-api, whose Window V1_2 is V1_1 in Go."""
    generation = 0 if "Winning" in name else 2 if name.endswith("V1_2") else 1
    (size,) = (
        at
        for at, size in enumerate(SIZES)
        if f"n{size}V" in name or f"g{size}V" in name or f"w{size}V" in name
    )
    return 5 * generation + size


@pytest.mark.parametrize("case", CASES, ids=[f"{case['proof']}-{len(case['challenges'])}" for case in CASES])
def test_leaf_challenges_equal_the_golden_ones(case):
    parameters = post_parameters(number_of(case["proof"]))
    drawn = [
        [number, list(sector_challenges(parameters, RANDOMNESS, sector_number=number, position=position))]
        for position, number in enumerate(case["sectors_in_order"])
    ]

    assert sorted(drawn) == case["challenges"]


def test_only_the_first_window_rule_depends_on_the_place():
    def drawn(number, position):
        return sector_challenges(post_parameters(number), RANDOMNESS, sector_number=7, position=position)

    assert drawn(5, 0) != drawn(5, 1)
    assert drawn(10, 0) == drawn(10, 1)
    assert drawn(0, 0) == drawn(0, 1)
    assert post_parameters(0).kind is PoStKind.WINNING


@pytest.mark.parametrize("case", GOLDEN["winning_sector_selection"])
def test_the_winning_sector_is_the_golden_one(case):
    prover_id = bytes.fromhex(GOLDEN["prover_id"])
    chosen = winning_sector(RANDOMNESS, prover_id, number=0, sectors=case["sector_set_len"])

    assert [chosen] == case["selected"]


def test_no_sector_wins_out_of_none():
    with pytest.raises(BadSectorSet, match="empty sector set is invalid"):
        winning_sector(RANDOMNESS, bytes(32), number=0, sectors=0)


def test_chain_randomness_becomes_a_scalar():
    assert post_randomness(b"\xff" * 32) == b"\xff" * 31 + b"\x3f"
