"""The reward actor f02: pays for blocks.

Source: go-state-types builtin/v18/reward/reward_types.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.actors.smoothing import FILTER_ESTIMATE, FilterEstimate
from poolsite.filecoin.codec import ADDRESS, AMOUNT, INT64, Field, Struct

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address


@dataclass(frozen=True, slots=True)
class AwardBlockRewardParams:
    """Pay for one block."""

    miner: Address
    """ID address of the miner."""
    penalty: int
    """attoFIL."""
    gas_reward: int
    """Tips, attoFIL."""
    win_count: int
    """How often it won."""


AWARD_BLOCK_REWARD_PARAMS: Final = Struct(
    AwardBlockRewardParams,
    Field("miner", "Miner", ADDRESS),
    Field("penalty", "Penalty", AMOUNT),
    Field("gas_reward", "GasReward", AMOUNT),
    Field("win_count", "WinCount", INT64),
)


@dataclass(frozen=True, slots=True)
class ThisEpochRewardReturn:
    """What a block is worth now."""

    this_epoch_reward_smoothed: FilterEstimate
    """Smoothed reward per epoch."""
    this_epoch_baseline_power: int
    """Baseline power, bytes."""


THIS_EPOCH_REWARD_RETURN: Final = Struct(
    ThisEpochRewardReturn,
    Field("this_epoch_reward_smoothed", "ThisEpochRewardSmoothed", FILTER_ESTIMATE.kind()),
    Field("this_epoch_baseline_power", "ThisEpochBaselinePower", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class UpdateNetworkKPIParams:
    """The network's realised raw power."""

    raw_byte_power: int
    """Bytes."""


UPDATE_NETWORK_KPI_PARAMS: Final = Struct(
    UpdateNetworkKPIParams,
    Field("raw_byte_power", "RawBytePower", AMOUNT),
    bare=True,
)


class Method(enum.IntEnum):
    """Numbers of the actor's methods; those of at least 2^24 are FRC-42 hashes, for contracts."""

    SEND = 0
    CONSTRUCTOR = 1
    AWARD_BLOCK_REWARD = 2
    THIS_EPOCH_REWARD = 3
    UPDATE_NETWORK_KPI = 4


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", UPDATE_NETWORK_KPI_PARAMS),
    MethodSpec(Method.AWARD_BLOCK_REWARD, "AwardBlockReward", AWARD_BLOCK_REWARD_PARAMS),
    MethodSpec(Method.THIS_EPOCH_REWARD, "ThisEpochReward", None, THIS_EPOCH_REWARD_RETURN),
    MethodSpec(Method.UPDATE_NETWORK_KPI, "UpdateNetworkKPI", UPDATE_NETWORK_KPI_PARAMS),
)
"""What each method takes and returns."""
