"""The reward actor f02: pays block rewards.

Source: go-state-types builtin/v18/reward/{reward_types,methods}.go; builtin-actors actors/reward/src/lib.rs.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.actors.smoothing import FilterEstimate
from poolsite.filecoin.address import Address
from poolsite.filecoin.codec import (
    Int64,
    TokenAmount,
    cbor_transparent,
    cbor_tuple,
)


@cbor_tuple
@dataclass(frozen=True, slots=True)
class AwardBlockRewardParams:
    """Pay the miner of a block; only the system actor calls it.

    The reward is a fifth of the epoch's for each win, plus the tips.
    """

    miner: Address
    """Who made the block."""
    penalty: TokenAmount
    """attoFIL for messages of the block that could not pay; not negative.  The miner is charged three times
    it."""
    gas_reward: TokenAmount
    """Tips of the block's messages, attoFIL, not negative."""
    win_count: Int64
    """Wins in the election, at least 1."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ThisEpochRewardReturn:
    """The estimates from which pledge, deposits and fees are computed."""

    this_epoch_reward_smoothed: FilterEstimate
    """Reward of a whole epoch, smoothed, attoFIL."""
    this_epoch_baseline_power: TokenAmount
    """Raw power that the baseline aims at now, bytes."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class UpdateNetworkKPIParams:
    """Set the next epoch's reward from the network's power; only the power actor calls it."""

    raw_byte_power: TokenAmount
    """Raw bytes of the miners above the consensus minimum; of all while too few reach it."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods, and who may call each; those from 2^24 on are FRC-42 hashes."""

    SEND = 0
    """A plain transfer."""
    CONSTRUCTOR = 1
    """By the system actor, at genesis."""
    AWARD_BLOCK_REWARD = 2
    """By the system actor, once for each block of a tipset."""
    THIS_EPOCH_REWARD = 3
    """By anyone: the smoothed reward of an epoch, and the baseline."""
    UPDATE_NETWORK_KPI = 4
    """By the power actor, each epoch: raw power, by which the reward follows the baseline."""


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", UpdateNetworkKPIParams),
    MethodSpec(Method.AWARD_BLOCK_REWARD, "AwardBlockReward", AwardBlockRewardParams),
    MethodSpec(Method.THIS_EPOCH_REWARD, "ThisEpochReward", None, ThisEpochRewardReturn),
    MethodSpec(Method.UPDATE_NETWORK_KPI, "UpdateNetworkKPI", UpdateNetworkKPIParams),
)
"""What each method takes and returns."""
