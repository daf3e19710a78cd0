"""The fees of a replacement: estimated or given, above what the node's pool demands, below the limit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.gas_estimates import GasSpec
from apps.core.formatting import fee_text, whole
from apps.core.marked_texts import gettext
from apps.messages.errors import FeeTooLow
from apps.messages.models import Message
from apps.messages.rules.gas_checks import fee_cap_check, shortfall_describe
from apps.messages.selectors.fees import fee_choice_resolve, fee_limit_cap
from poolsite.filecoin.amounts import AttoFil, fil_format
from poolsite.filecoin.message import Message as ChainMessage

RBF_PERCENT_MIN: Final = 110
"""What every pool demands at least.  Source: lotus chain/messagepool/config.go
ReplaceByFeePercentageMinimum."""

RBF_RATIO_DEFAULT: Final = 1.25
"""Used where the node does not report its own."""


@dataclass(frozen=True, slots=True)
class NewFees:
    """What a replacement should pay."""

    is_auto: bool = True
    """Estimate anew and raise at least as far as the pool demands."""
    max_fee: int = 0
    gas_limit: int = 0
    premium: int = 0
    fee_cap: int = 0
    over_premium: float = 0.0


def premium_floor_compute(premium: int, *, ratio: float = RBF_RATIO_DEFAULT) -> int:
    """Return the least premium that a pool takes in the place of `premium`."""
    percent = max(round(ratio * 100), RBF_PERCENT_MIN)
    return premium * percent // 100 + 1


def auto_fees_estimate(
    message: Message, *, fees: NewFees, funds: int, client: ChainClient, head: Head
) -> ChainMessage:
    """Estimate premium and cap anew, raise them over the pool's rule, and hold them under limit and funds.

    `funds` are what its sender has for its gas: a node's pool takes no message that could cost more.
    """
    old = message.chain_message()
    floor = premium_floor_read(message, client=client)
    choice = fee_choice_resolve(message, client=client, key=head.key)
    limit = fee_limit_cap(fees.max_fee or choice.spec.max_fee, message=message)
    spec = GasSpec(max_fee=limit, gas_over_premium=fees.over_premium or choice.spec.gas_over_premium)
    blank = replace(
        old,
        gas_limit=fees.gas_limit or old.gas_limit,
        gas_fee_cap=AttoFil(0),
        gas_premium=AttoFil(0),
    )
    found = client.gas_estimate_message(blank, spec, head.key)
    cap = max(found.gas_fee_cap, found.gas_premium, floor, old.gas_fee_cap)
    if limit and cap * found.gas_limit > limit:
        cap = limit // found.gas_limit
    if cap < floor:
        raise FeeTooLow(
            gettext(
                "replacing the message takes a premium of {floor}; max fee {limit} allows a fee cap "
                "of {cap} with a gas limit of {gas_limit}"
            ).format(
                floor=fee_text(floor),
                limit=fil_format(limit),
                cap=fee_text(cap),
                gas_limit=whole(found.gas_limit),
            ),
            field="max_fee",
        )
    if cap < head.base_fee:  # paying more for something that still cannot land
        raise FeeTooLow(
            gettext("max fee {limit} allows a fee cap of {cap}, below the base fee of {base_fee}").format(
                limit=fil_format(limit), cap=fee_text(cap), base_fee=fee_text(int(head.base_fee))
            ),
            field="max_fee",
        )
    cap = min(cap, funds // found.gas_limit)
    if cap < (needed := max(floor, int(head.base_fee))):
        lack = shortfall_describe(needed * found.gas_limit, balance=funds)
        raise FeeTooLow(lack, field="max_fee")
    premium = min(max(found.gas_premium, floor), cap)
    return replace(old, gas_limit=found.gas_limit, gas_premium=AttoFil(premium), gas_fee_cap=AttoFil(cap))


def manual_fees_apply(message: Message, *, fees: NewFees, funds: int) -> ChainMessage:
    """Return the message with the fees that were given.  Raises where a node's pool or a cap forbids them.

    `funds` are what its sender has beside the message's value.
    """
    old = message.chain_message()
    if fees.premium <= 0:
        raise FeeTooLow(
            gettext("the premium must be above zero"),
            field="gas_premium",
            wire=f"gas premium({fees.premium}) must bigger than zero",
        )
    if fees.fee_cap <= 0:
        raise FeeTooLow(
            gettext("the fee cap must be above zero"),
            field="gas_fee_cap",
            wire=f"gas feecap({fees.fee_cap}) must bigger than zero",
        )
    if fees.fee_cap < fees.premium:
        raise FeeTooLow(
            gettext("the fee cap is below the premium"),
            field="gas_fee_cap",
            wire=f"gas feecap({fees.fee_cap}) must bigger or equal than gas premium ({fees.premium})",
        )
    floor = premium_floor_compute(old.gas_premium, ratio=RBF_PERCENT_MIN / 100)
    if fees.premium < floor:
        reason = gettext(
            "the premium of {premium} is below {floor}, the minimum to replace the message"
        ).format(premium=fee_text(fees.premium), floor=fee_text(floor))
        raise FeeTooLow(reason, field="gas_premium")
    fee_cap_check(fees.fee_cap)
    limit = fees.gas_limit or old.gas_limit
    most = fee_limit_cap(fees.max_fee, message=message)
    if most and fees.fee_cap * limit > most:
        reason = gettext("{fee} is more than the max fee of {most}").format(
            fee=fil_format(fees.fee_cap * limit), most=fil_format(most)
        )
        raise FeeTooLow(reason, field="max_fee")
    if (cost := fees.fee_cap * limit) > funds:
        raise FeeTooLow(shortfall_describe(cost, balance=funds), field="gas_fee_cap")
    return replace(old, gas_limit=limit, gas_premium=AttoFil(fees.premium), gas_fee_cap=AttoFil(fees.fee_cap))


def premium_floor_read(message: Message, *, client: ChainClient) -> int:
    """Return the least premium that the node's pool takes in the place of the message's."""
    return premium_floor_compute(int(message.gas_premium), ratio=replace_ratio_read(client))


def replace_ratio_read(client: ChainClient) -> float:
    """Return how many times the old premium the node's pool wants for a replacement."""
    return float(client.mpool_get_config().get("ReplaceByFeeRatio") or RBF_RATIO_DEFAULT)
