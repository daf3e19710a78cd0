"""Kill -9 at the points between two writes that belong together, reached by holding other processes still."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from apps.messages.services.select import SENDER_LOCK
from tests.acceptance.chain import whole_history_require
from tests.acceptance.pool import PERIOD_S, SEALED_S, RunningPool
from tests.integration.pools import wait_until
from workers.agent.journal import Journal

pytestmark = [pytest.mark.xdist_group("pool"), pytest.mark.slow]

SIGNING_S: Final = 1.0
"""A sender whose lock is held so long while the signer stands still waits for its signature."""

TRIES: Final = 5
"""A point of a few milliseconds is missed now and then; the sector then goes on and another one is tried."""


@pytest.fixture(scope="module")
def pool() -> Iterator[RunningPool]:
    """One pool; each test adds sectors."""
    with RunningPool() as pool:
        pool.wait_miner()
        yield pool


def all_active_require(pool: RunningPool) -> None:
    """Require that every sector pledged so far is active and that nothing happened twice."""
    miner = pool.wait_miner()
    numbers = {int(row[0]) for row in pool.rows_of("select number from sectors_sector")}
    pool.wait_active(miner, numbers, within_s=SEALED_S + 2 * PERIOD_S)
    whole_history_require(pool.chain, miner=miner, numbers=numbers)


def one(pool: RunningPool, sql: str, *params: Any) -> tuple[Any, ...] | None:
    """The first row, if there is one."""
    rows = pool.rows_of(sql, *params)
    return rows[0] if rows else None


@contextlib.contextmanager
def message_signed_but_unknown(pool: RunningPool) -> Iterator[tuple[str, int]]:
    """Bring a pre-commit to where it has nonce and signature and no node knows it; gives its id and nonce.

    The signer is held still until the selection waits for it; then the node is held still, so that the
    signed message is stored and cannot be published.  The node goes on when the block ends.
    """
    pool.wait_all_up()
    pool.pledge(pool.wait_miner())
    with pool.frozen("signer"):
        wait_until(
            lambda: one(pool, "select 1 from messages_message where state = 'UNFILLED'"),
            within_s=SEALED_S,
            what=pool.diagnosis,
        )
        signing_wait(pool)
        node = pool.send("devnet", signal.SIGSTOP)
    try:
        filled = "select id, nonce from messages_message where state = 'FILLED' and published_at is null"
        wait_until(lambda: one(pool, filled), within_s=20, what=pool.diagnosis)
        row = one(pool, filled)
        assert row is not None
        yield str(row[0]), int(row[1])
    finally:
        os.kill(node, signal.SIGCONT)


def signing_wait(pool: RunningPool) -> None:
    """Wait until some sender's lock has been held without a break for `SIGNING_S`."""
    since = [0.0]

    def is_held() -> bool:
        sql = "select 1 from pg_locks where locktype = 'advisory' and classid = %s and granted"
        if one(pool, sql, SENDER_LOCK) is None:
            since[0] = 0.0
            return False
        since[0] = since[0] or time.monotonic()
        return time.monotonic() - since[0] >= SIGNING_S

    wait_until(is_held, within_s=60, what=pool.diagnosis)


def test_after_the_nonce_before_publishing(pool: RunningPool) -> None:
    with message_signed_but_unknown(pool) as (message, nonce):
        pool.kill("tasks")
    print(f"tasks killed: {message} has nonce {nonce} and no node knows it")

    all_active_require(pool)

    landed = one(pool, "select nonce, state from messages_message where id = %s", message)
    assert landed == (nonce, "LANDED")


def test_after_publishing_before_that_is_written(pool: RunningPool) -> None:
    with pool.database() as link, link.cursor() as cursor:
        with message_signed_but_unknown(pool) as (message, nonce):
            # whoever publishes it will wait for this row to write it down
            cursor.execute("select 1 from messages_message where id = %s for update", (message,))
        wait_until(lambda: is_in_pool(pool, nonce), within_s=30, what=pool.diagnosis)
        pool.kill("tasks")
        link.rollback()
    unknown = one(pool, "select published_at from messages_message where id = %s", message)
    print(f"tasks killed: a node has {message} with nonce {nonce}, the row says {unknown}")

    all_active_require(pool)

    landed = one(pool, "select nonce, state from messages_message where id = %s", message)
    assert landed == (nonce, "LANDED")


def is_in_pool(pool: RunningPool, nonce: int) -> bool:
    """Whether the node has a message with this nonce, waiting or executed."""
    waiting = pool.chain.call("MpoolPending", None) or []
    if nonce in {int(entry["Message"]["Nonce"]) for entry in waiting}:
        return True
    return nonce in {row.nonce for row in pool.chain.executed()}


