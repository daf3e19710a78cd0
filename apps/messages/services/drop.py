"""Giving up a message that has no nonce yet, for the app that pushed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.messages.states import Wait

if TYPE_CHECKING:
    from datetime import datetime

    from apps.messages.models import Message


@transaction.atomic
def message_withdraw(message: Message, *, reason: str, now: datetime) -> None:
    """Give up a message that was not signed yet, so that nothing of it can reach the chain.

    Raises WrongState if it has a nonce, LostRace if it got one this moment.
    """
    advance(message, "EXPIRE", wait=Wait.EXPIRED, error=reason[:2000], updated_at=now)
    publish(Change("message", message.pk, message.tenant_id))
