"""The pool's own miner makes blocks from its first power on, through kills, with two services."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Final

import httpx
import pytest

from tests.acceptance.blocks import service_beside
from tests.acceptance.pool import SEALED_S, RunningPool, dice
from tests.integration.pools import wait_until

pytestmark = [pytest.mark.xdist_group("pool"), pytest.mark.slow]

SECTORS: Final = 8
"""Of 2 KiB, beside 256 of the built-in miner: a win in seven epochs."""
PERIOD_S: Final = 24 * 8 * 2
"""Proving period of the network `demo`."""
KILLS: Final = 5
WINS_S: Final = 240


def outcomes(pool: RunningPool, miner: str) -> dict[int, str]:
    """The outcome of each win by its epoch; empty while the console cannot answer."""
    with contextlib.suppress(httpx.TransportError, AssertionError):
        rows = pool.read(f"/api/v1/miners/{miner}/rounds?limit=1000")["results"]
        return {row["height"]: row["outcome"] for row in rows if row["won"]}
    return {}


def included(pool: RunningPool, miner: str) -> int:
    """How many blocks are on the chain."""
    return list(outcomes(pool, miner).values()).count("INCLUDED")


def double_blocks(pool: RunningPool, miner: str) -> list[Any]:
    """Heights for which two headers of the miner are known to the chain, or its node detected a fault."""
    info: dict[str, Any] = pool.chain.call("StateMinerInfo", miner, [])
    faults = pool.rows_of("SELECT epoch, reason FROM blocks_round WHERE reason LIKE '%%SLASH FILTER%%'")
    return [*faults, *([] if info["ConsensusFaultElapsed"] == -1 else [info["ConsensusFaultElapsed"]])]


def test_blocks_from_the_first_power_on_through_kills() -> None:
    random = dice()
    with RunningPool(POOLSITE_NETWORK="demo") as pool:
        miner = pool.wait_miner()
        pool.pledge(miner, SECTORS)
        pool.wait_active(miner, set(range(SECTORS)), within_s=SECTORS * SEALED_S + PERIOD_S)
        wait_until(
            lambda: included(pool, miner) >= 1,
            within_s=WINS_S,
            what=lambda: f"{outcomes(pool, miner)}\n{pool.diagnosis()}",
        )
        before = included(pool, miner)
        with service_beside(pool):
            for _ in range(KILLS):
                time.sleep(random.uniform(2, 12))
                pool.kill("blocks")
            wait_until(
                lambda: included(pool, miner) >= before + 2,
                within_s=WINS_S,
                what=lambda: f"{outcomes(pool, miner)}\n{pool.diagnosis()}",
            )
        assert double_blocks(pool, miner) == []
        blocks = pool.read(f"/api/v1/miners/{miner}/blocks")["results"]
        rewarded = [row for row in blocks if row["outcome"] == "INCLUDED" and row["reward"]]
        assert rewarded, blocks
        assert all(int(row["reward"]) > 0 for row in rewarded)
