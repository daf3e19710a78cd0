"""Messages that declare sectors of one partition faulty or recovered: pushed once, watched, sent again.

The id is the row's and counts the messages, so that a kill between push and note sends no second one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from apps.core.errors import DomainError
from apps.core.reasons import refused
from apps.messages.errors import MessageIdTaken
from apps.messages.models import Message
from apps.messages.services.cancel import message_withdraw
from apps.messages.services.push import message_push
from apps.messages.states import MessageState, Wait
from apps.miners.selectors.miners import miner_principal
from apps.miners.selectors.senders import sender_choose
from apps.miners.states import Use
from apps.proving.models import FaultDeclaration, Partition, Recovery
from apps.proving.reasons import DEBT_CHANGED, TRANSFERRED
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.selectors.other_senders import (
    message_end_describe,
    other_sender_choose,
    other_sender_describe,
)
from apps.proving.states import DeclarationState, RecoveryState
from poolsite.filecoin.actors.exitcodes import exit_code_text

log = structlog.get_logger(__name__)

ENDED: Final = (MessageState.LANDED, MessageState.FAILED, MessageState.REPLACED)


def declaration_push(
    row: Recovery | FaultDeclaration,
    *,
    prefix: str,
    kind: str,
    method: int,
    params: bytes,
    value: int = 0,
    sender: str = "",
) -> str:
    """Push the declaration and return its id; empty if it could not be, and then the row says why.

    `sender` is another address than the chosen one.
    """
    message_id = f"{prefix}:{row.uuid}:{row.messages_sent}"
    try:
        message_push(
            principal=miner_principal(row.miner),
            id=message_id,
            to=row.miner.address,
            from_=sender or sender_choose(row.miner, Use.POST, needed=value).address,
            value=value,
            method=method,
            params=params,
            kind=kind,
            time_sensitive=True,
            expire_epoch=row.cutoff_epoch - 1,
            urgent_epoch=row.cutoff_epoch,
        )
    except MessageIdTaken:  # a kill came between push and note, and debt or sender are others now
        log.warning("declaration_was_pushed", message=message_id)
    except DomainError as error:
        type(row).objects.filter(pk=row.pk).update(error=refused(error))
        return ""
    return message_id


def declaration_partition_find(row: Recovery | FaultDeclaration, *, numbers: Sequence[int]) -> int:
    """Return the partition that a declaration's sectors are in: a compaction gives others another number."""
    rows = Partition.objects.filter(deadline__miner=row.miner_id, deadline__index=row.deadline_index)
    found = rows.filter(all_sectors__contains=[numbers[0]]).values_list("index", flat=True).first()
    return row.partition_index if found is None else found


def declaration_outcome_resolve(
    row: Recovery | FaultDeclaration, *, message: Message, context: ProvingContext
) -> tuple[str, str]:
    """Return the event that a message's end makes, and why; two empty texts while it has none."""
    if message.state == MessageState.LANDED and message.exit_code == 0:
        return "LAND", ""
    if message.state not in ENDED or context.head.height >= row.cutoff_epoch:
        return "", ""
    if message.state == MessageState.LANDED:
        return "RESEND", exit_code_text(message.exit_code, actor="miner")[:2000]
    return "RESEND", message_end_describe(message)


def declaration_withdraw(
    row: Recovery | FaultDeclaration,
    *,
    message: Message,
    prefix: str,
    context: ProvingContext,
    value: int = 0,
) -> tuple[str, str]:
    """Withdraw a message without a nonce that cannot land; returns why, and another address for the next one.

    `value` is what a message must carry now.  The reason is empty if the message was left as it is.
    Raises WrongState or LostRace if it was signed this moment.
    """
    reason = sender = ""
    if message.state != MessageState.UNFILLED:
        return "", ""
    if message.tenant_id != row.miner.tenant_id:
        # The message waits for the old tenant's signer or funds; the new tenant sends its own.
        reason = TRANSFERRED()
    elif message.wait in (Wait.FUNDS, Wait.ESTIMATE) and message.value != value:
        reason = DEBT_CHANGED()
    else:
        pushed = [f"{prefix}:{row.uuid}:{number}" for number in range(row.messages_sent)]
        height = context.head.height
        sender = other_sender_choose(
            message,
            miner=row.miner,
            pushed=pushed,
            waits=height - (message.pushed_height or height),
            needed=value,
        )
        reason = other_sender_describe(message) if sender else ""
    if reason:
        message_withdraw(message, reason=reason, now=context.now)
    return reason, sender


def declaration_may_have_landed(
    row: Recovery | FaultDeclaration, *, message: Message | None, context: ProvingContext
) -> bool:
    """Return whether the message is in flight, and blocks before the cut-off may still include it."""
    is_sent = row.state in (DeclarationState.SENT, RecoveryState.SENT)
    if message is None or not is_sent or message.state != MessageState.FILLED:
        return False
    return context.head.height < row.cutoff_epoch + context.network.confidences.message
