"""Kill -9 of every process, each in a pool of its own, at random instants of its sector's whole way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.chain import POST_METHOD, whole_history_require
from tests.acceptance.kill_points import BACK_S, SUPERVISOR, WHOLE_WAY, survive
from tests.acceptance.pool import PERIOD_S, SEALED_S, RunningPool, dice
from tests.integration.pools import wait_until

pytestmark = [pytest.mark.xdist_group("pool"), pytest.mark.slow]

PROCESSES = [
    "web-1",
    "follower",
    "blocks",
    "tasks",
    "tasks-slow",
    "signer",
    "sealer",
    "sealer-celery",
    "sealer-broker",
    "sealer-kernels",
    "prover",
    "prover-kernels",
    "postgres",
    "redis",
    "devnet",
    SUPERVISOR,
]

LANDING_EPOCHS: Final = 3
"""A proof that is ready so long before the window's end must be landed in it."""

TRIES: Final = 4
"""On a machine with more work than cores a process may be back too late; the sector recovers, as it must."""


@pytest.fixture(scope="module")
def proving_pool() -> Iterator[RunningPool]:
    """A pool with one active sector; its tests kill and add nothing."""
    with RunningPool() as pool:
        miner = pool.wait_miner()
        pool.pledge(miner)
        pool.wait_active(miner, {0}, within_s=SEALED_S + 2 * PERIOD_S)
        yield pool


def test_the_list_names_every_process_that_stays() -> None:
    with RunningPool() as pool:
        pool.wait_all_up()
        staying = {name for name, row in pool.rows().items() if not row["once"]}

    assert staying - {"web-2"} <= set(PROCESSES)


def test_the_legs_of_a_sectors_way_begin_one_after_the_other() -> None:
    lengths = [len(leg.here_or_later) for leg in WHOLE_WAY]

    assert lengths == sorted(set(lengths), reverse=True)


@pytest.mark.parametrize("name", PROCESSES)
def test_a_killed_process_costs_no_sector_no_nonce_and_no_second_message(name: str) -> None:
    with RunningPool() as pool:
        survive(pool, name, dice())


@pytest.mark.parametrize("name", ["prover", "prover-kernels"])
def test_prover_killed_while_proving_still_meets_its_window(proving_pool: RunningPool, name: str) -> None:
    pool, miner = proving_pool, proving_pool.wait_miner()
    for _ in range(TRIES):
        pool.wait_active(miner, {0}, within_s=3 * PERIOD_S)
        begin, end = killed_inside_a_window(pool, name)
        again_s, height = proved_again(pool, begin)
        print(f"{name} killed in the window {begin} to {end}, proved {again_s:.2f} s later, at {height}")
        wait_until(lambda end=end: pool.chain.height() > end + 2, within_s=BACK_S, what=pool.diagnosis)
        if height <= end - LANDING_EPOCHS:
            break
    else:
        pytest.fail("no proof was ready in time again")

    executed = whole_history_require(pool.chain, miner=miner, numbers={0})
    proofs = [row for row in executed if row.to == miner and row.method == POST_METHOD]
    # a receipt stands one tipset after its message, and a null round may lie between
    in_time = [row for row in proofs if begin < row.height <= end + 2]
    print(f"the window's proof was executed before epoch {[row.height for row in in_time]}")
    assert [row.exit_code for row in in_time] == [0], proofs
    assert pool.chain.faulty(miner) == set()


def proved_again(pool: RunningPool, begin: int) -> tuple[float, int]:
    """Seconds until the window's proof is made, or given up with its end; and the epoch."""
    state = "select 1 from proving_windowpost where open_epoch = %s and state <> 'PROVING'"
    took_s = wait_until(lambda: pool.rows_of(state, begin), within_s=BACK_S, what=pool.diagnosis)
    return took_s, pool.chain.height()


def killed_inside_a_window(pool: RunningPool, name: str) -> tuple[int, int]:
    """Kill while a proof is computed and its window is open; gives the window's first and last epoch.

    The kernel child is held still from before, so that the proof cannot be ready too early.
    """
    open_proof = """
        select p.open_epoch, p.close_epoch from proving_windowpost p
            join proving_proofattempt a on a.post_id = p.id join sectors_job j on j.id = a.job_id
        where p.state = 'PROVING' and a.state = 'RUNNING' and j.state = 'LEASED' and p.open_epoch > %s
    """
    [(last,)] = pool.rows_of("select coalesce(max(open_epoch), 0) from proving_windowpost")
    wait_until(lambda: pool.has("prover-kernels"), within_s=BACK_S, what=pool.diagnosis)
    with pool.frozen("prover-kernels") as kernels:
        wait_until(lambda: pool.rows_of(open_proof, last), within_s=2 * PERIOD_S, what=pool.diagnosis)
        [(begin, end)] = pool.rows_of(open_proof, last)
        wait_until(lambda: pool.chain.height() >= begin, within_s=20, what=pool.diagnosis)
        pool.kill(name)
        wait_until(lambda: not Path(f"/proc/{kernels}").exists(), within_s=10, what="the kernel child's end")
    return int(begin), int(end)
