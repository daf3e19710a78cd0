"""Power, pledge, fees and vesting beyond the golden figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.filecoin.fixed_point import PRECISION
from poolsite.filecoin.pledge import (
    VESTING_QUANTUM,
    block_reward,
    consensus_fault_penalty,
    expected_reward,
    fault_fee,
    initial_pledge,
    locked_reward,
    pledge_gamma,
    pre_commit_deposit,
    vesting_schedule,
    with_buffer,
)
from poolsite.filecoin.power import (
    Estimate,
    quality_power,
    quality_power_max,
)

FIL = 10**18
REWARD = Estimate(36 * FIL << PRECISION)
POWER = Estimate(1 << (40 + PRECISION))
SECTOR = 2048


@given(amount=st.integers(0, 10**24), epoch=st.integers(0, 10**6), offset=st.integers(0, 2879))
def test_vesting_frees_exactly_what_was_locked(amount: int, epoch: int, offset: int) -> None:
    schedule = vesting_schedule(amount, epoch=epoch, offset=offset)

    assert sum(part for _, part in schedule) == amount
    assert [due for due, _ in schedule] == sorted({due for due, _ in schedule})
    assert all((due - offset) % VESTING_QUANTUM == 0 and due > epoch for due, _ in schedule)
    assert len(schedule) <= 181


def test_the_economy_of_the_local_chain_is_the_design_s() -> None:
    deposit = pre_commit_deposit(REWARD, POWER, quality_power_max(SECTOR))
    fee = fault_fee(REWARD, POWER, SECTOR)

    assert deposit / FIL == pytest.approx(0.039, abs=0.001)
    assert fee / FIL == pytest.approx(0.0007, abs=0.0001)


def test_without_network_power_the_whole_reward_is_expected() -> None:
    assert expected_reward(REWARD, Estimate(0), SECTOR, epochs=10) == 36 * FIL


def test_falling_rewards_never_expect_less_than_nothing() -> None:
    falling = Estimate(REWARD.position, -REWARD.position)

    assert expected_reward(falling, POWER, SECTOR, epochs=100_000) == 0
    assert pre_commit_deposit(falling, POWER, SECTOR) == 1


def test_the_pledge_ramp() -> None:
    assert [pledge_gamma(n, 100) for n in (-1, 0, 50, 100, 500)] == [1000, 1000, 850, 700, 700]
    assert pledge_gamma(0, 0) == 700


def test_the_pledge_is_capped_per_byte() -> None:
    pledge = initial_pledge(
        REWARD,
        POWER,
        32 << 30,
        baseline_power=1,
        circulating_supply=600_000_000 * FIL,
        epochs_since_ramp=-1,
        ramp_epochs=0,
    )

    assert pledge == FIL // (32 << 30) * (32 << 30)


def test_answers_carry_a_tenth_of_reserve() -> None:
    assert with_buffer(1000) == 1100


def test_rewards() -> None:
    assert block_reward(50, 2) == 20
    assert locked_reward(10) == 7
    assert consensus_fault_penalty(36) == 36


def test_committed_capacity_counts_once_and_verified_data_ten_times() -> None:
    assert quality_power(SECTOR, duration=1000) == SECTOR
    full = quality_power(SECTOR, duration=1000, verified_weight=SECTOR * 1000)
    assert full == quality_power_max(SECTOR) == 10 * SECTOR
