"""What the chain said last: the roots of miners' states, and the network's reward and power."""

from __future__ import annotations

from django.db import models

from apps.core.fields import AttoFilField, CidField
from apps.miners.models.miners import Miner
from poolsite.filecoin.pledge import DISPUTE_REWARD, dispute_penalty, fault_fee, pre_commit_deposit
from poolsite.filecoin.power import Estimate, quality_power_max


class ChainRoots(models.Model):
    """What names a miner's state on the chain: while a root stays, so does everything below it."""

    miner = models.OneToOneField(Miner, on_delete=models.CASCADE, related_name="+")
    state = CidField(blank=True, default="")
    """Of the actor."""
    deadlines = CidField(blank=True, default="")
    """Of all deadlines with their partitions; the actor's own where the node does not report it."""
    each = models.JSONField(default=list)
    """CIDs of the deadlines by index; empty where the node does not report them."""
    read_height = models.BigIntegerField(default=-1)
    """The head at which everything about the miner was last read."""

    def __str__(self) -> str:
        return f"roots of {self.miner}"

    def of_deadline(self, index: int) -> str:
        """Return what names the state of one deadline."""
        return str(self.each[index]) if index < len(self.each) else self.deadlines


class RewardEstimate(models.Model):
    """The chain's smoothed estimates of reward and power, by which it computes fees; a single row.

    Source: go-state-types builtin/v18 reward (ThisEpochRewardSmoothed), power (ThisEpochQAPowerSmoothed).
    """

    reward_position = models.DecimalField(max_digits=100, decimal_places=0)
    reward_velocity = models.DecimalField(max_digits=100, decimal_places=0)
    power_position = models.DecimalField(max_digits=100, decimal_places=0)
    power_velocity = models.DecimalField(max_digits=100, decimal_places=0)
    circulating = AttoFilField(null=True)
    """Supply by which the chain reckons fees; None where no node has told it."""
    height = models.BigIntegerField()
    """The head at which the chain said so."""

    def __str__(self) -> str:
        return f"reward and power at {self.height}"

    @property
    def reward(self) -> Estimate:
        """The reward per epoch."""
        return Estimate(int(self.reward_position), int(self.reward_velocity))

    @property
    def power(self) -> Estimate:
        """The network's quality-adjusted power."""
        return Estimate(int(self.power_position), int(self.power_velocity))

    def fault_fee(self, quality_power: int) -> int:
        """Return what faulty power pays at each end of a proving period, in attoFIL."""
        return int(fault_fee(self.reward, self.power, quality_power))

    def dispute_penalty(self, quality_power: int) -> int:
        """Return what a proof of so many quality-adjusted bytes costs that loses a dispute, in attoFIL."""
        return int(dispute_penalty(self.reward, self.power, quality_power)) + DISPUTE_REWARD

    def deposit(self, sector_size: int) -> int:
        """Return what a pre-commit of a sector deposits now, in attoFIL."""
        return int(pre_commit_deposit(self.reward, self.power, quality_power_max(sector_size)))
