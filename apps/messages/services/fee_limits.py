"""Raising the fee limits of a message that is not signed yet."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.db import transaction

from apps.core.live import Change, publish
from apps.messages.errors import BadMessage
from apps.messages.models import Message
from apps.messages.services.push import selection_enqueue
from apps.messages.services.timeline import event_record
from apps.messages.services.validate import fee_cap_check
from apps.messages.states import WIRE_NAMES, MessageState
from poolsite.filecoin.amounts import TOTAL_FILECOIN, fil_format

if TYPE_CHECKING:
    from datetime import datetime


@transaction.atomic
def fee_limits_set(*, message: Message, max_fee: int, gas_fee_cap: int, now: datetime) -> Message:
    """Give a message without a nonce its own largest fee and fee cap, and have it tried at once.

    They go before those of its sender, its method and the pool; the gas guard's cap still holds.  0 leaves
    the rules to decide.  Raises BadMessage if it is signed already or a value cannot be paid.
    """
    row = Message.objects.select_for_update().get(pk=message.pk)
    if row.state != MessageState.UNFILLED:
        raise BadMessage(f"need UnFillMsg got {WIRE_NAMES[row.state]}", field="id")
    for name, value in (("max_fee", max_fee), ("gas_fee_cap", gas_fee_cap)):
        if not 0 <= value <= TOTAL_FILECOIN:
            raise BadMessage("not an amount that a message can pay", field=name)
    fee_cap_check(gas_fee_cap)
    if gas_fee_cap and row.gas_premium > gas_fee_cap:
        raise BadMessage("'GasFeeCap' less than 'GasPremium'", field="gas_fee_cap")
    text = f"max fee {fil_format(max_fee)}, fee cap {gas_fee_cap} attoFIL"
    Message.objects.filter(pk=row.pk).update(
        max_fee=max_fee, gas_fee_cap=gas_fee_cap, retry_height=0, attempts=0, updated_at=now
    )
    event_record(row, "fee raised", text, now=now)
    publish(Change("message", row.pk, row.tenant_id))
    transaction.on_commit(partial(selection_enqueue, row.from_addr))
    row.refresh_from_db()
    return row
