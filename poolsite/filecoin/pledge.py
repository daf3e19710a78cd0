"""Amounts that follow from power: deposit, pledge, fees for faults, termination and days, reward and vesting.

Source: go-state-types builtin/v18/miner/{monies,policy}.go; builtin-actors
actors/miner/src/{monies,policy}.rs, actors/reward/src/lib.rs; FIP-0081 (pledge), FIP-0098 (termination fee),
FIP-0100 (daily fee).
"""

from __future__ import annotations

from typing import Final

from poolsite.filecoin.amounts import FIL, AttoFil
from poolsite.filecoin.fixed_point import PRECISION
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET
from poolsite.filecoin.power import Estimate, cumulative_ratio

PRE_COMMIT_DEPOSIT_DAYS: Final = 20
"""Days of expected reward that a pre-commit deposits."""
INITIAL_PLEDGE_DAYS: Final = 20
"""Days of expected reward in a sector's pledge (the storage pledge)."""
FAULT_FEE_EPOCHS: Final = EPOCHS_PER_DAY_MAINNET * 351 // 100
"""Epochs of expected reward (3.51 days) that a faulty sector pays each proving period."""
INVALID_POST_EPOCHS: Final = FAULT_FEE_EPOCHS + 2 * EPOCHS_PER_DAY_MAINNET
"""Epochs of expected reward (5.51 days) that a disputed proof costs."""
LOCK_TARGET_NUM: Final = 3
"""Numerator of the share of the circulating supply, 3/10, that consensus pledge aims to lock."""
LOCK_TARGET_DEN: Final = 10
"""Denominator of that share."""
GAMMA_FIXED_POINT: Final = 1000
"""1 in permille, the unit of gamma: the part of the consensus pledge that follows the baseline."""
GAMMA_MAX_SKEW: Final = 300
"""Permille of the consensus pledge that is independent of the baseline once FIP-0081 counts in full."""
PLEDGE_CAP_PER_BYTE_DEN: Final = 32 << 30
"""Quality-adjusted bytes for which a sector pledges at most 1 FIL: 32 GiB."""
PLEDGE_BUFFER_PERCENT: Final = 110
"""Percentage of the computed pledge and deposit that RPC answers give, against drift until inclusion."""
TERMINATION_PERMILLE: Final = 85
"""Full termination fee, in permille of the pledge."""
TERMINATION_FULL_AGE: Final = 140 * EPOCHS_PER_DAY_MAINNET
"""Age in epochs from which the full termination fee is due; below, it grows linearly."""
TERMINATION_FLOOR_PERCENT: Final = 2
"""Lowest termination fee, in percent of the pledge."""
TERMINATION_FAULT_PERCENT: Final = 105
"""Lowest termination fee, in percent of the sector's fault fee."""
DAILY_FEE_NUM: Final = 161_817
"""Numerator of the daily fee: 1.61817e-25 of the circulating supply per byte of quality-adjusted power."""
DAILY_FEE_DEN: Final = 10**30
"""Denominator of that share."""
PENALTY_MULTIPLIER: Final = 3
"""A miner pays three times the penalties of the messages in its block."""
VESTING_DAYS: Final = 180
"""Days over which the locked part of a reward vests."""
VESTING_QUANTUM: Final = 12 * 60 * 2
"""Vesting times are rounded up to a grid of 12 hours, in epochs."""
LOCKED_REWARD_NUM: Final = 3
"""Numerator of the share of a reward, 3/4, that vests; the rest is available at once."""
LOCKED_REWARD_DEN: Final = 4
"""Denominator of that share."""
EXPECTED_LEADERS: Final = 5
"""Wins per epoch that are expected; each pays this fraction of the epoch's reward."""
DISPUTE_BASE_PENALTY: Final = AttoFil(20 * FIL)
"""Penalty of a proof that a dispute showed to be wrong, on top of the expected reward."""
DISPUTE_REWARD: Final = AttoFil(4 * FIL)
"""Reward of who disputed it."""
CONSENSUS_FAULT_FACTOR: Final = 5
"""A consensus fault costs five times the reward of one win."""


