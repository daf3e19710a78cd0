"""Addresses of ours from which another program sends, too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.messages.models import Message, Sender
from apps.messages.states import PRESSING, MessageState, NoncesBy, SenderState

FOREIGN_SHOWN: Final = timedelta(days=1)
"""How long a message that is not ours is spoken of."""


def is_used_elsewhere(sender: Sender, *, now: datetime) -> bool:
    """Return whether a message that we did not make was seen from this address lately."""
    return sender.foreign_at is not None and now - sender.foreign_at < FOREIGN_SHOWN


def is_left_to_others(address: str) -> bool:
    """Return whether another program gives an address' nonces and nobody has let the pool send."""
    return Sender.objects.filter(address=address, nonces_by=NoncesBy.OTHER).exists()


def senders_odd(*, foreign_since: Any) -> Q:
    """Return the condition of senders with a gap, paused ones, and those that another program uses, too.

    A sender that is left to another program counts while a message of the pool waits for a person's word.
    """
    left = Q(Exists(messages_left()), nonces_by=NoncesBy.OTHER)
    seen = Q(foreign_at__gt=foreign_since) & ~Q(nonces_by=NoncesBy.OTHER)
    return ~Q(gap_nonce=None) | Q(state=SenderState.FORBIDDEN) | seen | left


def messages_left() -> QuerySet[Message]:
    """Return the messages that wait since their sender, the outer row, is left to another program."""
    waiting = Message.objects.filter(from_addr=OuterRef("address"), state=MessageState.UNFILLED)
    return waiting.filter(needs_approval=False).exclude(priority__in=PRESSING).order_by()


def senders_left(senders: Sequence[Sender]) -> list[Sender]:
    """Return those of the senders that are left to another program while messages of the pool wait."""
    left = [row.pk for row in senders if row.nonces_by == NoncesBy.OTHER]
    if not left:
        return []
    return list(Sender.objects.filter(Exists(messages_left()), pk__in=left).order_by("pk"))
