"""Rules that make messages wait for a second person: one person adds one, two remove it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction

from apps.core.errors import Conflict, NotAllowed, NotFound
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.messages.errors import BadMessage, SecondPersonRequired
from apps.messages.models import ApprovalRule, Message
from apps.messages.selectors.approval_choice import (
    approval_rule_describe,
    approval_rule_find,
)
from apps.messages.selectors.approvals import removers_of
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.services.approvals import messages_require_approval, person_require
from apps.messages.states import ApprovalState, MessageState
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.actors.decode import ACTOR_METHODS
from poolsite.filecoin.amounts import TOTAL_FILECOIN, fil_format
from poolsite.filecoin.message import METHOD_MAX

ROWS_AT_ONCE: Final = 500
"""Waiting messages that are read together; their parameters may have many kilobytes."""


def approval_rule_add(
    *,
    principal: Principal,
    now: datetime,
    tenant: Tenant | None = None,
    actor: str = "",
    method: int | None = None,
    above: int = 0,
) -> ApprovalRule:
    """Add a rule by which messages wait for a second person; `tenant` None: those of all tenants.

    It holds for every message that has no nonce yet.
    Raises NotAllowed, Conflict for a rule that is there or that only one person could ever remove, and
    BadMessage naming the field.
    """
    _may_change_require(principal, tenant_id=None if tenant is None else tenant.pk)
    rule = ApprovalRule(
        tenant=tenant, actor=actor, method=method, above=above, created_by=principal.actor[:200]
    )
    _rule_check(rule)
    with transaction.atomic():
        if len(removers_of(rule)) < 2:
            raise Conflict(
                gettext(
                    "nobody else could approve or remove anything: invite a second admin or operator first"
                ),
                field="tenant",
            )
        try:
            with transaction.atomic():
                rule.save()
        except IntegrityError:
            raise Conflict(gettext("there is such a rule already"), field="actor") from None
        _rule_audit(rule, principal=principal, action="approval.rule.add", after=_rule_fields(rule))
        publish(Change("approval-rule", str(rule.uuid), rule.tenant_id))
    # Once it is committed: what was pushed until now, by whoever did not see it, waits from here on.
    waiting_messages_require_approval(rule, now=now)
    return rule


def waiting_messages_require_approval(rule: ApprovalRule, *, now: datetime) -> list[str]:
    """Mark the messages without a nonce that a rule fits as waiting for a second person."""
    rows = Message.objects.filter(state=MessageState.UNFILLED, needs_approval=False).order_by("pk")
    if rule.tenant_id is not None:
        rows = rows.filter(tenant=rule.tenant_id)
    rows = rows.exclude(approval__state=ApprovalState.APPROVED)
    kinds = receiver_kinds(set(rows.order_by().values_list("to", flat=True).distinct()))
    text = approval_rule_describe(rule)
    fitting = {
        row.pk: text
        for row in rows.defer("signed").iterator(chunk_size=ROWS_AT_ONCE)
        if approval_rule_find(row, rules=[rule], receiver=kinds.get(row.to, ""))
    }
    return messages_require_approval(fitting, now=now) if fitting else []


def _rule_check(rule: ApprovalRule) -> None:
    """Refuse what no message could fit.  Raises BadMessage."""
    if rule.actor and rule.actor not in ACTOR_METHODS:
        names = ", ".join(sorted(ACTOR_METHODS))
        raise BadMessage(gettext("must be one of {names}").format(names=names), field="actor")
    if rule.method is not None and not 0 <= rule.method <= METHOD_MAX:
        raise BadMessage(gettext("not a valid method number"), field="method")
    if not 0 <= rule.above <= TOTAL_FILECOIN:
        raise BadMessage(gettext("the amount must be from 0 to the total FIL supply"), field="above")
    if not rule.actor and rule.method is None and not rule.above:
        raise BadMessage(gettext("name an actor, a method or an amount"), field="actor")


@transaction.atomic
def approval_rule_removal_request(*, principal: Principal, rule: ApprovalRule, now: datetime) -> ApprovalRule:
    """Request a rule's removal; it holds until a second person agrees.

    Raises PersonRequired, NotAllowed, NotFound, Conflict if somebody has asked already.
    """
    row, name = _lock_removable(principal, rule)
    if row.removal_by:
        raise Conflict(gettext("{name} has asked for its removal").format(name=row.removal_by), field="rule")
    row.removal_by, row.removal_at = name, now
    row.save(update_fields=["removal_by", "removal_at", "updated_at"])
    _rule_audit(
        row,
        principal=principal,
        action="approval.rule.removal-request",
        before=_rule_fields(row),
        after={"removal_by": name},
    )
    publish(Change("approval-rule", str(row.uuid), row.tenant_id))
    return row


@transaction.atomic
def approval_rule_removal_cancel(*, principal: Principal, rule: ApprovalRule) -> ApprovalRule:
    """Turn down a rule's removal, one's own request too.

    Raises PersonRequired, NotAllowed, NotFound, Conflict if nobody has asked for it.
    """
    row, _ = _lock_removable(principal, rule)
    _removal_require(row)
    before = {"removal_by": row.removal_by}
    row.removal_by, row.removal_at = "", None
    row.save(update_fields=["removal_by", "removal_at", "updated_at"])
    _rule_audit(
        row,
        principal=principal,
        action="approval.rule.removal-cancel",
        before=before,
        after={"removal_by": ""},
    )
    publish(Change("approval-rule", str(row.uuid), row.tenant_id))
    return row


@transaction.atomic
def approval_rule_remove(*, principal: Principal, rule: ApprovalRule) -> None:
    """Remove a rule whose removal another person has asked for; what waits goes on waiting.

    Raises PersonRequired, SecondPersonRequired, NotAllowed, NotFound, Conflict if nobody has asked for it.
    """
    row, name = _lock_removable(principal, rule)
    _removal_require(row)
    if row.removal_by == name:
        raise SecondPersonRequired
    before = {**_rule_fields(row), "removal_by": row.removal_by}
    row.delete()
    _rule_audit(row, principal=principal, action="approval.rule.remove", before=before)
    publish(Change("approval-rule", str(row.uuid), row.tenant_id))


def _removal_require(row: ApprovalRule) -> None:
    if not row.removal_by:
        raise Conflict(gettext("nobody has asked for its removal"), field="rule")


def _lock_removable(principal: Principal, rule: ApprovalRule) -> tuple[ApprovalRule, str]:
    """Lock a rule and return it with the name of the person who decides."""
    person = person_require(principal)
    row = (
        ApprovalRule.objects.select_for_update(of=("self",))
        .select_related("tenant")
        .filter(pk=rule.pk)
        .first()
    )
    if row is None:
        raise NotFound(gettext("there is no such rule"))
    _may_change_require(person, tenant_id=row.tenant_id)
    return row, person.people[0]


def _may_change_require(principal: Principal, *, tenant_id: int | None) -> None:
    """Check that an admin changes rules of its own tenant, or that it is the operator.  Raises NotAllowed."""
    if principal.is_partial or not principal.may("admin"):
        raise NotAllowed(gettext("only an admin of the tenant or the operator changes approval rules"))
    if not principal.is_operator and (tenant_id is None or tenant_id != principal.tenant_id):
        raise NotAllowed(gettext("only the operator can set a rule for all tenants"), field="tenant")


def _rule_fields(rule: ApprovalRule) -> dict[str, Any]:
    """Return what a rule says, for the audit log."""
    return {
        "tenant": rule.tenant.name if rule.tenant else None,
        "rule": approval_rule_describe(rule),
        "actor": rule.actor,
        "method": rule.method,
        "above": fil_format(int(rule.above)),
    }


def _rule_audit(
    rule: ApprovalRule, *, principal: Principal, action: str, before: Any = None, after: Any = None
) -> None:
    audit_record(principal=principal, action=action, target=str(rule.uuid), before=before, after=after)
