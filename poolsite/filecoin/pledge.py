"""Money that hangs on power: deposits, pledge, fees for faults, terminations and days, rewards and vesting.

Source: go-state-types builtin/v18/miner/monies.go; builtin-actors miner monies.rs, policy.rs, reward;
FIP-0081 (pledge), FIP-0098 (termination fee), FIP-0100 (daily fee).
"""

from __future__ import annotations

from typing import Final

from poolsite.filecoin.amounts import FIL, AttoFil
from poolsite.filecoin.fixed_point import PRECISION
from poolsite.filecoin.power import Estimate, cumulative_ratio

EPOCHS_IN_DAY: Final = 2880
"""Epochs of a day; pledge and fees count mainnet days on every network."""
PRE_COMMIT_DEPOSIT_DAYS: Final = 20
"""Days of expected reward that a pre-commit deposits."""
INITIAL_PLEDGE_DAYS: Final = 20
"""Days of expected reward that a sector pledges."""
FAULT_FEE_EPOCHS: Final = EPOCHS_IN_DAY * 351 // 100
"""Epochs of expected reward (3.51 days) that a faulty sector pays each proving period."""
INVALID_POST_EPOCHS: Final = FAULT_FEE_EPOCHS + 2 * EPOCHS_IN_DAY
"""Epochs of reward that a disputed proof costs.  Source: builtin-actors miner monies.rs."""
LOCK_TARGET_NUM: Final = 3
LOCK_TARGET_DEN: Final = 10
"""Share of the circulating supply that consensus pledge aims to lock."""
GAMMA_FIXED_POINT: Final = 1000
GAMMA_MAX_SKEW: Final = 300
"""How far the pledge moves from baseline to simple reckoning at the ramp's end, of 1000."""
PLEDGE_CAP_PER_BYTE_DEN: Final = 32 << 30
"""A sector pledges at most 1 FIL for each 32 GiB of quality-adjusted power."""
PLEDGE_BUFFER_PERCENT: Final = 110
"""Share of the computed pledge and deposit that RPC answers give, against drift until inclusion."""
TERMINATION_PERMILLE: Final = 85
"""Full termination fee: 8.5 % of the pledge."""
TERMINATION_FULL_AGE: Final = 140 * EPOCHS_IN_DAY
"""Age in epochs at which the full fee is reached."""
TERMINATION_FLOOR_PERCENT: Final = 2
"""Least termination fee, of the pledge."""
TERMINATION_FAULT_PERCENT: Final = 105
"""Least termination fee, of the fault fee."""
DAILY_FEE_NUM: Final = 161_817
DAILY_FEE_DEN: Final = 10**30
"""Daily fee: 1.61817e-25 of the circulating supply per byte of quality-adjusted power."""
DAILY_FEE_REWARD_CAP_DEN: Final = 2
"""A deadline's daily fees never exceed half of the day's expected reward."""
PENALTY_MULTIPLIER: Final = 3
"""A miner pays three times the penalties of the messages it included."""
VESTING_DAYS: Final = 180
"""Days over which the locked part of a reward becomes free."""
VESTING_QUANTUM: Final = 12 * 60 * 2
"""Grid of vesting times: 12 hours in epochs."""
LOCKED_REWARD_NUM: Final = 3
LOCKED_REWARD_DEN: Final = 4
"""Share of a reward that is locked first."""
EXPECTED_LEADERS: Final = 5
"""Wins per epoch over which an epoch's reward is divided."""
DISPUTE_BASE_PENALTY: Final = AttoFil(20 * FIL)
"""Penalty of an invalid proof that was disputed, on top of the fault fee."""
DISPUTE_REWARD: Final = AttoFil(4 * FIL)
"""What the disputer gets."""
CONSENSUS_FAULT_FACTOR: Final = 5
"""A consensus fault costs five times the epoch's reward per expected leader."""


def expected_reward(reward: Estimate, power: Estimate, quality_power: int, *, epochs: int) -> AttoFil:
    """Block reward that `quality_power` can expect over the coming `epochs`.

    `reward` and `power` are the smoothed reward per epoch and network power.  Never negative.  Source:
    ExpectedRewardForPower.
    """
    if power.value == 0:
        return AttoFil(reward.value)
    ratio = cumulative_ratio(epochs, numerator=reward, denominator=power)
    return AttoFil(max(quality_power * ratio >> PRECISION, 0))


def pre_commit_deposit(reward: Estimate, power: Estimate, quality_power: int) -> AttoFil:
    """Deposit for pre-committing; `quality_power` is the sector's possible most (`quality_power_max`)."""
    epochs = PRE_COMMIT_DEPOSIT_DAYS * EPOCHS_IN_DAY
    return AttoFil(max(1, expected_reward(reward, power, quality_power, epochs=epochs)))


