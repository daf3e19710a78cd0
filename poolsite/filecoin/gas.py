"""What gas costs: who is paid what for an executed message, the next base fee, gas for inclusion.

A sender offers a fee cap and a premium for each unit of gas.  Of the gas used it burns the base fee, which
the network sets; the including miner gets what the cap leaves, at most the premium, for the whole gas limit.
So a limit far above the use costs the sender twice: tips for gas that nobody used, and burn for
over-estimation.

Source: lotus chain/vm/burn.go, chain/store/basefee.go, node/impl/gasutils/gasutils.go,
build/buildconstants/params_shared_vals.go; FIP-0115 (base fee by premium); ref-fvm fvm/src/gas/price_list.rs
(inclusion).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from poolsite.filecoin.amounts import AttoFil

BLOCK_GAS_LIMIT: Final = 10_000_000_000
"""Highest sum of the gas limits of one block's messages."""
BLOCK_GAS_TARGET: Final = BLOCK_GAS_LIMIT // 2
"""Sum of gas limits per block at which the base fee stays (rule before network version 28)."""
BASE_FEE_MAX_CHANGE_DENOM: Final = 8
"""The base fee changes by at most one eighth per tipset."""
MINIMUM_BASE_FEE: Final = AttoFil(100)
"""Lowest base fee, attoFIL per gas."""
INITIAL_BASE_FEE: Final = AttoFil(100_000_000)
"""Base fee at genesis, attoFIL per gas."""
GAS_TARGET_INDEX: Final = BLOCK_GAS_LIMIT * 80 // 100 - 1
"""Unit of gas, counted down from the highest premium, whose premium sets the base fee: the 20th percentile of
a full block (rule since network version 28)."""
PACKING_EFFICIENCY_NUM: Final = 4
"""Numerator of the ratio 4/5: before the Smoke upgrade blocks were taken to be so full at best, since they
repeat messages."""
PACKING_EFFICIENCY_DEN: Final = 5
"""Denominator of that ratio."""
GAS_OVERUSE_NUM: Final = 11
"""Numerator of the ratio 11/10: a gas limit of up to so much of the gas used burns nothing extra."""
GAS_OVERUSE_DEN: Final = 10
"""Denominator of that ratio."""
MESSAGE_BASE_GAS: Final = 38_863 + 475_000
"""Gas of including any message: its processing, and the update of the sender's nonce and balance."""
MESSAGE_BYTE_GAS: Final = 1_300
"""Gas per byte of a message on chain."""
MESSAGE_OVERHEAD_BYTES: Final = 36
"""Bytes that are charged on top of the message's own."""
MIN_GAS_PREMIUM: Final = AttoFil(100_000)
"""Lowest premium that the estimator proposes, attoFIL per gas; doubled for inclusion in the next epoch."""
REPLACE_BY_FEE_MIN_PERCENT: Final = 110
"""A replacing message needs this percentage of the old premium, plus 1 attoFIL.

Source: lotus chain/messagepool/config.go ReplaceByFeePercentageMinimum.
"""


@dataclass(frozen=True, slots=True)
class GasOutputs:
    """Who is paid what for one executed message, attoFIL."""

    base_fee_burn: AttoFil
    """Burnt: base fee, or the fee cap if lower, for the gas used."""
    over_estimation_burn: AttoFil
    """Burnt: the same rate for `gas_burned`."""
    miner_penalty: AttoFil
    """Charged to the miner: what of the base fee the fee cap did not cover."""
    miner_tip: AttoFil
    """Paid to the miner by the sender: effective premium for the whole gas limit."""
    refund: AttoFil
    """Back to the sender, of fee cap times gas limit."""
    gas_refund: int
    """Unused gas that is not paid for, in gas."""
    gas_burned: int
    """Unused gas that is paid for, in gas: the limit was too far above the use."""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object with venus' member names; amounts are decimal strings."""
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
    """Return the unused gas as (refunded, burnt).  Source: burn.go ComputeGasOverestimationBurn.

    Nothing is burnt up to 1.1 times the gas used; from there the burnt share of the unused gas grows
    linearly, until at 2.1 times all of it is burnt.
    """
    if gas_used == 0:
        # Nothing was executed: no share can be formed, and all of the limit is burnt (burn.go).
        return 0, gas_limit
    # Burnt is the share (limit / used - 1.1) of the unused gas, at most all; times gas_used it stays whole.
    over = gas_limit - GAS_OVERUSE_NUM * gas_used // GAS_OVERUSE_DEN
    if over < 0:
        return gas_limit - gas_used, 0
    burnt = (gas_limit - gas_used) * min(over, gas_used) // gas_used
    return gas_limit - gas_used - burnt, burnt


