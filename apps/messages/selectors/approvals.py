"""Reading what waits for a second person, who may decide, and the rules that make it wait."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.core.errors import NotFound
from apps.core.marked_texts import gettext
from apps.messages.models import ApprovalRule, Message, MessageApproval
from apps.messages.selectors.messages import messages_visible
from apps.messages.states import APPROVAL_WITHIN, ApprovalState, MessageState
from apps.users.rules.principals import Principal
from apps.users.selectors.people import people_allowed
from apps.users.states import Perm


def contents_approved(ids: Collection[str]) -> dict[str, str]:
    """Return by message the digest of what a second person has approved; the others are left out."""
    rows = MessageApproval.objects.filter(message__in=list(ids), state=ApprovalState.APPROVED)
    return dict(rows.values_list("message_id", "content"))


def messages_unapproved(viewer: Principal) -> QuerySet[Message]:
    """Return the viewer's messages that wait for a second person, newest first."""
    return messages_visible(viewer).filter(state=MessageState.UNFILLED, needs_approval=True)


def approval_of(message: Message) -> MessageApproval | None:
    """Return what a second person decided or is to decide about a message; None if it never waited."""
    return MessageApproval.objects.filter(message=message).first()


def approval_until(message: Message) -> datetime | None:
    """Return when a message fails unless a second person has approved it; None if it does not wait."""
    approval = approval_of(message) if message.needs_approval and not message.is_final else None
    return None if approval is None else approval.asked_at + APPROVAL_WITHIN


def approval_rule_of(message: Message) -> str:
    """Return the rule by which a message waits for a second person; empty if it does not wait any more."""
    approval = approval_of(message) if message.needs_approval else None
    return "" if approval is None else approval.rule


def approvers_of(message: Message) -> list[str]:
    """Return the usernames of those who may approve or refuse a message."""
    behind = {*str(message.people).split("\n"), message.pushed_by}
    return [name for name in people_allowed(Perm.SIGN, tenant_id=message.tenant_id) if name not in behind]


def approval_rules_visible(viewer: Principal) -> QuerySet[ApprovalRule]:
    """Return the rules that hold for the viewer's messages: the pool's and its own; an operator sees all."""
    rows = ApprovalRule.objects.select_related("tenant").order_by("pk")
    return rows if viewer.sees_pool else rows.filter(Q(tenant=None) | Q(tenant=viewer.own_id))


def approval_rule_get(viewer: Principal, uuid: UUID | str) -> ApprovalRule:
    """Return one rule.  Raises NotFound for a stranger's too."""
    row = approval_rules_visible(viewer).filter(uuid=uuid).first()
    if row is None:
        raise NotFound(gettext("there is no such rule"), field="uuid")
    return row


def removers_of(rule: ApprovalRule) -> list[str]:
    """Return the usernames of those who may remove a rule; it takes two of them."""
    return people_allowed(Perm.ADMIN, tenant_id=rule.tenant_id)
