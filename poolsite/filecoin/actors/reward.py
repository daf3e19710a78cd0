"""The reward actor f02: pays for blocks.

Source: go-state-types builtin/v18/reward/reward_types.go.
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
    """Pay for one block."""

    miner: Address
    """ID address of the miner."""
    penalty: TokenAmount
    """attoFIL."""
    gas_reward: TokenAmount
    """Tips, attoFIL."""
    win_count: Int64
    """How often it won."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ThisEpochRewardReturn:
    """What a block is worth now."""

    this_epoch_reward_smoothed: FilterEstimate
    """Smoothed reward per epoch."""
    this_epoch_baseline_power: TokenAmount
    """Baseline power, bytes."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class UpdateNetworkKPIParams:
    """The network's realised raw power."""

    raw_byte_power: TokenAmount
    """Bytes."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods; those of at least 2^24 are FRC-42 hashes, for contracts."""

    SEND = 0
    CONSTRUCTOR = 1
    AWARD_BLOCK_REWARD = 2
    THIS_EPOCH_REWARD = 3
    UPDATE_NETWORK_KPI = 4


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", UpdateNetworkKPIParams),
    MethodSpec(Method.AWARD_BLOCK_REWARD, "AwardBlockReward", AwardBlockRewardParams),
    MethodSpec(Method.THIS_EPOCH_REWARD, "ThisEpochReward", None, ThisEpochRewardReturn),
    MethodSpec(Method.UPDATE_NETWORK_KPI, "UpdateNetworkKPI", UpdateNetworkKPIParams),
)
"""What each method takes and returns."""
