"""Messages that wait for a second person: asking, approving, refusing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F

from apps.core.errors import NotAllowed
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import fitted
from apps.core.transitions import advance, advance_many
from apps.messages.errors import BadMessage, PersonRequired, SecondPersonRequired
from apps.messages.models import Message, MessageApproval, MessageEvent, Sender
from apps.messages.reasons import REFUSED, REFUSED_AS, UNAPPROVED
from apps.messages.rules.message_states import wrong_state
from apps.messages.selectors.approval_choice import content_digest_compute
from apps.messages.services.audit import EVENT_MAX, event_record, message_audit
from apps.messages.services.bulk_transitions import message_changes_publish, messages_advance
from apps.messages.services.selection_queue import selection_enqueue
from apps.messages.states import APPROVAL_WITHIN, ApprovalState, MessageState, Wait
from apps.users.rules.principals import Principal
from apps.users.services.people import person_principal_lock

RULE_MAX = 300
"""Characters of a rule that an approval keeps."""
WAITS_EVENT = "waits for approval"
REFUSED_EVENT = "not approved"
"""Events of a message's timeline."""


def approvals_store(rows: Sequence[Message], *, rules: Mapping[str, str], now: datetime) -> None:
    """Store that new messages wait for a second person; `rules` says by their ids what made them wait."""
    MessageApproval.objects.bulk_create(
        [MessageApproval(message=row, rule=fitted(rules[row.pk], RULE_MAX), asked_at=now) for row in rows]
    )
    _asked_note([row.pk for row in rows], rules=rules, now=now)


@transaction.atomic
def messages_require_approval(rules: Mapping[str, str], *, now: datetime) -> list[str]:
    """Mark messages without a nonce as waiting for a second person; return the ids of those newly marked.

    `rules` says by id which rule fits.  What a selection has signed of them meanwhile is thrown away.
    """
    waiting = Message.objects.filter(pk__in=list(rules), state=MessageState.UNFILLED, needs_approval=False)
    senders = Sender.objects.filter(address__in=waiting.order_by().values("from_addr"))
    locked = [row.pk for row in senders.select_for_update().order_by("pk")]
    Sender.objects.filter(pk__in=locked).update(version=F("version") + 1)
    tenants = dict(waiting.select_for_update().order_by("pk").values_list("pk", "tenant_id"))
    Message.objects.filter(pk__in=list(tenants)).update(
        needs_approval=True, wait=Wait.APPROVAL, error="", updated_at=now
    )
    MessageApproval.objects.bulk_create(
        [MessageApproval(message_id=pk, rule=fitted(rules[pk], RULE_MAX), asked_at=now) for pk in tenants],
        ignore_conflicts=True,
    )
    _ask_again(list(tenants), now=now)
    _asked_note(list(tenants), rules=rules, now=now)
    message_changes_publish(tenants)
    return list(tenants)


def approval_reset(row: Message, *, now: datetime) -> None:
    """Mark a message that is reopened as waiting anew if it ever waited; the caller has its lock."""
    MessageApproval.objects.filter(message=row, state=ApprovalState.PENDING).update(asked_at=now)
    if _ask_again([row.pk], now=now) or row.needs_approval:
        Message.objects.filter(pk=row.pk).update(needs_approval=True, wait=Wait.APPROVAL)
        row.refresh_from_db()


def _ask_again(ids: Sequence[str], *, now: datetime) -> dict[Any, Any]:
    """Reset the decisions about these messages, where there are any."""
    decided = MessageApproval.objects.filter(message__in=ids).exclude(state=ApprovalState.PENDING)
    data = {"asked_at": now, "content": "", "decided_by": "", "decided_at": None, "reason": ""}
    return advance_many(
        MessageApproval, "ASK", dict.fromkeys(decided.values_list("pk", flat=True), data), returning="message"
    )


def _asked_note(ids: Sequence[str], *, rules: Mapping[str, str], now: datetime) -> None:
    MessageEvent.objects.bulk_create(
        [
            MessageEvent(message_id=pk, at=now, event=WAITS_EVENT, text=fitted(rules[pk], EVENT_MAX))
            for pk in ids
        ]
    )


