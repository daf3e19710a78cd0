"""Kill -9 of one process of a running pool at a random instant of a sector's way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from tests.acceptance.chain import whole_history_require
from tests.acceptance.pool import PERIOD_S, SEALED_S
from tests.integration.pools import wait_until

if TYPE_CHECKING:
    import random

    from tests.acceptance.pool import RunningPool

SUPERVISOR: Final = "supervisor"

STARTED_WHEN_NEEDED: Final = ("sealer-kernels", "prover-kernels")
"""Kernel children come back with the next stage that they are asked for."""

WAY_S: Final = 20.0
"""A lone sector is committed about so long after its pledge: instants are drawn from here."""

PROVERS: Final = ("prover", "prover-kernels")

BACK_S: Final = 60.0
"""A killed process runs again within this on a machine that is busy with all the others."""


def instant_of(name: str, rng: random.Random) -> float:
    """Seconds after the pledge: while it is sealed, for a prover also while it is proved."""
    return rng.uniform(0.0, WAY_S + PERIOD_S if name in PROVERS else WAY_S)


def strike(pool: RunningPool, name: str, *, uuid: str, instant_s: float, began: float) -> None:
    """Wait for the instant, kill, say where the sector stood, and see that the process is back."""
    wait_until(
        lambda: time.monotonic() - began >= instant_s and (name == SUPERVISOR or pool.has(name)),
        within_s=instant_s + BACK_S,
        what=f"{name} running at {instant_s:.1f} s",
    )
    sector = pool.sector(uuid)
    stood = f"{sector.get('state')}, stage {sector.get('stage')}"
    print(f"{name} killed {time.monotonic() - began:.2f} s after the pledge (sector: {stood})")
    if name == SUPERVISOR:
        assert pool.supervisor is not None
        pool.supervisor.kill()
        pool.supervisor.wait(5)
        gone_s = wait_until(pool.is_gone, within_s=10, what="everything gone")
        again_s = pool.start()
        print(f"everything gone after {gone_s:.2f} s, a page again after {again_s:.2f} s")
        return
    before = pool.pid(name)
    pool.kill(name)
    if name in STARTED_WHEN_NEEDED:
        return
    back_s = wait_until(
        lambda: pool.has(name) and pool.pid(name) != before, within_s=BACK_S, what=pool.diagnosis
    )
    print(f"{name} back after {back_s:.2f} s")


def seal_through(pool: RunningPool, name: str, rng: random.Random) -> int:
    """Pledge a sector, kill one process on its way, wait until it is committed; gives its number."""
    miner = pool.wait_miner()
    number = max(pool.chain.sectors(miner), default=-1) + 1
    instant_s = instant_of(name, rng)
    print(f"{name}: to be killed {instant_s:.2f} s after the pledge of sector {number}")
    began = time.monotonic()
    [uuid] = pool.pledge(miner)
    strike(pool, name, uuid=uuid, instant_s=instant_s, began=began)
    pool.wait_state(uuid, "PROVING", within_s=SEALED_S + 2 * PERIOD_S)
    print(f"sealed {time.monotonic() - began:.1f} s after the pledge")
    return number


def survive(pool: RunningPool, name: str, rng: random.Random) -> None:
    """Kill one process on a sector's way; require that it gets active and nothing is done twice."""
    numbers = set(range(seal_through(pool, name, rng) + 1))
    active_s = pool.wait_active(pool.wait_miner(), numbers, within_s=2 * PERIOD_S)
    print(f"active {active_s:.1f} s later")
    whole_history_require(pool.chain, miner=pool.wait_miner(), numbers=numbers)
