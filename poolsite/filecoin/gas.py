"""What gas costs: who is paid what for an executed message, the base fee of the next epoch, inclusion gas.

Source: lotus chain/vm/burn.go ComputeGasOutputs, chain/store/basefee.go, FIP-0115 (premium-based base fee),
ref-fvm price list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from poolsite.filecoin.amounts import AttoFil

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK_GAS_LIMIT: Final = 10_000_000_000
"""Gas that the messages of one block may name together."""
BLOCK_GAS_TARGET: Final = BLOCK_GAS_LIMIT // 2
"""Gas per block at which the base fee stands still (rule before network version 28)."""
BASE_FEE_MAX_CHANGE_DENOM: Final = 8
"""The base fee moves by at most one eighth per epoch."""
MINIMUM_BASE_FEE: Final = AttoFil(100)
"""Floor of the base fee, attoFIL per gas."""
INITIAL_BASE_FEE: Final = AttoFil(100_000_000)
"""Base fee at genesis."""
GAS_TARGET_INDEX: Final = BLOCK_GAS_LIMIT * 80 // 100 - 1
"""Unit of gas, counted from the highest premium, whose premium drives the base fee since version 28."""
PACKING_EFFICIENCY_NUM: Final = 4
PACKING_EFFICIENCY_DEN: Final = 5
GAS_OVERUSE_NUM: Final = 11
GAS_OVERUSE_DEN: Final = 10
"""A gas limit up to 11/10 of the use is free of over-estimation burn."""
MESSAGE_BASE_GAS: Final = 38_863 + 475_000
"""Gas of storing any message: computation and one actor update."""
MESSAGE_BYTE_GAS: Final = 1_300
"""Gas per stored byte."""
MESSAGE_OVERHEAD_BYTES: Final = 36
"""Bytes counted beside the message itself."""
MIN_GAS_PREMIUM: Final = AttoFil(100_000)
"""Least premium that the estimator proposes."""
REPLACE_BY_FEE_MIN_PERCENT: Final = 110
"""A replacing message needs this share of the old premium, plus 1 attoFIL."""
REPLACE_BY_FEE_PERCENT: Final = 125
"""Share of the old premium that senders use by default."""


@dataclass(frozen=True, slots=True)
class GasOutputs:
    """Where the money of one message's gas goes."""

    base_fee_burn: AttoFil
    """Burnt: base fee of the gas used."""
    over_estimation_burn: AttoFil
    """Burnt: for naming far more gas than used."""
    miner_penalty: AttoFil
    """Charged to the miner: base fee that the sender's cap did not cover."""
    miner_tip: AttoFil
    """Paid to the miner."""
    refund: AttoFil
    """Given back to the sender of limit x cap."""
    gas_refund: int
    """Gas not charged."""
    gas_burned: int
    """Gas charged as over-estimation."""

    def to_json(self) -> dict[str, Any]:
        """The members with venus' names; amounts as decimal strings."""
        return {
            "BaseFeeBurn": str(self.base_fee_burn),
            "OverEstimationBurn": str(self.over_estimation_burn),
            "MinerPenalty": str(self.miner_penalty),
            "MinerTip": str(self.miner_tip),
            "Refund": str(self.refund),
            "GasRefund": self.gas_refund,
            "GasBurned": self.gas_burned,
        }


def over_estimation(gas_used: int, gas_limit: int) -> tuple[int, int]:
    """Split the unused gas into (refunded, burnt).  Source: burn.go ComputeGasOverestimationBurn."""
    if gas_used == 0:
        return 0, gas_limit
    over = gas_limit - GAS_OVERUSE_NUM * gas_used // GAS_OVERUSE_DEN
    if over < 0:
        return gas_limit - gas_used, 0
    burnt = (gas_limit - gas_used) * min(over, gas_used) // gas_used
    return gas_limit - gas_used - burnt, burnt


def gas_outputs(
    *, gas_used: int, gas_limit: int, base_fee: int, fee_cap: int, premium: int, charge_fee: bool = True
) -> GasOutputs:
    """Divide the cost of a message; `base_fee` is the ParentBaseFee of the block that carries it."""
    pay = min(base_fee, fee_cap) if charge_fee else 0
    tip = min(premium, fee_cap - pay)
    refunded, burnt = over_estimation(gas_used, gas_limit)
    penalty = (base_fee - pay) * (gas_used + burnt) if charge_fee else 0
    refund = gas_limit * fee_cap - pay * gas_used - tip * gas_limit - pay * burnt
    return GasOutputs(
        base_fee_burn=AttoFil(pay * gas_used),
        over_estimation_burn=AttoFil(pay * burnt),
        miner_penalty=AttoFil(penalty),
        miner_tip=AttoFil(tip * gas_limit),
        refund=AttoFil(refund),
        gas_refund=refunded,
        gas_burned=burnt,
    )