def pledge_gamma(epochs_since_ramp: int, ramp_epochs: int) -> int:
    """Weight of the baseline part of the consensus pledge, of 1000.  Negative epochs: before the ramp."""
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
    """Pledge of a sector: expected reward plus a share of the supply, capped.

    Source: monies.go InitialPledgeForPower.
    """
    epochs = INITIAL_PLEDGE_DAYS * EPOCHS_IN_DAY
    base = max(1, expected_reward(reward, power, quality_power, epochs=epochs))
    network = power.value
    gamma = pledge_gamma(epochs_since_ramp, ramp_epochs)
    share = circulating_supply * LOCK_TARGET_NUM * quality_power
    by_baseline = (
        gamma * share // (max(network, baseline_power, quality_power) * LOCK_TARGET_DEN * GAMMA_FIXED_POINT)
    )
    by_power = (
        (GAMMA_FIXED_POINT - gamma)
        * share
        // (max(network, quality_power) * LOCK_TARGET_DEN * GAMMA_FIXED_POINT)
    )
    cap = FIL // PLEDGE_CAP_PER_BYTE_DEN * quality_power
    return AttoFil(min(base + by_baseline + by_power, cap))


def with_buffer(amount: int) -> AttoFil:
    """What StateMinerPreCommitDepositForPower and StateMinerInitialPledgeCollateral answer for `amount`."""
    return AttoFil(amount * PLEDGE_BUFFER_PERCENT // 100)


def fault_fee(reward: Estimate, power: Estimate, quality_power: int) -> AttoFil:
    """What faulty power pays at each close of its deadline.  Source: PledgePenaltyForContinuedFault."""
    return expected_reward(reward, power, quality_power, epochs=FAULT_FEE_EPOCHS)


def dispute_penalty(reward: Estimate, power: Estimate, quality_power: int) -> AttoFil:
    """What a window proof costs that a dispute showed to be wrong, without the disputer's reward."""
    return AttoFil(
        expected_reward(reward, power, quality_power, epochs=INVALID_POST_EPOCHS) + DISPUTE_BASE_PENALTY
    )


def termination_fee(pledge: int, *, age: int, sector_fault_fee: int) -> AttoFil:
    """What ending a sector of `age` epochs early costs.  Source: PledgePenaltyForTermination (FIP-0098)."""
    full = pledge * TERMINATION_PERMILLE // 1000
    by_age = min(full, age * full // TERMINATION_FULL_AGE)
    least = max(
        pledge * TERMINATION_FLOOR_PERCENT // 100, sector_fault_fee * TERMINATION_FAULT_PERCENT // 100
    )
    return AttoFil(max(by_age, least))


def daily_fee(quality_power: int, circulating_supply: int) -> AttoFil:
    """What a sector pays each day, fixed at its activation or extension (FIP-0100)."""
    return AttoFil(DAILY_FEE_NUM * quality_power * circulating_supply // DAILY_FEE_DEN)


def daily_fee_payable(fees: int, *, day_reward: int) -> AttoFil:
    """What of a deadline's daily fees is charged: at most half of its power's expected day's reward."""
    return AttoFil(min(fees, day_reward // DAILY_FEE_REWARD_CAP_DEN))


def block_reward(epoch_reward: int, win_count: int) -> AttoFil:
    """Reward of a block that won `win_count` times."""
    return AttoFil(epoch_reward * win_count // EXPECTED_LEADERS)


def locked_reward(reward: int) -> AttoFil:
    """The part of a reward that vests; the rest is free at once."""
    return AttoFil(reward * LOCKED_REWARD_NUM // LOCKED_REWARD_DEN)


def vesting_schedule(amount: int, *, epoch: int, offset: int) -> list[tuple[int, AttoFil]]:
    """When and how much of `amount`, locked at `epoch`, becomes free: (epoch, amount) in order.

    Linear in daily steps over 180 days, each time moved up to the 12-hour grid with `offset` (the miner's
    proving period start).  Source: builtin-actors miner vesting_state.rs add_locked_funds.
    """
    begin, period, step = epoch, VESTING_DAYS * EPOCHS_IN_DAY, EPOCHS_IN_DAY
    steps: dict[int, int] = {}
    vested = 0
    at = begin
    while vested < amount:
        at += step
        due = _grid_up(at, VESTING_QUANTUM, offset)
        elapsed = due - begin
        target = amount * elapsed // period if elapsed < period else amount
        steps[due] = steps.get(due, 0) + target - vested
        vested = target
    return [(due, AttoFil(part)) for due, part in sorted(steps.items())]


def consensus_fault_penalty(epoch_reward: int) -> AttoFil:
    """What a reported consensus fault costs the miner."""
    return AttoFil(epoch_reward * CONSENSUS_FAULT_FACTOR // EXPECTED_LEADERS)


def _grid_up(epoch: int, unit: int, offset: int) -> int:
    offset %= unit
    return -((offset - epoch) // unit) * unit + offset
