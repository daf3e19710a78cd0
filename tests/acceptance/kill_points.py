"""Kill -9 of one process of a running pool at random instants of a sector's way."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from poolsite.wire.pipeline import SECTOR_STATES, SectorState
from tests.acceptance.chain import whole_history_require
from tests.acceptance.pool import PERIOD_S, SEALED_S, RunningPool
from tests.integration.pools import wait_until

SUPERVISOR: Final = "supervisor"

STARTED_WHEN_NEEDED: Final = ("sealer-kernels", "prover-kernels")
"""Kernel children come back with the next stage that they are asked for."""

BACK_S: Final = 60.0
"""A killed process runs again within this on a machine that is busy with all the others."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A part of a sector's way."""

    name: str
    begin: SectorState
    span_s: float
    """How long it lasts at least when nothing goes wrong: the instant is drawn from here."""

    @property
    def here_or_later(self) -> list[str]:
        """The states from its beginning on."""
        later = SECTOR_STATES[SECTOR_STATES.index(self.begin) :]
        return [state for state in later if state != SectorState.ABORTED]


SEALING: Final = Leg("sealing", SectorState.ALLOCATED, 3.0)
PRECOMMIT: Final = Leg("the pre-commit's way and the wait for the seed", SectorState.PRECOMMIT_SENT, 6.0)
COMMIT: Final = Leg("the proof of sealing and the commit's way", SectorState.SEED_ASSIGNED, 6.0)
WINDOW: Final = Leg("the wait for the first window", SectorState.PROVING, 20.0)

TO_THE_COMMIT: Final = (SEALING, PRECOMMIT, COMMIT)
WHOLE_WAY: Final = (*TO_THE_COMMIT, WINDOW)


def legs_of(name: str) -> tuple[Leg, ...]:
    """Where to kill a process: on the whole way, a kernel child where it is needed once more afterwards."""
    if name == "sealer-kernels":
        return TO_THE_COMMIT
    return (WINDOW,) if name == "prover-kernels" else WHOLE_WAY


def strike(pool: RunningPool, name: str, leg: Leg, *, uuid: str, rng: random.Random) -> None:
    """Kill at a random instant of this leg, say where the sector stood, and see that the process is back."""
    instant_s = rng.uniform(0.0, leg.span_s)
    print(f"{name}: to be killed {instant_s:.2f} s into {leg.name}")
    pool.wait_state(uuid, *leg.here_or_later)
    began = time.monotonic()
    wait_until(
        lambda: time.monotonic() - began >= instant_s and (name == SUPERVISOR or pool.has(name)),
        within_s=instant_s + BACK_S,
        what=lambda: f"{name} running at {instant_s:.1f} s\n{pool.diagnosis()}",
    )
    sector = pool.sector(uuid)
    stood = f"{sector.get('state')}, stage {sector.get('stage')}, active {sector.get('active')}"
    print(f"{name} killed (sector: {stood})")
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
    back_s = wait_until(lambda: pool.has_other(name, than=before), within_s=BACK_S, what=pool.diagnosis)
    print(f"{name} back after {back_s:.2f} s")


def seal_through(pool: RunningPool, name: str, legs: Sequence[Leg], rng: random.Random) -> int:
    """Pledge a sector, kill a process once on each of these legs of its way; gives its number."""
    miner = pool.wait_miner()
    number = max(pool.chain.sectors(miner), default=-1) + 1
    began = time.monotonic()
    [uuid] = pool.pledge(miner)
    for leg in legs:
        strike(pool, name, leg, uuid=uuid, rng=rng)
    pool.wait_state(uuid, "PROVING", within_s=SEALED_S + 2 * PERIOD_S)
    print(f"sector {number} is committed {time.monotonic() - began:.1f} s after its pledge at the latest")
    return number


def survive(pool: RunningPool, name: str, rng: random.Random) -> None:
    """Kill one process all along a sector's way; require that it gets active and nothing is done twice."""
    numbers = set(range(seal_through(pool, name, legs_of(name), rng) + 1))
    active_s = pool.wait_active(pool.wait_miner(), numbers, within_s=2 * PERIOD_S)
    print(f"active {active_s:.1f} s later")
    whole_history_require(pool.chain, miner=pool.wait_miner(), numbers=numbers)
