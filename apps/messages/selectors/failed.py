"""Messages of the last day that did not do what they were for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from apps.messages.selectors.messages import messages_visible
from apps.messages.states import MessageState

if TYPE_CHECKING:
    from datetime import datetime

    from apps.messages.models import Message
    from apps.users.principals import Principal

FAILED_HOURS: Final = 24
"""A failure is named for a day after the message was pushed."""


SHOWN: Final = (
    "id",
    "push_id",
    "to",
    "from_addr",
    "value",
    "method",
    "kind",
    "state",
    "exit_code",
    "error",
    "created_at",
)
"""What is shown of a failed message; parameters and signatures are long."""


def is_failed(message: Message, *, now: datetime) -> bool:
    """Return whether a message is one of these."""
    is_recent = message.created_at >= now - timedelta(hours=FAILED_HOURS)
    is_refused = message.state == MessageState.LANDED and message.exit_code != 0
    return is_recent and (is_refused or message.state == MessageState.FAILED)


def messages_failed(viewer: Principal, *, now: datetime, limit: int) -> list[Message]:
    """Return up to `limit` messages pushed within `FAILED_HOURS` that failed, newest first.

    Failed: given up before they landed, or landed with an exit code.  Each kind has its own index.
    """
    rows = messages_visible(viewer).filter(created_at__gte=now - timedelta(hours=FAILED_HOURS))
    rows = rows.select_related(None).only(*SHOWN)
    given_up = list(rows.filter(state=MessageState.FAILED)[:limit])
    refused = list(rows.filter(state=MessageState.LANDED).exclude(exit_code=0)[:limit])
    return sorted(given_up + refused, key=lambda row: row.created_at, reverse=True)[:limit]
