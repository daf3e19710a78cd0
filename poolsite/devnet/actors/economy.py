"""What sectors cost and earn at the moment: deposits, pledges and fees by the network's smoothed estimates.

Source: builtin-actors actors/miner/src/monies.rs.  The circulating supply is all FIL but what the reward
actor, the reserve and the vesting account still hold, what is burnt, and what miners have locked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.getters import economy_queries_note
from poolsite.devnet.actors.ledger import BURNT, RESERVE, REWARD, VERIFREG_ROOT, actor_get
from poolsite.devnet.state.rows import SYSTEM
from poolsite.filecoin import pledge
from poolsite.filecoin.amounts import TOTAL_FILECOIN
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET
from poolsite.filecoin.power import Estimate

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Machine
    from poolsite.devnet.state.power_rows import PowerState, RewardState
    from poolsite.devnet.state.sector_rows import Sector
    from poolsite.devnet.state.tables import Draft, State

OUTSIDE: Final = (REWARD, RESERVE, VERIFREG_ROOT, BURNT)
"""Holders whose funds do not circulate."""


@dataclass(frozen=True, slots=True)
class Economy:
    """The figures of one state."""

    reward: Estimate
    power: Estimate
    baseline: int
    circulating: int

    def precommit_deposit(self, quality: int) -> int:
        """Deposit for a sector of that quality-adjusted power."""
        return pledge.pre_commit_deposit(self.reward, self.power, quality)

    def initial_pledge(self, quality: int) -> int:
        """Pledge of a sector of that quality-adjusted power."""
        return pledge.initial_pledge(
            self.reward,
            self.power,
            quality,
            baseline_power=self.baseline,
            circulating_supply=self.circulating,
            epochs_since_ramp=0,
            ramp_epochs=0,
        )

    def fault_fee(self, quality: int) -> int:
        """Return what faulty power pays at each end of its deadline."""
        return pledge.fault_fee(self.reward, self.power, quality)

    def dispute_penalty(self, quality: int) -> int:
        """Return what a wrong proof over so much power costs."""
        return pledge.dispute_penalty(self.reward, self.power, quality)

    def day_reward(self, quality: int) -> int:
        """Return a day's expected reward."""
        return pledge.expected_reward(self.reward, self.power, quality, epochs=EPOCHS_PER_DAY_MAINNET)

    def daily_fee(self, quality: int) -> int:
        """Return what a sector that is activated now pays each day."""
        return pledge.daily_fee(quality, self.circulating)

    def termination_fee(self, sector: Sector, *, quality: int, epoch: int) -> int:
        """Return what ending a sector at `epoch` costs."""
        age = epoch - sector.activation
        return pledge.termination_fee(sector.pledge, age=age, sector_fault_fee=self.fault_fee(quality))


def economy_of(state: Draft | State) -> Economy:
    """Return the figures of a state."""
    power: PowerState = state.get(SYSTEM, "power")
    reward: RewardState = state.get(SYSTEM, "reward")
    return Economy(
        reward=Estimate(reward.smoothed.position, reward.smoothed.velocity),
        power=Estimate(power.smoothed.position, power.smoothed.velocity),
        baseline=reward.baseline,
        circulating=circulating_supply(state),
    )


def economy(machine: Machine) -> Economy:
    """Return the figures of the machine's state, for which the actor that runs asks."""
    economy_queries_note(machine)
    return economy_of(machine.draft)


def circulating_supply(state: Draft | State) -> int:
    """attoFIL that people can move."""
    power: PowerState = state.get(SYSTEM, "power")
    outside = 0
    for actor_id in OUTSIDE:
        actor = actor_get(state, actor_id)
        outside += 0 if actor is None else actor.balance
    return max(TOTAL_FILECOIN - outside - power.pledge, 0)