@transaction.atomic
def message_approve(*, message: Message, by: Principal, content: str, now: datetime) -> Message:
    """Approve a message that waits for a second person; `content` is the digest of what that one was shown.

    Raises PersonRequired, SecondPersonRequired, NotAllowed, and BadMessage if it does not wait, or is another
    message than was shown.
    """
    row, approval = _lock_decidable(message, by=by)
    if content != content_digest_compute(row):
        raise BadMessage(gettext("this is not the message that was shown: check it again"), field="content")
    advance(approval, "APPROVE", content=content, decided_by=by.people[0], decided_at=now)
    Message.objects.filter(pk=row.pk).update(
        needs_approval=False, wait=Wait.NEXT_HEAD, error="", retry_height=0, attempts=0, updated_at=now
    )
    event_record(row, event="approved", text=by.people[0], now=now)
    after = {"approval": str(ApprovalState.APPROVED), "pushed_by": row.pushed_by, "content": content}
    before = {"approval": str(ApprovalState.PENDING), "rule": approval.rule}
    message_audit(by, action="message.approve", message=row, before=before, after=after)
    publish(Change("message", row.pk, row.tenant_id))
    transaction.on_commit(partial(selection_enqueue, row.from_addr))
    row.refresh_from_db()
    return row


@transaction.atomic
def message_refuse(*, message: Message, by: Principal, reason: str, now: datetime) -> Message:
    """Fail a message that waits for a second person.

    Raises PersonRequired, SecondPersonRequired, NotAllowed, BadMessage if it does not wait.
    """
    row, approval = _lock_decidable(message, by=by)
    name, reason = by.people[0], reason.strip()[:500]
    text = REFUSED_AS(name=name, reason=reason) if reason else REFUSED(name=name)
    advance(approval, "REFUSE", decided_by=name, decided_at=now, reason=reason)
    advance(row, "REFUSE", updated_at=now, wait=Wait.NONE, error=text)
    event_record(row, event=REFUSED_EVENT, text=text, now=now)
    before = {"state": str(MessageState.UNFILLED), "approval": str(ApprovalState.PENDING)}
    after = {"state": row.state, "approval": str(ApprovalState.REFUSED), "reason": reason}
    message_audit(by, action="message.refuse", message=row, before=before, after=after)
    publish(Change("message", row.pk, row.tenant_id))
    return row


def approvals_expire(*, now: datetime) -> list[str]:
    """Fail the messages that nobody has approved in time; return their ids."""
    late = Message.objects.filter(
        state=MessageState.UNFILLED,
        needs_approval=True,
        approval__state=ApprovalState.PENDING,
        approval__asked_at__lt=now - APPROVAL_WITHIN,
    ).order_by()
    if not late.exists():  # the usual case, without a transaction
        return []
    hours = APPROVAL_WITHIN // timedelta(hours=1)
    text = UNAPPROVED(hours=hours)
    with transaction.atomic():
        rows = list(late.select_for_update(of=("self",), skip_locked=True).only("pk"))
        data = {row.pk: {"wait": Wait.NONE, "error": text} for row in rows}
        moved = messages_advance("REFUSE", rows=data, now=now)
        decided = MessageApproval.objects.filter(message__in=moved).values_list("pk", flat=True)
        advance_many(
            MessageApproval,
            "REFUSE",
            {pk: {"decided_at": now, "reason": text} for pk in decided},
            returning="message",
        )
        MessageEvent.objects.bulk_create(
            [MessageEvent(message_id=pk, at=now, event=REFUSED_EVENT, text=text) for pk in moved]
        )
        message_changes_publish(moved)
    return list(moved)


def _lock_decidable(message: Message, *, by: Principal) -> tuple[Message, MessageApproval]:
    """Lock a message that waits for a second person and return it, if `by` may decide about it now."""
    person = person_require(by)
    row = Message.objects.select_for_update(of=("self",)).get(pk=message.pk)
    if row.state != MessageState.UNFILLED:
        raise wrong_state(row.state, needed=MessageState.UNFILLED)
    if not row.needs_approval:
        raise BadMessage(gettext("the message does not wait for approval"), field="id")
    if not person.may("sign") or not (person.is_operator or person.tenant_id == row.tenant_id):
        raise NotAllowed(gettext("requires permission to sign for the message's tenant"))
    if is_pusher(row, name=person.people[0]):
        raise SecondPersonRequired
    return row, MessageApproval.objects.select_for_update().get(message=row)


def person_require(by: Principal) -> Principal:
    """Lock the account of a person who is signed in, and return what they may do now.

    Raises PersonRequired for a program, NotAllowed for an account that was closed this moment.
    """
    if by.token_id or len(by.people) != 1:
        raise PersonRequired
    return person_principal_lock(by.people[0])


def is_pusher(row: Message, *, name: str) -> bool:
    """Return whether this person pushed a message, asked for it, or created the token that did."""
    return name in str(row.people).split("\n") or row.pushed_by == name
