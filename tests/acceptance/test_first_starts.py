"""First starts that are killed half-way: the next one heals whatever lies about."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.pool import RunningPool, dice
from tests.integration.pools import crowding

pytestmark = [pytest.mark.xdist_group("pool"), pytest.mark.slow]

INSTANTS: dict[str, Callable[[Path], bool]] = {
    "the folders are made": lambda var: (var / "keys").exists(),
    "initdb has begun": lambda var: (var / "pg.new").exists(),
    "initdb has written its version": lambda var: (var / "pg.new" / "PG_VERSION").exists(),
    "the cluster is renamed": lambda var: (var / "pg").exists(),
    "postgres runs": lambda var: (var / "pg" / "postmaster.pid").exists(),
    "the signer has a folder": lambda var: any((var / "signer").glob("*")),
    "the first words about the keys": lambda var: (var / "signer.json").exists(),
    "one token is written": lambda var: (var / "tokens" / "admin").exists(),
    "operator.json is written": lambda var: (var / "operator.json").exists(),
    "a kernel is compiled": lambda var: any((var / "numba").rglob("*.nbc")),
    "three kernels are compiled": lambda var: len(list((var / "numba").rglob("*.nbc"))) > 2,
    "the chain has a file": lambda var: (var / "devnet" / "chain.sqlite").exists(),
    "the chain has a log": lambda var: (var / "devnet" / "chain.sqlite-wal").exists(),
}
"""PoolPaths of the way, and how each shows on disk."""

ALWAYS_MET = {
    "initdb has begun",
    "the cluster is renamed",
    "one token is written",
    "operator.json is written",
}
"""PoolPaths that no start reaches before it is killed at the one before."""

RANDOM_KILLS = 5


@pytest.fixture
def pool() -> Iterator[RunningPool]:
    """A pool that was never started, without a compiled kernel."""
    with ExitStack() as ends:
        pool = RunningPool(has_kernels=False)
        ends.push(pool.__exit__)
        yield pool


def after(seconds: float) -> Callable[[Path], bool]:
    """Wait for nothing but the time."""
    until = time.monotonic() + seconds
    return lambda _var: time.monotonic() > until


def killed_when(pool: RunningPool, is_there: Callable[[Path], bool]) -> float:
    """Start it and kill the supervisor, and with it all others, the moment something is there."""
    began = time.monotonic()
    pool.begin()
    assert pool.supervisor is not None
    while not is_there(pool.var):
        assert pool.supervisor.poll() is None, pool.words()
        assert time.monotonic() - began < 300 * crowding(), pool.diagnosis()
        time.sleep(0.001)
    pool.supervisor.send_signal(signal.SIGKILL)
    pool.supervisor.wait(60)
    return time.monotonic() - began


def test_first_start_killed_at_any_step_completes_on_restart(
    pool: RunningPool,
) -> None:
    killed_at = set()
    for name, is_there in INSTANTS.items():
        if is_there(pool.var):
            print(f"passed by the start before: {name}")
            continue
        took_s = killed_when(pool, is_there)
        killed_at.add(name)
        print(f"killed after {took_s:.2f} s: {name}")
    assert killed_at >= ALWAYS_MET
    chance = dice()
    for _ in range(RANDOM_KILLS):
        took_s = killed_when(pool, after(chance.uniform(0.0, 8.0) * crowding()))
        print(f"killed after {took_s:.2f} s")

    page_s = pool.start()
    miner = pool.wait_miner()
    pool.wait_all_up()

    print(f"a page after {page_s:.1f} s")
    assert not (pool.var / "pg.new").exists()
    assert pool.rows_of("select count(*) from users_user") == [(1,)]
    assert pool.rows_of("select count(*) from users_token where revoked_at is null") == [(4,)]
    assert f"the password {pool.operator['password']} " in pool.words()
    (uuid,) = pool.pledge(miner)
    pool.wait_state(uuid, "PROVING")
