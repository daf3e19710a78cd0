"""One sector on a chain with real actors: sealed, proven, lost and recovered, by Groth16 proofs of ours.

The node must verify (no mocked proofs) with the keys of FIL_PROOFS_PARAMETER_CACHE, which is the pool's
folder too; see docs/real-chain.md.
"""

from __future__ import annotations

import base64
from typing import Any, Final

import pytest

from poolsite.filecoin.actors.decode import params_decode, params_encode
from tests.acceptance.chain import COMMIT_METHODS, POST_METHOD
from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.real_chain.node import STEP_S, Hurry, RealNode
from tests.real_chain.steps import (
    SECTOR_BYTES,
    Proven,
    dispute_fails,
    landed,
    messages,
    miner_make,
    sector_prove,
)

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("real_chain")]

SEAL_VERIFICATION_GAS: Final = 42_000_000
POST_VERIFICATION_GAS: Final = 117_680_921
"""What the network charges for checking one proof: a message that used more was not taken unchecked."""
AGGREGATED: Final = 4
"""The fewest proofs that the network takes as one."""
COMMIT_WAIT_EPOCHS: Final = 2_000
WRONG_GAS_LIMIT: Final = 200_000_000
"""More than a commit of one sector uses."""
ILLEGAL_ARGUMENT: Final = 16
"""Exit code of an actor that was told something wrong."""


@pytest.fixture(scope="module")
def miner(pool: RunningPool, keys: dict[str, str]) -> str:
    """A miner of this file alone."""
    return miner_make(pool, keys, "real")


@pytest.fixture(scope="module")
def proven(pool: RunningPool, node: RealNode, miner: str) -> Proven:
    """A sector that the chain counts."""
    return sector_prove(pool, node, miner)


def test_the_actors_check_its_commit_and_find_its_window_good(
    proven: Proven, node: RealNode, miner: str
) -> None:
    assert proven.commit["receipt"]["gas_used"] > SEAL_VERIFICATION_GAS
    with Hurry(node, miner, proven.deadline):
        wait_until(
            lambda: int(node.deadline(miner)["Index"]) != proven.deadline,
            within_s=STEP_S,
            what="the window's close",
        )
        dispute_fails(node, miner, proven.deadline, proven.partition)


def test_balances_and_power_are_what_the_node_says(
    proven: Proven, pool: RunningPool, node: RealNode, miner: str
) -> None:
    def has_power() -> bool:
        return int(pool.read(f"/api/v1/miners/{miner}")["raw_power"]) == SECTOR_BYTES

    wait_until(has_power, within_s=STEP_S, what=pool.diagnosis)
    row = pool.read(f"/api/v1/miners/{miner}")
    key = node.call("ChainGetTipSetByHeight", row["refreshed_height"], None)["Cids"]

    state = node.call("StateReadState", miner, key)
    power = node.call("StateMinerPower", miner, key)["MinerPower"]
    counts = node.call("StateMinerSectorCount", miner, key)
    told = {
        "balance": state["Balance"],
        "available": node.call("StateMinerAvailableBalance", miner, key),
        "locked": state["State"]["LockedFunds"],
        "pledge": state["State"]["InitialPledge"],
        "deposits": state["State"]["PreCommitDeposits"],
        "fee_debt": state["State"]["FeeDebt"],
        "raw_power": power["RawBytePower"],
        "qa_power": power["QualityAdjPower"],
        "live_sectors": counts["Live"],
        "active_sectors": counts["Active"],
        "faulty_sectors": counts["Faulty"],
    }
    assert {name: row[name] for name in told} == told
    assert told["live_sectors"] == 1


def test_each_of_two_proving_periods_has_its_window_proven(
    proven: Proven, pool: RunningPool, node: RealNode, miner: str
) -> None:
    before = len(messages(pool, POST_METHOD, miner))
    with Hurry(node, miner, proven.deadline):
        wait_until(
            lambda: len(messages(pool, POST_METHOD, miner)) >= before + 2,
            within_s=2 * STEP_S,
            what=pool.diagnosis,
        )
    assert node.faulty(miner) == set()
    assert node.active(miner) == {proven.number}
    landed(pool, POST_METHOD, miner)


