"""Roles among real machines: provers under host names of their own, one killed, one failed over, one back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.chain import POST_METHOD
from tests.acceptance.messager import token_for
from tests.acceptance.pool import PERIOD_S, SEALED_S, RunningPool
from tests.acceptance.roles import Machine
from tests.integration.pools import wait_until

pytestmark = [pytest.mark.xdist_group("pool"), pytest.mark.slow]

LEASE_S: Final = 30
HEARTBEAT_S: Final = 10


@contextlib.contextmanager
def machines(pool: RunningPool, token: Path, *names: str) -> Iterator[list[Machine]]:
    """Machines that run; none is left."""
    made = [Machine(pool, name, token) for name in names]
    try:
        for machine in made:
            machine.start()
        yield made
    finally:
        for machine in made:
            machine.kill()


def role(pool: RunningPool, miner: str, host: str) -> dict[str, Any]:
    """One host's role for windows; empty while it has none."""
    rows = pool.read(f"/api/v1/miners/{miner}/roles")["results"]
    return next((row for row in rows if row["host"] == host), {})


def holds(pool: RunningPool, miner: str, host: str) -> bool:
    """Whether a host holds it, alone."""
    rows = pool.read(f"/api/v1/miners/{miner}/roles")["results"]
    return [row["host"] for row in rows if row["state"] == "HELD"] == [host]


def act(pool: RunningPool, miner: str, what: str, **body: Any) -> Any:
    """Do something with roles."""
    return pool.ask("POST", f"/api/v1/miners/{miner}/roles{what}", json=body)


def landed(pool: RunningPool, *, since: int) -> dict[int, tuple[str, int]]:
    """Of the windows that opened since and whose proof landed: by which worker, and by how many messages."""
    sql = (
        "select post.open_epoch, attempt.host, post.messages_sent from proving_windowpost post"
        " join proving_proofattempt attempt on attempt.post_id = post.id and attempt.state = 'USED'"
        " where post.landed_height is not null and post.open_epoch >= %s order by post.open_epoch"
    )
    return {int(epoch): (str(host), int(sent)) for epoch, host, sent in pool.rows_of(sql, since)}


def wait_proof(pool: RunningPool, machine: Machine, *, since: int) -> None:
    """Wait until a proof of this machine landed for a window that opened since."""
    wait_until(
        lambda: f"prover-{machine.name}" in {host for host, _ in landed(pool, since=since).values()},
        within_s=2 * PERIOD_S,
        what=lambda: f"a proof of {machine.name}: {landed(pool, since=0)}\n{pool.diagnosis()}",
    )


def test_the_window_role_moves_between_machines_and_each_window_lands_once(
    shared_pool: RunningPool, tmp_path: Path
) -> None:
    pool = shared_pool
    miner = pool.wait_miner()
    if not pool.chain.active(miner):
        pool.wait_state(pool.pledge(miner)[0], "PROVING", within_s=SEALED_S)
        pool.wait_active(miner, {0}, within_s=2 * PERIOD_S)
    token = tmp_path / "token"
    token.write_text(token_for(pool, "pool", perm="write", scopes=["prover"]))
    with machines(pool, token, "rack-a", "rack-b") as (first, second):
        for machine in (first, second):
            assert act(pool, miner, "", host=machine.name, kind="window").status_code == 201
        wait_until(
            lambda: all(role(pool, miner, name).get("is_heard") for name in ("rack-a", "rack-b")),
            within_s=60,
            what=lambda: str(pool.read(f"/api/v1/miners/{miner}/roles")),
        )
        if holds(pool, miner, "rack-b"):
            first, second = second, first
        assert holds(pool, miner, first.name)
        begun = pool.chain.height()
        wait_proof(pool, first, since=begun)  # so that the next window is most of a period away
        old = role(pool, miner, first.name)["token"]

        first.kill()
        took_s = wait_until(
            lambda: holds(pool, miner, second.name),
            within_s=LEASE_S + 2 * HEARTBEAT_S,
            what=lambda: str(pool.read(f"/api/v1/miners/{miner}/roles")),
        )
        print(f"{second.name} took over {took_s:.1f} s after {first.name} was killed")
        taken = pool.chain.height()
        first.start()
        wait_until(
            lambda: role(pool, miner, first.name)["is_heard"], within_s=60, what="who was killed is back"
        )
        assert holds(pool, miner, second.name), "who comes back stands by"
        fenced = act(pool, miner, ":renew", host=first.name, kind="window", token=old)
        assert fenced.status_code == 409, fenced.text
        assert f"{second.name} holds window since" in fenced.text
        wait_proof(pool, second, since=taken - PERIOD_S // 2)

        assert act(pool, miner, ":fail-over", kind="window").status_code == 200
        assert holds(pool, miner, first.name)
        assert role(pool, miner, first.name)["token"] > old
        proofs = landed(pool, since=begun)
        posts = [row for row in pool.chain.executed() if row.to == miner and row.method == POST_METHOD]
        for name in ("rack-a", "rack-b"):
            assert act(pool, miner, ":remove", host=name, kind="window").status_code == 200

    assert {sent for _, sent in proofs.values()} == {1}
    codes = {row.exit_code for row in posts if row.height > begun}
    assert codes == {0}, "the chain refuses a second proof of a window"
