"""An estimation of gas: what a caller may ask for, and what a node answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from poolsite.filecoin.amounts import TOTAL_FILECOIN, AttoFil
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT
from poolsite.filecoin.gas_estimates import fee_cap_limit
from poolsite.filecoin.message import Message

NODE_OVER_ESTIMATION: Final = 1.25
"""Times the simulated gas that a node takes for the limit by itself.

Source: lotus chain/messagepool/config.go GasLimitOverestimation, as in venus pkg/messagepool/config.go.
"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Gas values of one message, or why there are none."""

    message: Message | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class GasSpec:
    """Wishes for an estimation; zero means the node's own rule."""

    max_fee: int = 0
    gas_over_estimation: float = 0.0
    gas_over_premium: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the wire form of venus' MessageSendSpec."""
        return {
            "MaxFee": str(self.max_fee),
            "GasOverEstimation": self.gas_over_estimation,
            "GasOverPremium": self.gas_over_premium,
        }

    def as_lotus_json(self) -> dict[str, Any]:
        """Return the wire form of lotus' MessageSendSpec, which has no factors: `factors_apply` follows.

        The fee is limited after these, so the node is told of no limit in its place.  forest refuses a spec
        that lacks a member.
        """
        max_fee = TOTAL_FILECOIN if self.max_fee else 0
        return {"MaxFee": str(max_fee), "MsgUuid": str(UUID(int=0)), "MaximizeFeeCap": False}

    def factors_apply(self, estimate: Message, *, message: Message) -> Message:
        """Return a node's estimate of what it was asked with these factors and within the largest fee.

        What the message named itself stays.  Source: venus pkg/messagepool/gas.go GasEstimateMessageGas.
        """
        limit, premium, fee_cap = estimate.gas_limit, estimate.gas_premium, estimate.gas_fee_cap
        # One at the block's limit was cut to it: how much gas it uses is not known.
        if self.gas_over_estimation and not message.gas_limit and limit < BLOCK_GAS_LIMIT:
            limit = min(int(limit * self.gas_over_estimation / NODE_OVER_ESTIMATION), BLOCK_GAS_LIMIT)
        if self.gas_over_premium and not message.gas_premium:
            premium = AttoFil(int(premium * self.gas_over_premium))
        if not message.gas_fee_cap:  # the node's is made of the base fee and its own premium
            fee_cap = AttoFil(fee_cap + premium - estimate.gas_premium)
        fee_cap, premium = fee_cap_limit(
            gas_limit=limit, fee_cap=fee_cap, premium=premium, max_fee=self.max_fee or TOTAL_FILECOIN
        )
        return replace(estimate, gas_limit=limit, gas_fee_cap=fee_cap, gas_premium=premium)
