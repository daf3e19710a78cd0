"""Failing messages whose last epoch has passed before they got a nonce."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext

from apps.chain.models import Head
from apps.messages.models import Message
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


def _expiry_text(row: Message) -> str:
    """Return that a message's last epoch has passed, and what it waited for until then."""
    text = gettext("epoch {expire_epoch} has passed").format(expire_epoch=row.expire_epoch)
    if not row.error:
        return text
    return gettext("{words}; before that: {error}").format(words=text, error=row.error)
