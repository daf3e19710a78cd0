"""One change to many messages: what was done, and why not where it was not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from apps.core.errors import BadValue, DomainError
from apps.messages.services.audit import message_audit
from apps.messages.services.backoff import message_retry_now
from apps.messages.services.cancel import message_cancel
from apps.messages.services.publish import messages_publish
from apps.messages.services.replace import NewFees, message_mark_bad, message_replace
from apps.messages.states import MessageState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from apps.chain.client import ChainClient
    from apps.chain.models import Head
    from apps.messages.models import Message
    from apps.users.principals import Principal

BULK_STATES: Final[dict[str, tuple[MessageState, ...]]] = {
    "replace": (MessageState.FILLED,),
    "cancel": (MessageState.FILLED,),
    "republish": (MessageState.FILLED,),
    "retry-now": (MessageState.UNFILLED,),
    "mark-bad": (MessageState.UNFILLED, MessageState.FILLED),
}
"""Which messages an action is for; others of a filter are passed over."""

BULK_MAX: Final = 500
"""Messages of one request: each replacement asks the node and the signer."""


@dataclass(slots=True)
class BulkDone:
    """What became of each message."""

    done: list[Message] = field(default_factory=list)
    refused: list[tuple[Message, str]] = field(default_factory=list)
    """Each with the reason."""


def messages_bulk(
    action: str,
    rows: Iterable[Message],
    *,
    client: ChainClient,
    head: Head,
    now: datetime,
    by: Principal | None = None,
) -> BulkDone:
    """Do one thing to each message, in the order given; one refusal does not stop the others.

    Raises BadValue for an unknown action; what was done before a node went away stays done.
    """
    if action not in BULK_STATES:
        raise BadValue(f"is one of {', '.join(BULK_STATES)}", field="action")
    found = BulkDone()
    fresh: dict[str, Message] = {}
    """Keys of what is to be published, with the message for which."""
    for row in rows:
        try:
            if new := _one(action, row, client=client, head=head, now=now, by=by):
                fresh[new] = row
        except DomainError as error:
            found.refused.append((row, error.reason))
        else:
            found.done.append(row)
    told = messages_publish(fresh, now=now)
    for new, row in fresh.items():
        if new in told.refused and new not in told.taken:
            found.done.remove(row)
            found.refused.append((row, told.refused[new]))
    return found


def _one(
    action: str, row: Message, *, client: ChainClient, head: Head, now: datetime, by: Principal | None
) -> str:
    """Do it to one message; gives the id of what has to be published then."""
    if action == "replace":
        return message_replace(message=row, fees=NewFees(), client=client, head=head, now=now, by=by).pk
    if action == "cancel":
        return message_cancel(message=row, client=client, head=head, now=now, by=by).pk
    if action == "mark-bad":
        message_mark_bad(message=row, now=now, by=by)
        return ""
    if action == "retry-now":
        message_retry_now(message=row, now=now, by=by)
        return ""
    message_audit(by, "message.republish", row, after={"nodes": "all"})
    return row.pk
