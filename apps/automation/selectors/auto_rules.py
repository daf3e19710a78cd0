"""Reading automatic rules and their acts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from apps.automation.errors import RuleUnknown
from apps.automation.models import AutoAct, AutoRule
from apps.messages.states import MessageState
from apps.users.rules.principals import Principal
from apps.users.states import Perm

ACTS_SHOWN: Final = 50
"""Acts of a rule that are shown; *Messages* has all of them."""


def auto_rules_visible(viewer: Principal) -> QuerySet[AutoRule]:
    """Return the rules of the tenants that the viewer sees, the oldest first.

    A token for some miners or signers sees none: a rule concerns both.
    """
    rows = AutoRule.objects.select_related("tenant").order_by("created_at", "pk")
    if viewer.is_partial:
        return rows.none()
    return rows if viewer.is_operator else rows.filter(tenant=viewer.own_id)


def escrow_rules(viewer: Principal, targets: Sequence[str]) -> list[AutoRule]:
    """Return the visible rules that are on and top up the market balance of somebody of these addresses."""
    rows = auto_rules_visible(viewer).filter(is_on=True, settings__is_escrow=True)
    return list(rows.filter(settings__target__in=targets))


def auto_rule_get(viewer: Principal, uuid: UUID | str) -> AutoRule:
    """Return one rule.  Raises RuleUnknown, also for another tenant's."""
    row = auto_rules_visible(viewer).filter(uuid=uuid).first()
    if row is None:
        raise RuleUnknown
    return row


def auto_rules_hindered(viewer: Principal) -> QuerySet[AutoRule]:
    """Return the viewer's rules that switched themselves off, or that something is in the way of."""
    rows = auto_rules_visible(viewer)
    return rows.exclude(stopped="") | rows.filter(is_on=True).exclude(note="")


def acts_latest(rule: AutoRule) -> list[AutoAct]:
    """Return the latest acts of a rule, newest first."""
    return list(rule.acts.select_related("message").order_by("-number")[:ACTS_SHOWN])


def act_last(rule: AutoRule) -> AutoAct | None:
    """Return a rule's latest act since it was switched on; None if there is none."""
    rows = rule.acts.filter(number__gte=rule.acts_seen).select_related("message")
    return rows.order_by("-number").first()


def day_acts(rule: AutoRule, *, now: datetime) -> QuerySet[AutoAct]:
    """Return what a rule did in this UTC day, what is in progress included.

    A message that failed before it had a nonce does nothing any more; one that failed later may still land.
    """
    start = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return rule.acts.filter(at__gte=start).exclude(message__state=MessageState.FAILED, message__nonce=None)


def day_spent(rule: AutoRule, *, now: datetime) -> int:
    """Return the attoFIL that a rule has moved in this UTC day."""
    return sum(int(amount) for amount in day_acts(rule, now=now).values_list("amount", flat=True))


def rule_principal(rule: AutoRule) -> Principal:
    """Return the principal that sends for a rule: its tenant, on behalf of those who switched it on."""
    return Principal(
        tenant_id=rule.tenant_id,
        tenant_name=rule.tenant.name,
        is_operator=False,
        perm=Perm.SIGN,
        actor=f"automatic rule of {rule.switched_by}" if rule.switched_by else "automatic rule",
        people=tuple(rule.people),
    )