def test_a_window_without_a_proof_faults_it_and_a_proof_recovers_it(
    proven: Proven, pool: RunningPool, node: RealNode, miner: str
) -> None:
    number = proven.number
    with Hurry(node, miner, proven.deadline):
        sealed = pool.var / "store" / "sealed" / f"s-t{miner[1:]}-{number}"
        hidden = sealed.rename(pool.var / sealed.name)
        wait_until(lambda: node.faulty(miner) == {number}, within_s=STEP_S, what=pool.diagnosis)
        hidden.rename(sealed)
        wait_until(lambda: node.is_recovering(miner), within_s=STEP_S, what=pool.diagnosis)
        before = len(messages(pool, POST_METHOD, miner))
        pool.wait_active(miner, {number}, within_s=STEP_S)
        wait_until(
            lambda: len(messages(pool, POST_METHOD, miner)) > before, within_s=STEP_S, what=pool.diagnosis
        )
    assert landed(pool, POST_METHOD, miner)["receipt"]["gas_used"] > POST_VERIFICATION_GAS


def test_a_proof_with_a_wrong_byte_is_refused_by_the_actor(
    proven: Proven, pool: RunningPool, node: RealNode, miner: str
) -> None:
    [uuid] = pool.pledge(miner)
    pool.wait_state(uuid, "C1_DONE", within_s=STEP_S)  # the seed is known, its own proof is being made
    number = int(pool.sector(uuid)["number"])
    false = params_decode("miner", min(COMMIT_METHODS), base64.b64decode(proven.commit["params"]))
    [activation], [proof] = false["SectorActivations"], false["SectorProofs"]
    activation["SectorNumber"] = number
    wrong = bytearray(base64.b64decode(proof))
    wrong[-1] ^= 1
    false["SectorProofs"] = [base64.b64encode(wrong).decode()]
    body = {
        "id": "wrong-byte",
        "from": proven.commit["from"],
        "to": miner,
        "method": min(COMMIT_METHODS),
        "params": base64.b64encode(params_encode("miner", min(COMMIT_METHODS), false)).decode(),
        "value": "0",
    }

    answer = pool.ask("POST", "/api/v1/messages", json=body)
    assert answer.status_code == 201, answer.text
    wait_until(
        lambda: "invalid proof" in pool.read("/api/v1/messages/wrong-byte")["error"],
        within_s=STEP_S,
        what=pool.diagnosis,
    )
    refused = pool.read("/api/v1/messages/wrong-byte")
    assert refused["nonce"] is None  # it has cost nothing
    assert pool.ask("POST", "/api/v1/messages/wrong-byte/mark-bad").status_code == 200

    body |= {"id": "wrong-byte-sent", "gas_limit": WRONG_GAS_LIMIT}  # not estimated: it goes on chain
    answer = pool.ask("POST", "/api/v1/messages", json=body)
    assert answer.status_code == 201, answer.text
    wait_until(
        lambda: pool.read("/api/v1/messages/wrong-byte-sent")["state"] == "LANDED",
        within_s=STEP_S,
        what=pool.diagnosis,
    )
    assert pool.read("/api/v1/messages/wrong-byte-sent")["receipt"]["exit_code"] == ILLEGAL_ARGUMENT
    words = pool.read("/api/v1/messages/wrong-byte-sent/diagnosis")["words"]
    assert "16" in words, words
    pool.wait_state(uuid, "PROVING", within_s=STEP_S)
    assert number in node.sectors(miner)


def test_four_commits_land_with_one_aggregated_proof(pool: RunningPool, node: RealNode, miner: str) -> None:
    wish = {"commit_batch_max": AGGREGATED, "commit_wait_epochs": COMMIT_WAIT_EPOCHS}
    answer = pool.ask("PATCH", f"/api/v1/miners/{miner}/batches", json=wish)
    assert answer.status_code == 200, answer.text

    uuids = pool.pledge(miner, AGGREGATED)
    for uuid in uuids:
        pool.wait_state(uuid, "PROVING", within_s=AGGREGATED * STEP_S)

    def aggregate() -> dict[str, Any]:
        """Return the newest commit of several sectors, with its decoded parameters; empty without one."""
        for row in messages(pool, min(COMMIT_METHODS), miner):
            params = params_decode("miner", row["method"], base64.b64decode(row["params"]))
            if len(params["SectorActivations"]) == AGGREGATED:
                return row | {"decoded": params}
        return {}

    wait_until(aggregate, within_s=STEP_S, what=pool.diagnosis)
    message = aggregate()
    assert message["receipt"]["exit_code"] == 0
    assert not message["decoded"]["SectorProofs"]
    assert message["decoded"]["AggregateProof"]
    assert {int(pool.sector(uuid)["number"]) for uuid in uuids} <= node.sectors(miner)
    print(f"an aggregate of {AGGREGATED} commits used {message['receipt']['gas_used']:,} gas")
