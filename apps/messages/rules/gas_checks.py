"""Checks of gas values, fee caps and wishes against what any block could carry."""

from __future__ import annotations

from typing import Final

from apps.core.marked_texts import gettext
from apps.core.reasons import Reason
from apps.messages.errors import BadMessage, CapBelowPremium
from apps.messages.models import Message
from apps.messages.reasons import GAS_LIMIT_LOW, NEEDS
from poolsite.filecoin.amounts import FIL, TOTAL_FILECOIN, fil_format
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT
from poolsite.filecoin.gas_estimates import unsigned_inclusion_gas
from poolsite.filecoin.message import Message as ChainMessage

FACTOR_MAX: Final = 1000
"""Largest factor on gas or premium that makes any sense."""

GAS_FEE_CAP_MIN: Final = 100
"""attoFIL: below it no pool takes a message.  Source: lotus chain/messagepool minimumBaseFee."""

SHORTFALL_STEP: Final = FIL // 10_000
"""attoFIL to which a shortfall is rounded."""


def gas_check(row: Message) -> None:
    """Check gas values and wishes against what any block could carry."""
    if not 0 <= row.gas_limit <= BLOCK_GAS_LIMIT:
        raise BadMessage(
            gettext("the gas limit must be between 0 and {block_gas_limit}").format(
                block_gas_limit=BLOCK_GAS_LIMIT
            ),
            field="gas_limit",
        )
    for name in ("gas_fee_cap", "gas_premium", "max_fee", "hold_base_fee"):
        if not 0 <= getattr(row, name) <= TOTAL_FILECOIN:
            raise BadMessage(gettext("the amount must be from 0 to the total FIL supply"), field=name)
    if row.gas_fee_cap and row.gas_premium > row.gas_fee_cap:
        raise CapBelowPremium(field="gas_premium")
    fee_cap_check(row.gas_fee_cap)
    for name in ("gas_over_estimation", "gas_over_premium"):
        if not 0 <= getattr(row, name) <= FACTOR_MAX:
            raise BadMessage(
                gettext("the factor must be between 0 and {most}").format(most=FACTOR_MAX), field=name
            )
    for name in ("expire_epoch", "hold_until"):
        if not 0 <= getattr(row, name) < 1 << 62:
            raise BadMessage(gettext("not a valid epoch"), field=name)
    if row.gas_limit and (reason := gas_shortfall_describe(row.chain_message())):
        raise BadMessage(reason, field="gas_limit")


def fee_cap_check(cap: int) -> None:
    """Refuse a fee cap with which no node takes a message; 0 stands for none.  Raises BadMessage."""
    if 0 < cap < GAS_FEE_CAP_MIN:
        reason = gettext("must be at least {least} attoFIL: the base fee is never lower").format(
            least=GAS_FEE_CAP_MIN
        )
        raise BadMessage(reason, field="gas_fee_cap")


def gas_shortfall_describe(message: ChainMessage) -> Reason | None:
    """Return why no node takes this gas limit: it must buy the message's bytes on chain; None if it does.

    Source: lotus chain/messagepool/messagepool.go verifyMsgBeforeAdd.
    """
    least = unsigned_inclusion_gas(message)
    if message.gas_limit >= least:
        return None
    return GAS_LIMIT_LOW(gas_limit=message.gas_limit, least=least)


def shortfall_describe(need: int, *, balance: int) -> Reason:
    """Return what a sender lacks, to 0.0001 FIL: need rounded up and balance down, so that they differ."""
    step = 1 if need < SHORTFALL_STEP else SHORTFALL_STEP
    need_rounded = -(-need // step) * step
    balance_rounded = max(balance, 0) // step * step
    return NEEDS(need=fil_format(need_rounded), balance=fil_format(balance_rounded))