def gas_outputs(*, gas_used: int, gas_limit: int, base_fee: int, fee_cap: int, premium: int) -> GasOutputs:
    """Return who pays what; `base_fee` is the ParentBaseFee of the block that includes the message.

    All prices are attoFIL per gas.  The sender's side adds up: both burns, tip and refund are fee cap times
    gas limit.  The penalty comes on top, from the miner.

    Source: burn.go ComputeGasOutputs.
    """
    pay = min(base_fee, fee_cap)
    tip = min(premium, fee_cap - pay)
    refunded, burnt = over_estimation(gas_used, gas_limit)
    # The network gets its base fee in any case: what the sender's cap leaves open is the including miner's.
    penalty = (base_fee - pay) * (gas_used + burnt)
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
    """Return the next base fee by how full the blocks were: the rule up to network version 27.

    At twice the target it rises by an eighth, with empty blocks it falls by one, linearly between and never
    below `MINIMUM_BASE_FEE`.  `gas_limits` is the sum over the tipset's messages, each CID once; limits
    count, not use, as blocks are filled by limits.

    Source: basefee.go ComputeNextBaseFee.
    """
    if before_smoke:
        use = PACKING_EFFICIENCY_DEN * gas_limits // (blocks * PACKING_EFFICIENCY_NUM)
    else:
        use = gas_limits // blocks
    delta = max(-BLOCK_GAS_TARGET, min(use - BLOCK_GAS_TARGET, BLOCK_GAS_TARGET))
    # Both divisions round down, a fall thus away from 0, as Go's big.Div does by a positive divisor.
    change = base_fee * delta // BLOCK_GAS_TARGET // BASE_FEE_MAX_CHANGE_DENOM
    return AttoFil(max(base_fee + change, MINIMUM_BASE_FEE))


def effective_premium(*, base_fee: int, fee_cap: int, premium: int) -> AttoFil:
    """Return the premium left after the base fee, attoFIL per gas; negative where the fee cap is below it.

    FIP-0115 and lotus' Message.EffectiveGasPremium stop at 0 instead.
    """
    return AttoFil(min(premium, fee_cap - base_fee))


def premium_at_target(premiums: Sequence[tuple[int, int]]) -> AttoFil:
    """Return the premium at the target unit of gas, from (effective premium, gas limit) of each message.

    The messages are laid out by falling premium, each as long as its gas limit; the target is a place on that
    line. 0 if the messages' gas does not reach it.  Source: basefee.go WeightedQuickSelect.
    """
    index = GAS_TARGET_INDEX
    for premium, gas_limit in sorted(premiums, reverse=True):
        if index < gas_limit:
            return AttoFil(premium)
        index -= gas_limit
    return AttoFil(0)


def base_fee_by_premium(base_fee: int, premium: int) -> AttoFil:
    """Return the next base fee by the premium at the target unit: the rule since network version 28.

    A premium of an eighth of the base fee keeps it, a higher one raises it by at most an eighth, a lower one
    lowers it: by an eighth where blocks are not filled and the premium is 0.

    Source: basefee.go nextBaseFeeFromPremium; FIP-0115.
    """
    # The highest change, an eighth, is rounded up (FIP-0115 MaxAdj), unlike in the old rule.
    most = -(-base_fee // BASE_FEE_MAX_CHANGE_DENOM)
    return AttoFil(max(base_fee + min(most, premium - most), MINIMUM_BASE_FEE))


@dataclass(frozen=True, slots=True)
class GasBid:
    """What the base fee depends on in a message; prices are attoFIL per gas."""

    gas_limit: int
    """Units of gas."""
    fee_cap: int
    """Most that the sender pays for a unit, base fee and premium together."""
    premium: int
    """Offered to the miner for a unit, within the fee cap."""


def base_fee_next(base_fee: int, bids: Sequence[GasBid], *, blocks: int, by_premium: bool) -> AttoFil:
    """Return the base fee after a tipset of `blocks` blocks with these messages, by either rule.

    Each message counts once, however many blocks repeat it: one CID is one message by the old rule, one pair
    of sender and nonce by the new.
    """
    if not by_premium:
        return base_fee_by_use(base_fee, gas_limits=sum(b.gas_limit for b in bids), blocks=blocks)
    premiums = [
        (effective_premium(base_fee=base_fee, fee_cap=b.fee_cap, premium=b.premium), b.gas_limit)
        for b in bids
    ]
    return base_fee_by_premium(base_fee, premium_at_target(premiums))