def job_of(pool: RunningPool, uuid: str) -> str:
    """The id of a sector's job."""
    row = one(
        pool,
        "select j.uuid from sectors_job j join sectors_sector s on s.id = j.sector_id where s.uuid = %s",
        uuid,
    )
    assert row is not None
    return str(row[0])


def stage_written(folder: Path) -> str:
    """The stage that the agent has written down for a job; empty if there is none."""
    try:
        return str(json.loads((folder / "work.json").read_text())["inputs"]["stage"])
    except (OSError, ValueError):
        return ""


def is_begun(folder: Path, stage: str) -> bool:
    """Whether a host's Celery worker has begun with a stage, or is through with it."""
    if stage_written(folder) != stage:
        return False
    return has_result(folder, stage.lower()) or Journal(folder.parent.parent).is_worked_on(folder.name)


def has_result(folder: Path, stage: str) -> bool:
    """Whether a job's stage has left its result on the host."""
    return any(folder.glob(f"{stage}-*.result.json"))


def test_after_the_claim(pool: RunningPool) -> None:
    pool.wait_all_up()
    with pool.frozen("sealer-celery"):
        [uuid] = pool.pledge(pool.wait_miner())
        job = job_of(pool, uuid)
        claimed = "select lease_token from sectors_job where uuid = %s and state = 'LEASED'"
        wait_until(lambda: one(pool, claimed, job), within_s=30, what=pool.diagnosis)
        pool.kill("sealer")
    print(f"sealer killed: it holds a lease, and no stage of it has begun ({pool.sector(uuid)['state']})")

    all_active_require(pool)


def has_files(pool: RunningPool, uuid: str) -> bool:
    """Whether tree-d or a layer of a sector lies in its host's sealing folder, whole or half written."""
    number = pool.sector(uuid)["number"]
    return any((pool.var / "sealer" / "sealing").glob(f"**/s-t0*-{number}/sc-02-data-*"))


def pc1_is_on_its_way(pool: RunningPool, uuid: str, *, kernels: int) -> bool:
    """Bring the kernel child to where PC1 has files but no result, and leave it still; False if past that.

    2 KiB are labelled in less time than passes between two looks at a file: so the child is held as soon as
    its host names the stage, and let go for a thousandth of a second at a time.
    """
    folder = pool.var / "sealer" / "jobs" / job_of(pool, uuid)
    until = time.monotonic() + SEALED_S
    while stage_written(folder) != "PC1" and time.monotonic() < until:
        time.sleep(0.0005)
    os.kill(kernels, signal.SIGSTOP)
    while not has_files(pool, uuid) and not has_result(folder, "pc1") and time.monotonic() < until:
        os.kill(kernels, signal.SIGCONT)
        time.sleep(0.001)
        os.kill(kernels, signal.SIGSTOP)
    return has_files(pool, uuid) and not has_result(folder, "pc1") and stage_written(folder) == "PC1"


def test_in_the_middle_of_pc1(pool: RunningPool) -> None:
    pid = 0
    for _ in range(TRIES):
        # another than the one that the last try killed: a process that is dying still has its name
        wait_until(partial(pool.has_other, "sealer-kernels", than=pid), within_s=60, what=pool.diagnosis)
        pid = pool.pid("sealer-kernels")
        [uuid] = pool.pledge(pool.wait_miner())
        is_there = pc1_is_on_its_way(pool, uuid, kernels=pid)
        os.kill(pid, signal.SIGKILL)
        if is_there:
            print("the kernel child killed in the middle of PC1")
            break
    else:
        pytest.fail(f"PC1 was missed {TRIES} times")

    all_active_require(pool)
    failed = one(pool, "select count(*) from sectors_sector where paused_at is not null")
    assert failed == (0,)


def test_after_pc2_before_its_report(pool: RunningPool) -> None:
    for _ in range(TRIES):
        pool.wait_all_up()
        [uuid] = pool.pledge(pool.wait_miner())
        folder = pool.var / "sealer" / "jobs" / job_of(pool, uuid)
        until = time.monotonic() + SEALED_S
        while not is_begun(folder, "PC2") and time.monotonic() < until:
            time.sleep(0.001)
        with pool.frozen("sealer"):
            wait_until(partial(has_result, folder, "pc2"), within_s=30, what=pool.diagnosis)
            row = one(pool, "select state from sectors_sector where uuid = %s", uuid)
            if row == ("PC1_DONE",):
                pool.kill("sealer")
                print("sealer killed: PC2 is done, its report was not sent")
                break
    else:
        pytest.fail(f"the point was missed {TRIES} times")

    all_active_require(pool)
    row = one(pool, "select state from sectors_sector where uuid = %s", uuid)
    assert row == ("PROVING",)
