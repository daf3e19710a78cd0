"""What happened to a message, line by line, beside the times in its row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.messages.models import MessageEvent

if TYPE_CHECKING:
    from datetime import datetime

    from apps.messages.models import Message


def event_record(message: Message, event: str, text: str, *, now: datetime) -> None:
    """Add a line to a message's timeline."""
    MessageEvent.objects.create(message=message, at=now, event=event, text=text[:1000])
