"""Ending messages whose last epoch has passed: they fail, or are cancelled if they have a nonce."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import structlog
from django.db import transaction

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.isolation import for_each_isolated
from apps.core.errors import DomainError
from apps.core.reasons import Reason, as_reason
from apps.messages.models import Message
from apps.messages.reasons import BEFORE_THAT, EXPIRED
from apps.messages.services.bulk_transitions import message_changes_publish, messages_advance
from apps.messages.services.cancel import message_cancel
from apps.messages.services.publish import messages_publish
from apps.messages.states import CANCELLED_LATE, MessageState, Wait

log = structlog.get_logger(__name__)

AGAIN_EPOCHS: Final = 5
"""Between two attempts to cancel: a signer that refuses notes each of them."""


def messages_expire(*, head: Head, now: datetime) -> list[str]:
    """Fail the messages whose last epoch has passed before they got a nonce."""
    late = Message.objects.filter(
        state=MessageState.UNFILLED, expire_epoch__gt=0, expire_epoch__lt=head.height
    ).order_by()
    if not late.exists():  # the usual case, without a transaction
        return []
    with transaction.atomic():
        data = {
            row.pk: {
                "wait": Wait.EXPIRED,
                "error": _expiry_text(row),
            }
            for row in late.select_for_update(skip_locked=True)
        }
        moved = messages_advance("EXPIRE", rows=data, now=now)
        message_changes_publish(moved)
        return list(moved)


def late_messages_cancel(*, client: ChainClient, head: Head, now: datetime) -> list[str]:
    """Cancel the messages in flight that should not land any more; returns the ids of the transfers.

    What cannot be cancelled is tried again after `AGAIN_EPOCHS`, its sender's others with it.
    """
    late = Message.objects.filter(
        state=MessageState.FILLED, kind__in=CANCELLED_LATE, expire_epoch__gt=0, expire_epoch__lt=head.height
    )
    transfers: list[str] = []
    refused: set[str] = set()

    def cancel(row: Message) -> None:
        if row.from_addr in refused or (head.height - (row.expire_epoch or 0)) % AGAIN_EPOCHS != 1:
            return
        try:
            transfers.append(message_cancel(message=row, client=client, head=head, now=now).pk)
        except DomainError as error:
            refused.add(row.from_addr)
            log.warning("late_message_not_cancelled", message=row.pk, reason=error.reason[:200])

    for_each_isolated(list(late.order_by("from_addr", "nonce")), cancel, event="late_message_not_cancelled")
    if transfers:
        messages_publish(transfers, now=now)
    return transfers


def _expiry_text(row: Message) -> Reason:
    """Return that a message's last epoch has passed, and what it waited for until then."""
    text = EXPIRED(expire_epoch=row.expire_epoch)
    return BEFORE_THAT(words=text, error=as_reason(row.error)) if row.error else text
