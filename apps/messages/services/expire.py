"""Failing messages whose last epoch has passed before they got a nonce."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from apps.chain.models import Head
from apps.core.reasons import Reason, as_reason
from apps.messages.models import Message
from apps.messages.reasons import BEFORE_THAT, EXPIRED
from apps.messages.services.bulk_transitions import message_changes_publish, messages_advance
from apps.messages.states import MessageState, Wait


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


def _expiry_text(row: Message) -> Reason:
    """Return that a message's last epoch has passed, and what it waited for until then."""
    text = EXPIRED(expire_epoch=row.expire_epoch)
    return BEFORE_THAT(words=text, error=as_reason(row.error)) if row.error else text