def base_fee_by_use(base_fee: int, *, gas_limits: int, blocks: int, before_smoke: bool = False) -> AttoFil:
    """The next base fee by how full blocks were: the rule up to network version 27.

    `gas_limits` is the sum over the tipset's distinct messages.
    """
    if before_smoke:
        use = PACKING_EFFICIENCY_DEN * gas_limits // (blocks * PACKING_EFFICIENCY_NUM)
    else:
        use = gas_limits // blocks
    delta = max(-BLOCK_GAS_TARGET, min(use - BLOCK_GAS_TARGET, BLOCK_GAS_TARGET))
    change = base_fee * delta // BLOCK_GAS_TARGET // BASE_FEE_MAX_CHANGE_DENOM
    return AttoFil(max(base_fee + change, MINIMUM_BASE_FEE))


def effective_premium(*, base_fee: int, fee_cap: int, premium: int) -> AttoFil:
    """What is left for the miner per gas after the base fee; negative if the cap does not cover it."""
    return AttoFil(min(premium, fee_cap - base_fee))


def premium_at_target(premiums: Sequence[tuple[int, int]], *, index: int = GAS_TARGET_INDEX) -> AttoFil:
    """The premium at the target unit of gas, from (effective premium, gas limit) of each message.

    0 if the messages' gas does not reach that far.  Source: basefee.go weighted quick select.
    """
    for premium, gas_limit in sorted(premiums, reverse=True):
        if index < gas_limit:
            return AttoFil(premium)
        index -= gas_limit
    return AttoFil(0)


def base_fee_by_premium(base_fee: int, premium: int) -> AttoFil:
    """The next base fee by the premium at the target unit of gas: the rule since network version 28."""
    most = -(-base_fee // BASE_FEE_MAX_CHANGE_DENOM)
    return AttoFil(max(base_fee + min(most, premium - most), MINIMUM_BASE_FEE))


@dataclass(frozen=True, slots=True)
class GasBid:
    """The part of a message that the base fee depends on."""

    gas_limit: int
    fee_cap: int
    premium: int


def base_fee_next(base_fee: int, bids: Sequence[GasBid], *, blocks: int, by_premium: bool) -> AttoFil:
    """The base fee after a tipset of `blocks` blocks with these distinct messages, by either rule."""
    if not by_premium:
        return base_fee_by_use(base_fee, gas_limits=sum(b.gas_limit for b in bids), blocks=blocks)
    premiums = [
        (effective_premium(base_fee=base_fee, fee_cap=b.fee_cap, premium=b.premium), b.gas_limit)
        for b in bids
    ]
    return base_fee_by_premium(base_fee, premium_at_target(premiums))


def inclusion_gas(chain_length: int) -> int:
    """Gas for storing a message of `chain_length` bytes (SignedMessage.chain_length); exact."""
    return MESSAGE_BASE_GAS + MESSAGE_BYTE_GAS * (MESSAGE_OVERHEAD_BYTES + chain_length)


def fee_cap_estimate(base_fee: int, premium: int, *, epochs: int) -> AttoFil:
    """A cap that covers the base fee if it rises for `epochs`.  Source: gasutils GasEstimateFeeCap."""
    rise = int((1 + 1 / BASE_FEE_MAX_CHANGE_DENOM) ** epochs * 256)
    return AttoFil(base_fee * rise // 256 + premium)


def premium_estimate(prices: Sequence[tuple[int, int]], *, blocks: int, epochs: int) -> AttoFil:
    """A premium that was enough lately, from (premium, gas limit) of the messages of `blocks` blocks.

    Without lotus' 0.5 % of noise.  Source: gasutils GasEstimateGasPremium, medianGasPremium.
    """
    at = BLOCK_GAS_TARGET * blocks // 2 + BLOCK_GAS_TARGET * blocks // 40
    previous = premium = 0
    for price, gas_limit in sorted(prices, reverse=True):
        previous, premium = premium, price
        at -= gas_limit
        if at < 0:
            break
    if previous:
        premium = (premium + previous) // 2
    if premium < MIN_GAS_PREMIUM:
        premium = {1: 2 * MIN_GAS_PREMIUM, 2: 3 * MIN_GAS_PREMIUM // 2}.get(epochs, MIN_GAS_PREMIUM)
    return AttoFil(premium)


def fee_cap_limit(*, gas_limit: int, fee_cap: int, premium: int, max_fee: int) -> tuple[AttoFil, AttoFil]:
    """Cut cap and premium so that the whole gas costs at most `max_fee`.  Source: messagepool CapGasFee."""
    if gas_limit > 0 and fee_cap * gas_limit > max_fee:
        fee_cap = max_fee // gas_limit
    return AttoFil(fee_cap), AttoFil(min(premium, fee_cap))


def replacement_premium(premium: int, *, percent: int = REPLACE_BY_FEE_MIN_PERCENT) -> AttoFil:
    """The least premium that replaces a pending message of the same nonce.  Source: ComputeRBF."""
    return AttoFil(premium * percent // 100 + 1)
