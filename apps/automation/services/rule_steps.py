"""Carrying out rules: at each head every rule that is on pushes at most one message.

The message's id follows from the rule and the number of its act.  Message, act and audit line are written in
one transaction: a process that is killed leaves all of them or none, and two at once push one message.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog
from django.db import transaction

from apps.automation.models import NOTE_MAX, AutoAct, AutoRule
from apps.automation.selectors.auto_rules import rule_principal
from apps.automation.services.extend_plans import extend_plan
from apps.automation.services.rule_plans import MARKET, RulePlan, rule_plan
from apps.automation.states import RuleKind
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.isolation import for_each_isolated
from apps.core.disk import disk_require
from apps.core.errors import DomainError, NotReachable
from apps.core.live import Change, publish
from apps.core.reason_fields import is_kept
from apps.core.reasons import fitted, refused
from apps.messages.models import Message
from apps.messages.rules.push_items import PushItem
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.services.push import message_push
from apps.messages.services.receiver_lookup import receiver_kinds_resolve
from apps.miners.services.planned_push import planned_push_lock
from apps.sectors.services.changes.plans import ChangePlan
from apps.sectors.services.changes.steps import changes_write
from apps.users.services.audit import audit_record
from poolsite.filecoin.amounts import fil_format

log = structlog.get_logger(__name__)

LOOK_EPOCHS: Final = 20
"""A rule that extends sectors looks for them this often: it reads many rows, and asks the chain of each."""


def auto_rules_step(*, client: ChainClient, head: Head, now: datetime) -> None:
    """Carry out every rule that is on."""
    for_each_isolated(
        AutoRule.objects.filter(is_on=True).select_related("tenant").order_by("pk"),
        lambda rule: auto_rule_step(rule, client=client, head=head, now=now),
        event="auto_rule_failed",
    )


def auto_rule_step(rule: AutoRule, *, client: ChainClient, head: Head, now: datetime) -> AutoAct | None:
    """Do what a rule finds due; return its act, if there is one.  Raises NodeUnavailable."""
    try:
        if rule.kind == RuleKind.EXTEND:
            return _extend_step(rule, client=client, head=head, now=now)
        plan = rule_plan(rule, client=client, head=head, now=now)
        if plan.item is not None:
            return _push(rule, plan, plan.item, now=now)
    except NotReachable:
        raise
    except DomainError as refusal:
        _note(rule, refused(refusal), now=now)
        return None
    if plan.must_stop:
        _stop(rule, plan.why)
    else:
        _note(rule, plan.why if plan.is_hindered else "", now=now)
    return None


def _extend_step(rule: AutoRule, *, client: ChainClient, head: Head, now: datetime) -> AutoAct | None:
    """Request the extensions that a rule finds due; their messages follow as a person's would."""
    if rule.looked_height <= head.height < rule.looked_height + LOOK_EPOCHS:
        return None
    found = extend_plan(rule, client=client, head=head, now=now)
    act = None
    if found.plan is not None and not found.why:
        disk_require()
        act = _extensions_write(rule, found.number, found.plan, now=now)
    else:
        _note(rule, found.why if found.is_hindered else "", now=now)
    AutoRule.objects.filter(pk=rule.pk).update(looked_height=head.height)
    return act


@transaction.atomic
def _extensions_write(rule: AutoRule, number: int, plan: ChangePlan, *, now: datetime) -> AutoAct | None:
    """Write what a rule extends; None if it was changed, switched off or carried out meanwhile."""
    row = _lock_unchanged(rule, number=number)
    if row is None:
        return None
    made = changes_write(plan, by=replace(rule_principal(row), actor=row.switched_by), now=now)
    act = AutoAct.objects.create(rule=row, number=number, sectors=len(made), at=now)
    row.acts_begun, row.note, row.noted_at = number + 1, "", None
    row.save(update_fields=["acts_begun", "note", "noted_at", "updated_at"])
    audit_record(
        principal=rule_principal(row),
        action="auto-rule.act",
        target=str(row.uuid),
        after={"sectors": len(made), "act": f"act {number}"},
    )
    publish(Change("auto-rule", str(row.uuid), row.tenant_id))
    return act


def _push(rule: AutoRule, plan: RulePlan, item: PushItem, *, now: datetime) -> AutoAct | None:
    """Push a planned message; None if the rule was changed, switched off or carried out meanwhile."""
    # No transaction waits for the network, and a push asks a node for a kind that is not known yet.
    receiver_kinds_resolve([MARKET], known=receiver_kinds([MARKET]))
    lock = nullcontext() if plan.miner is None else planned_push_lock(plan.miner)
    with lock, transaction.atomic():
        row = _lock_unchanged(rule, number=plan.number)
        if row is None:
            return None
        principal = rule_principal(row)
        sent = Message.objects.filter(tenant=row.tenant_id, push_id=item.id).first()
        # After a restore: the signer's records brought the message back, and not the act.
        message = sent or message_push(
            principal=principal,
            id=item.id,
            to=item.to,
            from_=item.from_,
            value=item.value,
            method=item.method,
            params=item.params,
            kind=item.kind,
            spec=item.spec,
        )
        amount = plan.amount if sent is None else int(sent.value)
        act = AutoAct.objects.create(rule=row, number=plan.number, message=message, amount=amount, at=now)
        row.acts_begun, row.note, row.noted_at = plan.number + 1, "", None
        row.save(update_fields=["acts_begun", "note", "noted_at", "updated_at"])
        audit_record(
            principal=principal,
            action="auto-rule.act",
            target=str(row.uuid),
            after={"message": str(message.pk), "amount": fil_format(amount), "act": f"act {plan.number}"},
        )
        publish(Change("auto-rule", str(row.uuid), row.tenant_id))
    log.info("auto_rule_acted", rule=str(rule.uuid), kind=rule.kind, message=str(message.pk), amount=amount)
    return act


def _lock_unchanged(rule: AutoRule, *, number: int) -> AutoRule | None:
    """Lock a rule that is still on, and as it was read, and has not begun this act."""
    rows = AutoRule.objects.select_for_update(of=("self",)).select_related("tenant")
    return rows.filter(pk=rule.pk, is_on=True, acts_begun=number, settings=rule.settings).first()


def _note(rule: AutoRule, text: str, *, now: datetime) -> None:
    """Store what is in the way of a rule; empty if nothing is."""
    text = fitted(text, NOTE_MAX)
    if is_kept(rule, "note", text):
        return
    noted_at = (rule.noted_at or now) if text else None
    if AutoRule.objects.filter(pk=rule.pk, is_on=True).update(note=text, noted_at=noted_at, updated_at=now):
        publish(Change("auto-rule", str(rule.uuid), rule.tenant_id))


@transaction.atomic
def _stop(rule: AutoRule, why: str) -> None:
    """Switch a rule off whose last message was not carried out: a person looks at it first."""
    row = _lock_unchanged(rule, number=rule.acts_begun)
    if row is None:
        return
    row.is_on, row.stopped, row.note, row.noted_at = False, fitted(why, NOTE_MAX), "", None
    row.save(update_fields=["is_on", "stopped", "note", "noted_at", "updated_at"])
    audit_record(
        principal=rule_principal(row),
        action="auto-rule.stop",
        target=str(row.uuid),
        before={"is_on": True},
        after={"is_on": False, "why": row.stopped},
    )
    publish(Change("auto-rule", str(row.uuid), row.tenant_id))
