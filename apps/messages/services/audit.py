"""What was done to messages: lines of the audit log, and of a message's own timeline."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import Count
from django.utils.translation import gettext_noop

from apps.core.formatting import plural_kept
from apps.core.reasons import fitted
from apps.messages.models import Message, MessageEvent
from apps.messages.states import ATTEMPT
from apps.users.rules.principals import Principal
from apps.users.services.audit import AuditEvent, audit_entries_record
from poolsite.filecoin.amounts import fil_format

EVENT_MAX: Final = 1000
"""Characters of a line of a timeline."""
ATTEMPTS_KEPT: Final = 40
"""Attempts of one message that its timeline names: with the pauses between them, those of a day."""


def _message_target(message: Message) -> str:
    """Return how the log names a message: by its caller's id, and by the one that no other has."""
    return str(message.push_id if message.push_id == message.pk else f"{message.push_id} ({message.pk})")


def message_audit(
    by: Principal | None, *, action: str, message: Message, before: Any = None, after: Any = None
) -> None:
    """Write down what somebody did to a message; nothing where the pool did it by itself."""
    messages_audit(by, action=action, rows=[(message, before, after)])


def messages_audit(by: Principal | None, *, action: str, rows: Iterable[tuple[Message, Any, Any]]) -> None:
    """Write a line for each message: before and after stand beside it."""
    if by is not None:
        audit_entries_record(
            [
                AuditEvent(
                    principal=by, action=action, target=_message_target(row), before=before, after=after
                )
                for row, before, after in rows
            ]
        )


def group_audit(by: Principal | None, *, action: str, rows: Sequence[Message], after: dict[str, Any]) -> None:
    """Write one line for what somebody did to several messages at once, with the name of each."""
    if by is not None:
        names = [_message_target(row) for row in rows]
        target = plural_kept(len(rows), "message")
        audit_entries_record(
            [AuditEvent(principal=by, action=action, target=target, after={**after, "messages": names})]
        )


def pushes_audit(pushed: Sequence[tuple[Principal, Message]]) -> None:
    """Write a line for each message that was pushed from outside."""
    audit_entries_record(
        [
            AuditEvent(
                principal=by, action="message.push", target=_message_target(row), after=_pushed_fields(row)
            )
            for by, row in pushed
        ]
    )


def _pushed_fields(row: Message) -> dict[str, Any]:
    """Return what a message asks for, with units."""
    return {
        "from": row.from_addr,
        "to": row.to,
        "value": fil_format(int(row.value)),
        "method": row.method,
        "params": gettext_noop("{params} bytes").format(params=len(bytes(row.params))),
    }


def fees_describe(row: Message) -> dict[str, str]:
    """Return the fees of a message, with units."""
    return {
        "gas_limit": gettext_noop("{gas_limit} gas").format(gas_limit=row.gas_limit),
        "fee_cap": gettext_noop("{gas_fee_cap} attoFIL per gas").format(gas_fee_cap=row.gas_fee_cap),
        "premium": gettext_noop("{gas_premium} attoFIL per gas").format(gas_premium=row.gas_premium),
    }


def attempts_record(
    rows: Collection[Message], *, reasons: Mapping[str, str], height: int, now: datetime
) -> None:
    """Add a line to the timeline of each message that was not signed; `reasons` says why by id.

    So many of each message: one that is tried for days says in its row how often.
    """
    counted = MessageEvent.objects.filter(message__in=[row.pk for row in rows], event=ATTEMPT).order_by()
    many = dict(counted.values_list("message").annotate(Count("pk")))
    MessageEvent.objects.bulk_create(
        [
            MessageEvent(
                message_id=row.pk,
                at=now,
                height=height,
                event=ATTEMPT,
                text=fitted(reasons.get(row.pk, ""), EVENT_MAX),
            )
            for row in rows
            if many.get(row.pk, 0) < ATTEMPTS_KEPT
        ]
    )


def event_record(message: Message, *, event: str, text: str, now: datetime) -> None:
    """Add a line to a message's timeline."""
    events_record([message], event=event, text=text, now=now)


def events_record(messages: Iterable[Message], *, event: str, now: datetime, text: str = "") -> None:
    """Add the same line to the timeline of each message."""
    MessageEvent.objects.bulk_create(
        [MessageEvent(message=row, at=now, event=event, text=fitted(text, EVENT_MAX)) for row in messages]
    )
