"""Time: a pool that stood still for a day sees no fault; a withheld proof costs power first, then money."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.acceptance.chain import Chain, whole_history_require
from tests.acceptance.pool import PERIOD_S, SEALED_S, RunningPool, descendants
from tests.acceptance.shifted_clock import ShiftedClock
from tests.integration.pools import wait_until

pytestmark = [pytest.mark.xdist_group("pool"), pytest.mark.slow]

DAY_S: Final = 24 * 60 * 60
HOUR_S: Final = 60 * 60
SLEEP_S: Final = 60


@pytest.fixture
def pool() -> Iterator[RunningPool]:
    """A pool with one active sector."""
    with RunningPool() as pool:
        miner = pool.wait_miner()
        pool.pledge(miner)
        pool.wait_active(miner, {0}, within_s=SEALED_S + PERIOD_S)
        yield pool


def test_a_pool_that_stood_still_for_a_day_sees_no_fault(pool: RunningPool) -> None:
    miner = pool.wait_miner()
    pool.stop()
    wait_until(pool.is_gone, within_s=20, what="everything gone")
    clock = ShiftedClock(pool.base)
    clock.set(DAY_S)
    pool.env |= clock.env

    again_s = pool.start()
    pool.wait_all_up()

    head = pool.chain.call("ChainHead")
    behind_s = time.time() + DAY_S - int(head["Blocks"][0]["Timestamp"])
    print(f"page after {again_s:.1f} s, height {head['Height']}, {behind_s:.0f} s behind the moved clock")
    assert -60 < behind_s < 120
    still_proven_require(pool, miner, periods=2)


def still_proven_require(pool: RunningPool, miner: str, *, periods: int) -> None:
    """Watch the chain: sector 0 stays proven over this time, and a new one joins it."""
    last = pool.chain.height() + periods * PERIOD_S

    def are_over() -> bool:
        assert pool.chain.faulty(miner) == set(), pool.diagnosis()
        assert pool.chain.active(miner) == {0}, pool.diagnosis()
        return pool.chain.height() > last

    wait_until(are_over, within_s=2 * periods * PERIOD_S, what=pool.diagnosis)
    pool.pledge(miner)
    pool.wait_active(miner, {0, 1}, within_s=SEALED_S + 2 * PERIOD_S)
    whole_history_require(pool.chain, miner=miner, numbers={0, 1})


def test_a_laptop_that_slept_for_a_minute_goes_on_where_it_was(pool: RunningPool) -> None:
    """Everything is held still at once, in the middle of a period."""
    miner = pool.wait_miner()
    assert pool.supervisor is not None
    pids = [pool.supervisor.pid, *descendants(pool.supervisor.pid)]
    began_at = pool.chain.height()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(SLEEP_S)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)

    again_s = pool.wait_all_up()
    passed = pool.chain.height() - began_at

    print(f"all up {again_s:.1f} s after it woke, {passed} epochs on")
    assert passed < SLEEP_S / 2
    still_proven_require(pool, miner, periods=2)


def test_a_clock_that_jumps_an_hour_on_and_back_again_costs_nothing(pool: RunningPool) -> None:
    miner = pool.wait_miner()
    pool.stop()
    wait_until(pool.is_gone, within_s=20, what="everything gone")
    clock = ShiftedClock(pool.base)
    pool.env |= clock.env
    pool.start()
    pool.wait_all_up()

    for hour_s in (HOUR_S, 0):
        clock.set(hour_s)
        began_at = pool.chain.height()
        wait_until(
            lambda began_at=began_at: pool.chain.height() > began_at + PERIOD_S,
            within_s=2 * PERIOD_S,
            what=pool.diagnosis,
        )
        assert pool.chain.faulty(miner) == set(), pool.diagnosis()
        assert pool.chain.active(miner) == {0}, pool.diagnosis()
    pool.wait_all_up()
    still_proven_require(pool, miner, periods=1)


def balance_at(chain: Chain, miner: str, height: int) -> int:
    """What the miner's actor holds in the state that a height's tipset builds on."""
    tipset: dict[str, Any] = chain.call("ChainGetTipSetByHeight", height, None)
    return int(chain.call("StateGetActor", miner, tipset["Cids"])["Balance"])


def test_a_withheld_proof_costs_power_then_fees_and_a_recovery_returns_it(pool: RunningPool) -> None:
    miner = pool.wait_miner()
    full = pool.chain.raw_power(miner)
    with pool.frozen("prover"):
        wait_until(lambda: pool.chain.faulty(miner) == {0}, within_s=2 * PERIOD_S, what=pool.diagnosis)
        first = pool.chain.height()
        assert pool.chain.raw_power(miner) == full - 2048
        assert pool.chain.active(miner) == set()
        wait_until(
            lambda: pool.chain.height() > first + PERIOD_S + 3, within_s=2 * PERIOD_S, what=pool.diagnosis
        )
    # the deadline ends in the cron of some epoch just before we saw it; a period later it ends again
    at_first = balance_at(pool.chain, miner, first - 6) - balance_at(pool.chain, miner, first + 2)
    second = first + PERIOD_S
    at_second = balance_at(pool.chain, miner, second - 6) - balance_at(pool.chain, miner, second + 2)
    print(f"the first missed window cost {at_first} attoFIL, the second {at_second}")
    # both windows take the daily fee; a sector's first missed window takes nothing more
    assert at_second > at_first >= 0

    back_s = pool.wait_active(miner, {0}, within_s=3 * PERIOD_S)
    print(f"active again {back_s:.0f} s after the prover went on")
    assert pool.chain.raw_power(miner) == full
    assert pool.chain.faulty(miner) == set()