def expected_reward(reward: Estimate, power: Estimate, quality_power: int, *, epochs: int) -> AttoFil:
    """Return the block reward that `quality_power` bytes can expect over the coming `epochs`, attoFIL.

    `reward` and `power` are the smoothed reward per epoch and network power.  Never negative.  Source:
    monies.go ExpectedRewardForPower.
    """
    if power.value == 0:
        # Before any power is proven, any sector can expect the whole reward (monies.go).
        return AttoFil(reward.value)
    ratio = cumulative_ratio(epochs, numerator=reward, denominator=power)
    return AttoFil(max(quality_power * ratio >> PRECISION, 0))


def pre_commit_deposit(reward: Estimate, power: Estimate, quality_power: int) -> AttoFil:
    """Return the deposit of a pre-commit, attoFIL: what the sector can expect to earn in 20 days.

    `quality_power` is the sector's highest (`quality_power_max`), as the chain does not know its data yet.
    At least 1 attoFIL.  Source: monies.go PreCommitDepositForPower.
    """
    epochs = PRE_COMMIT_DEPOSIT_DAYS * EPOCHS_PER_DAY_MAINNET
    return AttoFil(max(1, expected_reward(reward, power, quality_power, epochs=epochs)))


def pledge_gamma(epochs_since_ramp: int, ramp_epochs: int) -> int:
    """Return the permille of the consensus pledge that follows the baseline; before the ramp: all."""
    if epochs_since_ramp < 0:
        return GAMMA_FIXED_POINT
    if ramp_epochs == 0 or epochs_since_ramp >= ramp_epochs:
        return GAMMA_FIXED_POINT - GAMMA_MAX_SKEW
    return GAMMA_FIXED_POINT - epochs_since_ramp * GAMMA_MAX_SKEW // ramp_epochs


def initial_pledge(
    reward: Estimate,
    power: Estimate,
    quality_power: int,
    *,
    baseline_power: int,
    circulating_supply: int,
    epochs_since_ramp: int,
    ramp_epochs: int,
) -> AttoFil:
    """Return a sector's pledge, attoFIL: expected reward plus a share of the circulating supply, capped.

        reward of 20 days
        + gamma · 30 % of supply · power / max(network, baseline, power)
        + (1 - gamma) · 30 % of supply · power / max(network, power)

    at most 1 FIL for each 32 GiB of quality-adjusted power.  gamma falls from 1 to 0.7 over the ramp of
    FIP-0081.

    Source: monies.go InitialPledgeForPower.
    """
    epochs = INITIAL_PLEDGE_DAYS * EPOCHS_PER_DAY_MAINNET
    base = max(1, expected_reward(reward, power, quality_power, epochs=epochs))
    network = power.value
    gamma = pledge_gamma(epochs_since_ramp, ramp_epochs)
    share = circulating_supply * LOCK_TARGET_NUM * quality_power
    # Each of the two parts is rounded down on its own, so that their sum is the chain's to the attoFIL.
    by_baseline = (
        gamma * share // (max(network, baseline_power, quality_power) * LOCK_TARGET_DEN * GAMMA_FIXED_POINT)
    )
    by_power = (
        (GAMMA_FIXED_POINT - gamma)
        * share
        // (max(network, quality_power) * LOCK_TARGET_DEN * GAMMA_FIXED_POINT)
    )
    # Rounded down per byte before it is multiplied, as InitialPledgeMaxPerByte is: slightly below 1 FIL.
    cap = FIL // PLEDGE_CAP_PER_BYTE_DEN * quality_power
    return AttoFil(min(base + by_baseline + by_power, cap))


