"""Messages of the last day that did not do what they were for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db.models import QuerySet

from apps.messages.models import Message
from apps.messages.selectors.messages import messages_visible
from apps.messages.states import MessageState
from apps.users.rules.principals import Principal

FAILED_HOURS: Final = 24
"""A failure is named for so long, however long the message had waited before."""


SHOWN: Final = (
    "id",
    "push_id",
    "tenant",
    "to",
    "from_addr",
    "value",
    "method",
    "kind",
    "state",
    "wait",
    "needs_approval",
    "exit_code",
    "error",
    "error_coded",
    "created_at",
    "updated_at",
    "landed_at",
)
"""What is shown of a failed message; parameters and signatures are long."""


class GroupedRow(NamedTuple):
    """The fields of a message that groups are made of: whole messages take five times as long to read."""

    pk: str
    kind: str
    method: int
    state: str
    wait: str
    exit_code: int | None
    needs_approval: bool
    from_addr: str
    created_at: datetime
    updated_at: datetime
    landed_at: datetime | None
    error: str
    tenant: str = ""
    """Name of its tenant, as far as it was read; empty without one."""


OWN_FIELDS: Final = GroupedRow._fields[:-1]


def failed_at(message: Message | GroupedRow) -> datetime | None:
    """Return when a message failed, None if it did not: nothing changes the row of one that was given up."""
    if message.state == MessageState.LANDED and message.exit_code != 0:
        return message.landed_at
    return message.updated_at if message.state == MessageState.FAILED else None


def is_failed(message: Message, *, now: datetime) -> bool:
    """Return whether a message is one of these."""
    at = failed_at(message)
    return at is not None and at >= now - timedelta(hours=FAILED_HOURS)


def given_up_since(rows: QuerySet[Message], since: datetime) -> QuerySet[Message]:
    """Return those of the messages that were given up since a moment, newest first, by an index of them."""
    return rows.filter(state=MessageState.FAILED, updated_at__gte=since).order_by("-updated_at", "-pk")


def refused_since(rows: QuerySet[Message], since: datetime) -> QuerySet[Message]:
    """Return those that landed with an exit code since a moment, newest first, by an index of them."""
    refused = rows.filter(state=MessageState.LANDED, landed_at__gte=since).exclude(exit_code=0)
    return refused.order_by("-landed_at", "-pk")


def messages_failed(viewer: Principal, *, now: datetime, limit: int) -> list[Message]:
    """Return up to `limit` messages that failed within `FAILED_HOURS`, newest first.

    Failed: given up before they landed, or landed with an exit code.
    """
    since = now - timedelta(hours=FAILED_HOURS)
    rows = messages_visible(viewer).select_related(None).only(*SHOWN)
    found = [*given_up_since(rows, since)[:limit], *refused_since(rows, since)[:limit]]
    return sorted(found, key=lambda row: failed_at(row) or since, reverse=True)[:limit]
