"""The networks' rows, and what the chain's own word changes in them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.network_params import network_from_params, network_to_params
from poolsite.filecoin.policy import (
    CALIBNET,
    DEMO,
    LOTUS_2K,
    MAINNET,
    NETWORKS,
    TEST,
    Network,
    ProofForm,
    UnknownNetwork,
    network_by_name,
)
from poolsite.filecoin.sector import RegisteredSealProof
from tests.unit.filecoin.golden.files import load

ROWS = pytest.mark.parametrize("row", NETWORKS.values(), ids=list(NETWORKS))


@ROWS
def test_a_row_is_sound(row: Network) -> None:
    times = row.proving
    assert times.period == times.deadlines * times.window
    assert times.lookback < times.window
    assert times.fault_cutoff > times.lookback
    assert row.pre_commit_challenge_delay < row.max_prove_commit_duration
    assert row.ticket_lookback < row.max_precommit_randomness_lookback
    assert row.min_sector_expiration < row.max_sector_expiration_extension
    assert row.fault_max_age == 42 * times.period
    assert row.chain_finality >= row.confidences.message
    assert network_by_name(row.name) is row


@ROWS
def test_the_network_s_parameters_read_back(row: Network) -> None:
    assert network_from_params(network_to_params(row, genesis_s=0)) == row


def test_the_figures_that_the_first_issue_asks_for() -> None:
    demo, test = DEMO.proving, TEST.proving
    assert (DEMO.epoch_s, demo.deadlines, demo.window, demo.lookback, demo.fault_cutoff) == (2, 24, 8, 4, 12)
    assert (DEMO.pre_commit_challenge_delay, DEMO.chain_finality) == (4, 60)
    assert (TEST.epoch_s, test.deadlines, test.window, test.lookback, test.fault_cutoff) == (1, 6, 10, 2, 15)
    assert (TEST.pre_commit_challenge_delay, TEST.chain_finality) == (2, 20)
    for row in (DEMO, TEST):
        assert dataclasses.astuple(row.confidences) == (0, 0, 1, 1)
        assert row.ticket_lookback == row.power_lookback == row.chain_finality
        assert row.max_precommit_randomness_lookback == 1_000
        assert row.max_prove_commit_duration == 86_400
        assert row.min_sector_expiration == 518_400


def test_local_chains_share_their_economy() -> None:
    for row in (DEMO, TEST, LOTUS_2K):
        assert row.power_estimate_floor == 1 << 40
        assert row.creation_deposit_read == 10**18
        assert row.is_devnet
        assert RegisteredSealProof.STACKED_DRG_2KIB_V1_1 in row.seal_proofs
    assert not MAINNET.is_devnet


def test_the_go_profile_has_lotus_times() -> None:
    assert LOTUS_2K.proving == MAINNET.proving
    assert LOTUS_2K.chain_finality == 900


def test_names_in_common_use() -> None:
    assert network_by_name("calibnet") is CALIBNET
    assert network_by_name("testnetnet") is MAINNET
    for name in ("butterflynet", "2k", "lotus-2k"):
        with pytest.raises(UnknownNetwork):
            network_by_name(name)


def recorded_params() -> dict[str, Any]:
    """What a real lotus devnet answered to StateGetNetworkParams."""
    answers = (
        json.loads(entry["response"])["result"]
        for entry in load("lotus/golden_rpc")
        if '"Filecoin.StateGetNetworkParams"' in entry["request"] and entry["response"].startswith("{")
    )
    found: dict[str, Any] = next(answers)
    return found


def test_a_network_without_a_row_has_what_its_node_tells() -> None:
    name = "localnet-6b0f8a1e-55c5-4f0e-9e0a-0a4f5a1b2c3d"

    row = network_from_params(recorded_params() | {"NetworkName": name, "SupportedProofTypes": [5]})

    assert (row.name, row.epoch_s, row.eth_chain_id) == (name, 4, 31415926)
    assert (row.pre_commit_challenge_delay, row.consensus_miner_min_power) == (10, 2048)
    assert (row.proving, row.chain_finality) == (MAINNET.proving, 900)
    assert row.base_fee_by_premium(0)
    assert row.proof_form == ProofForm.GROTH16
    assert not row.is_devnet


@pytest.mark.parametrize("member", ["BlockDelaySecs", "Eip155ChainID", "SupportedProofTypes"])
def test_a_network_without_a_row_is_refused_with_what_is_missing(member: str) -> None:
    value = recorded_params() | {"SupportedProofTypes": [5], member: None}

    with pytest.raises(UnknownNetwork, match=f"'testing' .* does not report {member}"):
        network_from_params(value)


def test_a_network_is_shown_by_its_own_name() -> None:
    assert network_from_params({"NetworkName": "calibnet"}).name == "calibnet"
    assert network_from_params({"NetworkName": "testnetnet"}).name == "testnetnet"


def test_our_own_chains_take_the_container_and_all_others_snarks() -> None:
    assert {row.name for row in NETWORKS.values() if row.proof_form == ProofForm.VANILLA} == {
        row.name for row in NETWORKS.values() if row.is_devnet
    }


def test_the_answer_of_a_real_node_overrides_the_row() -> None:
    recorded = next(
        json.loads(entry["response"])["result"]
        for entry in load("lotus/golden_rpc")
        if '"Filecoin.StateGetNetworkParams"' in entry["request"] and entry["response"].startswith("{")
    )
    value: dict[str, Any] = recorded | {"NetworkName": "mainnet", "SupportedProofTypes": [5, 99]}

    row = network_from_params(value)

    assert (row.epoch_s, row.consensus_miner_min_power) == (4, 2048)
    assert row.pre_commit_challenge_delay == 10
    assert row.eth_chain_id == 31415926
    assert row.seal_proofs == (RegisteredSealProof.STACKED_DRG_2KIB_V1_1,)
    assert row.proving == MAINNET.proving


@pytest.mark.parametrize(("name", "row"), [("mainnet", MAINNET), ("calibrationnet", CALIBNET)])
def test_proof_types_that_no_chain_takes_any_more_leave_the_row_its_own(name: str, row: Network) -> None:
    """venus tells V1 of the sizes of its network, and lotus nothing."""
    venus = network_from_params({"NetworkName": name, "SupportedProofTypes": [3, 4]})

    assert venus.seal_proofs == network_from_params({"NetworkName": name}).seal_proofs == row.seal_proofs


def test_a_network_without_a_row_takes_v1_1_where_venus_names_v1() -> None:
    row = network_from_params(
        recorded_params() | {"NetworkName": "localnet-a", "SupportedProofTypes": [0, 1]}
    )

    assert row.seal_proofs == (
        RegisteredSealProof.STACKED_DRG_2KIB_V1_1,
        RegisteredSealProof.STACKED_DRG_8MIB_V1_1,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"NetworkName": 5},
        {"NetworkName": None},
        {"BlockDelaySecs": 0},
        {"BlockDelaySecs": "4"},
        {"ConsensusMinerMinPower": "much"},
        {"SupportedProofTypes": "5"},
        {"WPoStPeriodDeadlines": 0},
        {"WPoStChallengeWindow": True},
    ],
)
def test_nonsense_is_refused(change: dict[str, Any]) -> None:
    value = network_to_params(DEMO, genesis_s=0) | change

    with pytest.raises(BadField):
        network_from_params(value)


def test_the_base_fee_rule_changes_at_its_epoch() -> None:
    assert not CALIBNET.base_fee_by_premium(3_694_533)
    assert CALIBNET.base_fee_by_premium(3_694_534)
    assert DEMO.base_fee_by_premium(0)
