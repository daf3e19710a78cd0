"""Elections: expected wins, who may mine, what VRF proofs must be."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest

from poolsite.filecoin.address import id_address
from poolsite.filecoin.election import (
    BLOCKS_PER_EPOCH,
    MAX_WIN_COUNT,
    BadElection,
    Eligibility,
    election_randomness,
    exp_negative,
    is_eligible,
    ticket_randomness,
    tipset_weight,
    vrf_verify,
    win_count,
    winning_post_randomness,
)
from poolsite.filecoin.keys import key_address, key_generate, key_sign
from poolsite.filecoin.randomness import Tag, draw_randomness, miner_entropy

MINER = id_address(1000)
GOOD = Eligibility(
    power_at_lookback=4096,
    miners_above_minimum=4,
    quality_power=4096,
    fee_debt=0,
    consensus_fault_elapsed=-1,
    height=100,
)


def _proofs(count: int) -> list[bytes]:
    return [hashlib.sha256(bytes((n & 255, n >> 8))).digest() for n in range(count)]


def test_wins_follow_the_share_of_power() -> None:
    wins = [sum(win_count(proof, share, 100) for proof in _proofs(400)) / 400 for share in (100, 20, 1)]

    assert wins[0] == pytest.approx(BLOCKS_PER_EPOCH, rel=0.1)
    assert wins[1] == pytest.approx(1, rel=0.2)
    assert wins[2] == pytest.approx(0.05, abs=0.04)


def test_no_power_never_wins_and_luck_is_bounded() -> None:
    assert all(win_count(proof, 0, 100) == 0 for proof in _proofs(50))
    assert max(win_count(proof, 100, 100) for proof in _proofs(400)) <= MAX_WIN_COUNT


def test_the_exponential_starts_at_one_and_falls() -> None:
    one = 1 << 256
    values = [exp_negative(one * n // 4) for n in range(20)]

    assert values[0] == one
    assert values == sorted(values, reverse=True)
    assert values[4] / one == pytest.approx(0.36787944117144233)


def test_a_good_miner_may_mine() -> None:
    assert is_eligible(GOOD, consensus_minimum=2048, minimum_miners=4)


@pytest.mark.parametrize(
    "change",
    [
        {"power_at_lookback": 2047},
        {"power_at_lookback": 0, "miners_above_minimum": 0},
        {"quality_power": 0},
        {"fee_debt": 1},
        {"consensus_fault_elapsed": 100},
    ],
)
def test_who_may_not_mine(change: dict[str, int]) -> None:
    facts = dataclasses.replace(GOOD, **change)

    assert not is_eligible(facts, consensus_minimum=2048, minimum_miners=4)


def test_in_a_small_network_any_power_may_mine() -> None:
    facts = dataclasses.replace(GOOD, power_at_lookback=1, miners_above_minimum=3)

    assert is_eligible(facts, consensus_minimum=2048, minimum_miners=4)


def test_an_elapsed_fault_does_not_bar() -> None:
    facts = dataclasses.replace(GOOD, consensus_fault_elapsed=99)

    assert is_eligible(facts, consensus_minimum=2048, minimum_miners=4)


def test_vrf_proofs_are_bls_signatures_of_the_worker() -> None:
    worker, other = key_generate("bls"), key_generate("secp256k1")
    drawn = election_randomness(b"beacon", 5, MINER)
    proof = key_sign(worker, drawn).data

    vrf_verify(key_address(worker), drawn, proof)
    with pytest.raises(BadElection, match="vrf was invalid"):
        vrf_verify(key_address(worker), election_randomness(b"beacon", 6, MINER), proof)
    with pytest.raises(BadElection, match="vrf was invalid"):
        vrf_verify(key_address(worker), drawn, b"")
    with pytest.raises(BadElection, match="miner worker address was not a BLS key"):
        vrf_verify(key_address(other), drawn, proof)


def test_each_purpose_draws_its_own_randomness() -> None:
    entropy = miner_entropy(MINER)
    assert entropy.hex() == "4300e807"
    assert ticket_randomness(b"b", 8, miner=MINER, parent_ticket=b"t") == draw_randomness(
        b"b", Tag.TICKET_PRODUCTION, 7, entropy + b"t"
    )
    assert len({draw_randomness(b"b", tag, 8, entropy) for tag in Tag}) == len(Tag) == 9
    assert winning_post_randomness(b"b", 8, MINER) != election_randomness(b"b", 8, MINER)


def test_weight_grows_with_power_and_wins() -> None:
    light = tipset_weight(0, total_power=1 << 40, win_counts=[1])

    assert light == (40 << 8) + (40 << 8) // 10
    assert tipset_weight(7, total_power=1 << 40, win_counts=[1, 2]) > light
    with pytest.raises(BadElection, match="all power in the net is gone"):
        tipset_weight(0, total_power=0, win_counts=[1])
