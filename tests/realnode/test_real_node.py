"""One sector on a chain with real actors: sealed, proven, lost and recovered, by Groth16 proofs of ours.

The node must verify (no mocked proofs) with the keys of FIL_PROOFS_PARAMETER_CACHE, which is the pool's
folder too; see docs/real-chain.md.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

from poolsite.filecoin.actors.decode import params_encode
from poolsite.filecoin.groth16.keys import FOLDER_VARIABLE
from tests.acceptance.chain import COMMIT_METHODS, POST_METHOD, PRECOMMIT_METHODS, NodeRefused
from tests.acceptance.pool import RunningPool
from tests.integration.pools import SITE, wait_until
from tests.realnode.node import SLOW_MS, Hurry, RealNode

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("realnode")]

FUNDS_FIL: Final = 1_000
SECTOR_BYTES: Final = 2 << 10
SEAL_VERIFICATION_GAS: Final = 42_000_000
POST_VERIFICATION_GAS: Final = 117_680_921
"""What the network charges for checking one proof: a message that used more was not taken unchecked."""
DISPUTE_METHOD: Final = 24
STEP_S: Final = 900
"""Patience for one step on a chain whose epochs take a second."""


@pytest.fixture(scope="module")
def node() -> RealNode:
    return RealNode()


@pytest.fixture(scope="module")
def pool(node: RealNode) -> Iterator[RunningPool]:
    """A pool that makes Groth16 proofs alone, on the real node's chain."""
    assert os.environ.get(FOLDER_VARIABLE), (
        f"{FOLDER_VARIABLE} must name the folder whose keys the node reads"
    )
    running = RunningPool(CHAIN_URLS=node.text, POOLSITE_SNARK="groth16", POOLSITE_SECTOR_SIZE="2KiB")
    converted = SITE / "var" / "parameters-converted"
    converted.mkdir(parents=True, exist_ok=True)  # minutes of work that a second run need not do
    (running.var / converted.name).symlink_to(converted)
    running.chain = node
    with running:
        node.pace(SLOW_MS)
        yield running


@pytest.fixture(scope="module")
def miner(pool: RunningPool, node: RealNode) -> str:
    """A miner that the real power actor has made, and the signer may work for."""
    wait_until((pool.var / "signer.json").exists, within_s=STEP_S, what=pool.diagnosis)
    keys = json.loads((pool.var / "signer.json").read_text())
    for address in dict.fromkeys(keys.values()):
        paid = node.send(address, fil=FUNDS_FIL)
        wait_until(lambda paid=paid: node.receipt(paid), within_s=STEP_S, what=f"FIL for {address}")
    wish = {"name": "real", "owner": keys["owner"], "worker": keys["worker"], "sector_size": SECTOR_BYTES}
    answer: Any = None

    def is_asked() -> bool:
        nonlocal answer
        answer = pool.ask("POST", "/api/v1/miners", json=wish)
        return bool(answer.status_code == 201)

    wait_until(is_asked, within_s=STEP_S, what=lambda: f"{answer.text}\n{pool.diagnosis()}")
    address = pool.wait_miner()
    verb = ["signer", "policy", "--dir", str(pool.var / "signer"), "--by", "test", "--miner", address]
    subprocess.run([sys.executable, "-m", "workers", *verb], cwd=SITE, env=pool.env, check=True)
    return address


def test_a_real_chain_takes_what_the_pool_proves(pool: RunningPool, node: RealNode, miner: str) -> None:
    [uuid] = pool.pledge(miner)
    pool.wait_state(uuid, "PROVING", within_s=STEP_S)
    number = int(pool.sector(uuid)["number"])
    landed(pool, min(PRECOMMIT_METHODS))
    commit = landed(pool, min(COMMIT_METHODS))
    assert commit["receipt"]["gas_used"] > SEAL_VERIFICATION_GAS

    deadline, partition = node.place_of(miner, number)
    with Hurry(node, miner, deadline):
        pool.wait_active(miner, {number}, within_s=STEP_S)
        landed(pool, POST_METHOD)
        wait_until(
            lambda: int(node.deadline(miner)["Index"]) != deadline, within_s=STEP_S, what="the window's close"
        )
        dispute_fails(node, miner, deadline, partition)

        [sealed] = (pool.var / "store" / "sealed").iterdir()
        hidden = sealed.rename(pool.var / sealed.name)
        wait_until(lambda: node.faulty(miner) == {number}, within_s=STEP_S, what=pool.diagnosis)
        hidden.rename(sealed)
        wait_until(lambda: node.is_recovering(miner), within_s=STEP_S, what=pool.diagnosis)
        pool.wait_active(miner, {number}, within_s=STEP_S)
    recovery = landed(pool, POST_METHOD)
    assert recovery["receipt"]["gas_used"] > POST_VERIFICATION_GAS


def landed(pool: RunningPool, method: int) -> dict[str, Any]:
    """The newest message of a method, which succeeded."""
    everything = pool.read("/api/v1/messages?state=LANDED")["results"]
    rows = [row for row in everything if row["method"] == method]
    assert rows, f"no message of method {method} has landed"
    message: dict[str, Any] = pool.read(f"/api/v1/messages/{rows[0]['id']}")
    assert message["receipt"]["exit_code"] == 0
    return message


def dispute_fails(node: RealNode, miner: str, deadline: int, partition: int) -> None:
    """Have the actor check a WindowPoSt that it took unchecked: who disputes a good one is refused."""
    params = params_encode("miner", DISPUTE_METHOD, {"Deadline": deadline, "PoStIndex": partition})
    with pytest.raises(NodeRefused, match="failed to dispute valid post"):
        node.send(miner, method=DISPUTE_METHOD, params=base64.b64encode(params).decode())
