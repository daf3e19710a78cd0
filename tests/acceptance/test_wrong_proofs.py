"""A worker that reports wrong proofs: none reaches the chain, and the sector goes on with a right one."""

from __future__ import annotations

import base64
import os
import signal
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.acceptance.chain import COMMIT_METHODS, POST_METHOD, whole_history_require
from tests.acceptance.pool import PERIOD_S, SEALED_S, RunningPool
from tests.integration.pools import wait_until

pytestmark = [pytest.mark.xdist_group("pool"), pytest.mark.slow]

WRONG: Final = base64.b64encode(b"this proves nothing" * 10).decode()


@pytest.fixture(scope="module")
def pool() -> Iterator[RunningPool]:
    """One pool for both proofs."""
    with RunningPool() as pool:
        pool.wait_miner()
        yield pool


def test_a_wrong_commit_proof_is_kept_from_the_chain_and_made_again(pool: RunningPool) -> None:
    miner = pool.wait_miner()
    [uuid] = pool.pledge(miner)
    number = int(pool.sector(uuid)["number"])
    pool.wait_state(uuid, "PRECOMMIT_LANDED", "SEED_ASSIGNED", "C1_DONE")
    sealer = pool.send("sealer", signal.SIGSTOP)
    try:
        take_over(pool, uuid)
        wait_until(
            lambda: "would refuse the commit" in pool.sector(uuid)["error"],
            within_s=60,
            what=lambda: f"{pool.sector(uuid)}\n{pool.diagnosis()}",
        )
    finally:
        os.kill(sealer, signal.SIGCONT)
    print(pool.sector(uuid)["error"])

    assert [row for row in pool.chain.executed() if number in row.numbers(COMMIT_METHODS)] == []
    assert pool.ask("POST", f"/api/v1/sectors/{uuid}/pause").status_code == 200
    again = pool.ask("POST", f"/api/v1/sectors/{uuid}/retry", json={"state": "SEED_ASSIGNED"})
    assert again.status_code == 200, again.text
    numbers = set(range(number + 1))
    pool.wait_active(miner, numbers, within_s=SEALED_S + 2 * PERIOD_S)
    whole_history_require(pool.chain, miner=miner, numbers=numbers)


def take_over(pool: RunningPool, uuid: str) -> None:
    """Register as the sealer that stands still, do its C1 and C2 as a liar does: in no time."""
    uid = (pool.var / "sealer" / "uid").read_text().strip()
    worker = register(pool, "sealer", uid=uid, kind="seal", slots={"C1": 1, "C2": 1})
    jobs: list[dict[str, Any]] = []

    def claimed() -> bool:
        jobs.extend(claim(pool, "sealer", worker, kind="seal", stages={"C1": 1, "C2": 1}))
        return bool(jobs)

    wait_until(claimed, within_s=60, what=pool.diagnosis)
    [job] = jobs
    seq, state = int(job["seq"]), str(job["seal"]["state"])
    for before, event, outputs in (("SEED_ASSIGNED", "C1", {}), ("C1_DONE", "C2", {"proof": WRONG})):
        if state != before:
            continue
        seq += 1
        report = {"v": 1, "token": job["token"], "seq": seq, "state": state, "event": event}
        answer = told(pool, "sealer", f"/api/v1/jobs/{job['id']}/event", {**report, "outputs": outputs})
        assert answer.status_code == 200, answer.text
        state = answer.json()["state"]
    assert state == "C2_DONE"


def test_a_wrong_window_proof_is_noticed_before_it_is_sent(pool: RunningPool) -> None:
    miner = pool.wait_miner()
    numbers = pool.chain.sectors(miner)
    if not numbers:
        pool.pledge(miner)
        numbers = {0}
    pool.wait_active(miner, numbers, within_s=SEALED_S + 2 * PERIOD_S)
    jobs: list[dict[str, Any]] = []
    prover = pool.send("prover", signal.SIGSTOP)
    try:
        worker = register(pool, "prover", uid="a liar", kind="window_post", slots={"window_post": 1})

        def claimed() -> bool:
            jobs.extend(claim(pool, "prover", worker, kind="window_post", stages={}))
            return bool(jobs)

        wait_until(claimed, within_s=2 * PERIOD_S, what=pool.diagnosis)
        done = {"v": 1, "token": jobs[0]["token"], "proof": WRONG}
        assert told(pool, "prover", f"/api/v1/jobs/{jobs[0]['id']}/complete", done).status_code == 204
    finally:
        os.kill(prover, signal.SIGCONT)

    log = pool.var / "log" / "tasks-slow.log"
    wait_until(lambda: '"bad_proof"' in log.read_text(), within_s=30, what=pool.diagnosis)
    height = pool.chain.height()
    wait_until(
        lambda: pool.chain.height() > height + PERIOD_S, within_s=2 * PERIOD_S, what="another whole period"
    )
    pool.wait_active(miner, numbers, within_s=2 * PERIOD_S)
    proofs = [row for row in pool.chain.executed() if row.method == POST_METHOD and row.to == miner]
    assert {row.exit_code for row in proofs} == {0}


def told(pool: RunningPool, part: str, path: str, body: dict[str, Any]) -> Any:
    """Say something with the token of a part of the pool."""
    token = (pool.var / "tokens" / part).read_text().strip()
    return pool.ask("POST", path, token=token, json=body)


def register(pool: RunningPool, part: str, *, uid: str, kind: str, slots: dict[str, int]) -> str:
    """Register a start of a worker; gives its id."""
    body = {"v": 1, "uid": uid, "boot_id": "liar", "name": "liar", "host": "h", "version": "1"}
    answer = told(pool, part, "/api/v1/workers/register", {**body, "kinds": [kind], "slots": slots})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["worker_id"])


def claim(
    pool: RunningPool, part: str, worker: str, *, kind: str, stages: dict[str, int]
) -> list[dict[str, Any]]:
    """What a worker gets."""
    body = {"v": 1, "worker_id": worker, "boot_id": "liar", "kinds": [kind], "stages": stages, "max": 1}
    answer = told(pool, part, "/api/v1/jobs:claim", body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["jobs"]
    return found
