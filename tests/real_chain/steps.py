"""What every test of sectors on a real chain does first, and how it reads what became of it."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

import pytest

from poolsite.filecoin.actors.decode import params_encode
from tests.acceptance.chain import COMMIT_METHODS, POST_METHOD, PRECOMMIT_METHODS, NodeRefused
from tests.acceptance.pool import RunningPool
from tests.integration.pools import SITE, wait_until
from tests.real_chain.node import STEP_S, Hurry, RealNode

SECTOR_BYTES: Final = 2 << 10
DISPUTE_METHOD: Final = 24
TERMINATIONS: Final = """
[[rule]]
name = "terminations of {miner}"
methods = ["miner.TerminateSectors"]
to = ["{miner}"]
fee_max = "1 FIL"
"""


def pool_on(chain: str, **env: Any) -> RunningPool:
    """Return a pool with an empty var, not yet started, that makes Groth16 proofs alone on a node's chain."""
    pool = RunningPool(CHAIN_URLS=chain, POOLSITE_SNARK="groth16", POOLSITE_SECTOR_SIZE="2KiB", **env)
    converted = SITE / "var" / "parameters-converted"
    converted.mkdir(parents=True, exist_ok=True)  # minutes of work that a second run need not do
    (pool.var / converted.name).symlink_to(converted)
    return pool


def miner_make(pool: RunningPool, keys: dict[str, str], name: str) -> str:
    """Have the real power actor make a miner that the signer may work for; return its address."""
    wish = {"name": name, "owner": keys["owner"], "worker": keys["worker"], "sector_size": SECTOR_BYTES}
    answer: Any = None

    def is_asked() -> bool:
        nonlocal answer
        answer = pool.ask("POST", "/api/v1/miners", json=wish)
        return bool(answer.status_code == 201)

    def address() -> str:
        """Return the miner's address once it is made; empty before."""
        row = pool.read(f"/api/v1/miners/{answer.json()['uuid']}")
        return str(row["address"]) if row["state"] == "ACTIVE" else ""

    wait_until(is_asked, within_s=STEP_S, what=lambda: f"{answer.text}\n{pool.diagnosis()}")
    wait_until(address, within_s=STEP_S, what=pool.diagnosis)
    policy_change(pool, "--miner", address())
    return address()


def policy_change(pool: RunningPool, *words: str) -> None:
    """Change the signer's policy as its owner does."""
    verb = ["signer", "policy", "--dir", str(pool.var / "signer"), "--by", "test", *words]
    subprocess.run([sys.executable, "-m", "workers", *verb], cwd=SITE, env=pool.env, check=True)


def rule_allow(pool: RunningPool, text: str) -> None:
    """Add a rule to the signer's policy, as its owner does."""
    candidate = pool.var / "candidate.toml"
    candidate.write_text((pool.var / "signer" / "policy.toml").read_text() + text)
    policy_change(pool, "--take", str(candidate))
    time.sleep(1)  # the signer reads the file again when it changes


def sent(node: RealNode, to: str, **fields: Any) -> dict[str, Any]:
    """Send from a key of the node's wallet; return the receipt of what must succeed."""
    cid = node.send(to, **(fields | {"params": base64.b64encode(fields.get("params", b"")).decode()}))
    wait_until(lambda: node.receipt(cid), within_s=STEP_S, what=f"{fields} to {to}")
    receipt = node.receipt(cid)
    assert receipt["ExitCode"] == 0, (to, fields, receipt)
    return receipt


@dataclass(frozen=True, slots=True)
class Proven:
    """A sector that the chain counts."""

    uuid: str
    number: int
    deadline: int
    partition: int
    commit: dict[str, Any]
    """The message that committed it."""


def sector_prove(pool: RunningPool, node: RealNode, miner: str, *, beside: int | None = None) -> Proven:
    """Have a sector pledged, sealed, committed, and proven in its first window, as those of `beside` are."""
    [uuid] = pool.pledge(miner)
    pool.wait_state(uuid, "PROVING", within_s=STEP_S)
    landed(pool, min(PRECOMMIT_METHODS), miner)
    commit = landed(pool, min(COMMIT_METHODS), miner)
    return sector_first_window(pool, node, miner, uuid, commit=commit, beside=beside)


def sector_first_window(
    pool: RunningPool,
    node: RealNode,
    miner: str,
    uuid: str,
    *,
    commit: dict[str, Any],
    beside: int | None = None,
) -> Proven:
    """Have the first window of a committed sector proven, and those of the deadline `beside`."""
    number = int(pool.sector(uuid)["number"])
    deadline, partition = node.place_of(miner, number)
    with Hurry(node, miner, deadline, *([] if beside is None else [beside])):
        pool.wait_active(miner, {number}, within_s=STEP_S)
        landed(pool, POST_METHOD, miner)
    return Proven(uuid, number, deadline, partition, commit)


def messages(pool: RunningPool, method: int, miner: str) -> list[dict[str, Any]]:
    """Return the messages of a method to a miner that have landed, the newest first."""
    rows = pool.read("/api/v1/messages?state=LANDED&limit=500")["results"]
    return [row for row in rows if row["method"] == method and row["to"] == miner]


def landed(pool: RunningPool, method: int, miner: str) -> dict[str, Any]:
    """Return the newest message of a method to a miner, which succeeded, once the pool knows it."""
    wait_until(lambda: messages(pool, method, miner), within_s=STEP_S, what=pool.diagnosis)
    message: dict[str, Any] = pool.read(f"/api/v1/messages/{messages(pool, method, miner)[0]['id']}")
    assert message["receipt"]["exit_code"] == 0
    return message


def dispute_fails(node: RealNode, miner: str, deadline: int, partition: int) -> None:
    """Have the actor check a WindowPoSt that it took unchecked: who disputes a good one is refused."""
    params = params_encode("miner", DISPUTE_METHOD, {"Deadline": deadline, "PoStIndex": partition})
    with pytest.raises(NodeRefused, match="failed to dispute valid post"):
        node.send(miner, method=DISPUTE_METHOD, params=base64.b64encode(params).decode())


def change_wait(pool: RunningPool, path: str, wish: dict[str, Any], state: str) -> dict[str, Any]:
    """Ask for a change of a sector; return its message once it is in this state."""
    answer = pool.ask("POST", path, json=wish)
    assert answer.status_code == 201, answer.text
    [asked] = answer.json()["changes"]

    def row() -> dict[str, Any]:
        found: dict[str, Any] = pool.read(f"/api/v1/sector-changes/{asked['uuid']}")
        return found

    wait_until(lambda: row()["state"] == state, within_s=STEP_S, what=lambda: f"{row()}\n{pool.diagnosis()}")
    message: dict[str, Any] = pool.read(f"/api/v1/messages/{row()['message']}")
    assert message["receipt"]["exit_code"] == 0
    return message