def with_buffer(amount: int) -> AttoFil:
    """Return a deposit or pledge with the 10 % that lotus' RPC answers add.

    Source: lotus node/impl/full/state.go initialPledgeNum.
    """
    return AttoFil(amount * PLEDGE_BUFFER_PERCENT // 100)


def fault_fee(reward: Estimate, power: Estimate, quality_power: int) -> AttoFil:
    """Return what power that was faulty already pays at the close of its deadline, attoFIL.

    Once in a proving period, for as long as the fault lasts.  Source: monies.go
    PledgePenaltyForContinuedFault.
    """
    return expected_reward(reward, power, quality_power, epochs=FAULT_FEE_EPOCHS)


def dispute_penalty(reward: Estimate, power: Estimate, quality_power: int) -> AttoFil:
    """Return what a disputed WindowPoSt costs the miner, without the disputer's reward.

    Source: monies.rs pledge_penalty_for_invalid_windowpost.
    """
    return AttoFil(
        expected_reward(reward, power, quality_power, epochs=INVALID_POST_EPOCHS) + DISPUTE_BASE_PENALTY
    )


def termination_fee(pledge: int, *, age: int, sector_fault_fee: int) -> AttoFil:
    """Return the fee for ending a sector `age` epochs after its activation, attoFIL.

    8.5 % of the pledge from 140 days on, linearly less before; but at least 2 % of the pledge, and 105 % of
    the sector's fault fee, so that ending a sector is never cheaper than a fault.

    Source: monies.go PledgePenaltyForTermination (FIP-0098).
    """
    full = pledge * TERMINATION_PERMILLE // 1000
    # By age from the full fee as rounded above, not from the pledge.
    by_age = min(full, age * full // TERMINATION_FULL_AGE)
    least = max(
        pledge * TERMINATION_FLOOR_PERCENT // 100, sector_fault_fee * TERMINATION_FAULT_PERCENT // 100
    )
    return AttoFil(max(by_age, least))


def daily_fee(quality_power: int, circulating_supply: int) -> AttoFil:
    """Return a sector's fee per day, attoFIL, set at activation and extension.

    It follows the circulating supply of that time alone, so that it is known in advance for all of the
    sector's life.  Source: policy.go DailyProofFee; FIP-0100.
    """
    return AttoFil(DAILY_FEE_NUM * quality_power * circulating_supply // DAILY_FEE_DEN)


def block_reward(epoch_reward: int, win_count: int) -> AttoFil:
    """Return the reward of a block that won `win_count` times.  Source: actors/reward/src/lib.rs."""
    return AttoFil(epoch_reward * win_count // EXPECTED_LEADERS)


def locked_reward(reward: int) -> AttoFil:
    """Return the part of a reward that vests."""
    return AttoFil(reward * LOCKED_REWARD_NUM // LOCKED_REWARD_DEN)


def vesting_schedule(amount: int, *, epoch: int, offset: int) -> list[tuple[int, AttoFil]]:
    """Return when and how much of `amount`, locked at `epoch`, vests: (epoch, amount) in order.

    Linear in daily steps over 180 days, each rounded up to the 12-hour grid with `offset` (the miner's
    proving period start).  Source: builtin-actors actors/miner/src/vesting_state.rs add_locked_funds.
    """
    begin, period, step = epoch, VESTING_DAYS * EPOCHS_PER_DAY_MAINNET, EPOCHS_PER_DAY_MAINNET
    steps: dict[int, int] = {}
    vested = 0
    at = begin
    while vested < amount:
        at += step
        due = _grid_up(at, VESTING_QUANTUM, offset)
        elapsed = due - begin
        # Of the time to the rounded-up epoch, so that the first step vests more than a day's share.
        target = amount * elapsed // period if elapsed < period else amount
        steps[due] = steps.get(due, 0) + target - vested
        vested = target
    return [(due, AttoFil(part)) for due, part in sorted(steps.items())]


def consensus_fault_penalty(epoch_reward: int) -> AttoFil:
    """Return what a reported consensus fault costs the miner."""
    return AttoFil(epoch_reward * CONSENSUS_FAULT_FACTOR // EXPECTED_LEADERS)


def _grid_up(epoch: int, unit: int, offset: int) -> int:
    """Return the first epoch of the grid offset, offset + unit, … that is not before `epoch`."""
    offset %= unit
    # Twice negated floor division is division rounded up.
    return -((offset - epoch) // unit) * unit + offset
