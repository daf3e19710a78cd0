"""A running pool under kill -9, Ctrl-C and second starts; asserted from outside."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg2
import pytest

from poolsite.embedded.paths import PoolPaths
from tests.integration.pools import Pool, wait_until

pytestmark = pytest.mark.xdist_group("pool")

LEFT_OUT = "devnet,follower,signer-init,signer,bootstrap-miner,sealer,prover"

BACK_S = 8.0
"""A killed process is back within this; measured 0.1 s for servers, 1 to 2 s for Python processes."""


@pytest.fixture(scope="module")
def kept() -> Iterator[Pool]:
    """One pool for all tests of this file; some stop it.  Chain and hosts have kill tests of their own."""
    with Pool(has_tables=True, POOLSITE_DISABLE=LEFT_OUT) as pool:
        yield pool


@pytest.fixture
def pool(kept: Pool) -> Pool:
    """The pool with everything up."""
    if not kept.is_running():
        kept.start()
    wait_until(kept.all_up, within_s=60, what=lambda: f"all processes up: {kept.rows()}\n{kept.words()}")
    return kept


def processes_of(pool: Pool) -> list[str]:
    """Names of the children that stay."""
    return [name for name, row in pool.rows().items() if not row["once"]]


def test_every_killed_process_comes_back_by_itself(pool: Pool) -> None:
    for name in processes_of(pool):
        before = pool.rows()[name]
        pool.kill(name)

        def is_back(name: str = name, before: dict[str, Any] = before) -> bool:
            row = pool.rows()[name]
            return bool(row["up"] and row["pid"] != before["pid"])

        took_s = wait_until(is_back, within_s=BACK_S, what=pool.words)
        print(f"{name}: back after {took_s:.2f} s")
        assert pool.rows()[name]["restarts"] == before["restarts"] + 1
    wait_until(
        lambda: pool.get("/readyz").status_code == 200, within_s=BACK_S, what=lambda: pool.get("/readyz").text
    )


def test_a_killed_web_process_loses_no_request(pool: Pool) -> None:
    statuses: list[int] = []
    is_done = threading.Event()

    def ask() -> None:
        while not is_done.is_set():
            try:
                statuses.append(pool.get("/healthz").status_code)
            except httpx.TransportError:
                statuses.append(0)

    asking = threading.Thread(target=ask)
    asking.start()
    pid = pool.rows()["web-1"]["pid"]
    pool.kill("web-1")
    wait_until(
        lambda: pool.rows()["web-1"]["up"] and pool.rows()["web-1"]["pid"] != pid,
        within_s=BACK_S,
        what="web-1 back",
    )
    is_done.set()
    asking.join()

    # the one request that the killed process was answering may break
    print(f"{len(statuses)} requests, {statuses.count(0)} lost")
    assert statuses.count(0) <= 1
    assert set(statuses) <= {0, 200}


def test_a_database_killed_under_a_busy_query_is_back_at_once(pool: Pool) -> None:
    login: dict[str, Any] = {
        "host": str(PoolPaths(pool.var).sockets / "pg"),
        "user": "poolsite",
        "dbname": "poolsite",
    }
    link = psycopg2.connect(**login)

    def compute() -> None:
        with pytest.raises(psycopg2.OperationalError), link.cursor() as cursor:
            cursor.execute("select count(*) from generate_series(1, 1000000000)")

    busy = threading.Thread(target=compute)
    busy.start()
    time.sleep(0.2)
    pool.kill("postgres")
    busy.join(BACK_S)

    wait_until(lambda: pool.get("/readyz").json()["database"] == "ok", within_s=BACK_S, what="database back")
    link.close()


def test_while_redis_is_away_pages_answer_and_readiness_says_so(pool: Pool) -> None:
    os.kill(pool.rows()["redis"]["pid"], signal.SIGSTOP)
    try:
        answer = pool.get("/readyz", timeout_s=60)
    finally:
        os.kill(pool.rows()["redis"]["pid"], signal.SIGCONT)

    assert answer.status_code == 503
    assert answer.json()["redis"] == "away"
    wait_until(lambda: pool.get("/readyz").status_code == 200, within_s=BACK_S, what="ready again")


def test_a_second_start_beside_a_running_one_is_refused(pool: Pool) -> None:
    before = {name: row["pid"] for name, row in pool.rows().items()}

    said = pool.refused()

    assert said == f"Poolsite cannot start: a pool is already running in {pool.var}.\n"
    assert {name: row["pid"] for name, row in pool.rows().items()} == before


@pytest.mark.slow
def test_a_start_on_a_taken_port_names_it_and_makes_nothing(pool: Pool) -> None:
    other = Pool()
    other.env["PORT"] = str(pool.port)

    said = other.refused()

    assert said == f"Poolsite cannot start: port {pool.port} on 127.0.0.1 is in use by another program.\n"
    assert not other.var.exists()


@pytest.mark.slow
def test_start_with_a_taken_devnet_port_is_refused_before_listening(
    pool: Pool,
) -> None:
    other = Pool(DEVNET_LISTEN=pool.env["DEVNET_LISTEN"])

    said = other.refused()

    address = pool.env["DEVNET_LISTEN"]
    assert said == f"Poolsite cannot start: {address} is reserved by another pool: choose another address.\n"
    assert not other.var.exists()


def test_killed_supervisor_leaves_no_process_and_restarts_quickly(pool: Pool) -> None:
    assert pool.supervisor is not None

    pool.supervisor.kill()
    pool.supervisor.wait(5)
    gone_s = wait_until(pool.is_gone, within_s=5, what="everything gone")
    again_s = pool.start(within_s=20)

    print(f"gone after {gone_s:.2f} s, answering again after {again_s:.2f} s")


@pytest.mark.slow
def test_ctrl_c_closes_the_database_and_a_reused_pid_blocks_no_start(pool: Pool) -> None:
    took_s = pool.stop(within_s=15)

    assert pool.supervisor is not None
    assert pool.supervisor.returncode == 0
    assert pool.is_gone()
    assert "database system is shut down" in (pool.var / "log" / "postgres.log").read_text()
    print(f"stopped after {took_s:.2f} s")
    # our own number: a process of the account that would have to be signalled
    (pool.var / "pg" / "postmaster.pid").write_text(f"{os.getpid()}\n{pool.var / 'pg'}\n")

    pool.start(within_s=20)

    assert (pool.var / "pg" / "postmaster.pid").read_text().split()[0] != str(os.getpid())
