"""Adding, changing, switching and removing automatic rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, TypeAlias

from django.db import transaction

from apps.automation.errors import RuleUnknown
from apps.automation.models import AutoRule
from apps.automation.rules.extend_specs import ExtendSpec, extend_spec_check, extend_spec_write
from apps.automation.rules.specs import AMOUNTS, MoneySpec, spec_check, spec_conflict, spec_read, spec_write
from apps.automation.states import RuleKind
from apps.core.addresses import address_fault, address_typed
from apps.core.errors import BadValue, Conflict, NotAllowed
from apps.core.live import Change, publish
from apps.core.locks import transaction_lock
from apps.core.marked_texts import gettext
from apps.miners.selectors.miners import miners_of_addresses
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from apps.wallets.selectors import sender_allowed, wallet_address
from poolsite.filecoin.address import BadAddress
from poolsite.filecoin.amounts import fil_format

Spec: TypeAlias = MoneySpec | ExtendSpec
UNITS: Final = {
    **dict.fromkeys(("remaining_days", "age_days", "to_days"), "{} days"),
    "day_sectors": "{} sectors",
    "size": "{} bytes",
}
"""How the audit log says settings that are no amounts."""
RULES_LOCK = 0x4155
"""Lock class of a tenant's rules: of two that are added at once, each would not see the other."""


@transaction.atomic
def auto_rule_add(*, principal: Principal, tenant: Tenant, kind: str, spec: Spec) -> AutoRule:
    """Add a rule, switched off.  Raises NotAllowed, BadValue and Conflict naming the field."""
    _may_change_require(principal, tenant_id=tenant.pk)
    if kind not in RuleKind.values:
        names = ", ".join(RuleKind.values)
        raise BadValue(gettext("must be one of {names}").format(names=names), field="kind")
    row = AutoRule(tenant=tenant, kind=kind, people=list(principal.people))
    row.settings = _settings(row, spec)
    row.save()
    audit_record(principal=principal, action="auto-rule.add", target=str(row.uuid), after=_rule_fields(row))
    publish(Change("auto-rule", str(row.uuid), row.tenant_id))
    return row


@transaction.atomic
def auto_rule_set(*, principal: Principal, rule: AutoRule, spec: Spec) -> AutoRule:
    """Change a rule's settings and switch it off: who switches it on sees them all.

    Raises NotAllowed, RuleUnknown, BadValue and Conflict naming the field.
    """
    row = _locked(rule, principal=principal)
    before = _rule_fields(row)
    row.settings = _settings(row, spec)
    row.is_on, row.stopped, row.note, row.noted_at = False, "", "", None
    row.people = list(principal.people)
    row.save()
    audit_record(
        principal=principal,
        action="auto-rule.set",
        target=str(row.uuid),
        before=before,
        after=_rule_fields(row),
    )
    publish(Change("auto-rule", str(row.uuid), row.tenant_id))
    return row


@transaction.atomic
def auto_rule_set_on(*, principal: Principal, rule: AutoRule, is_on: bool) -> AutoRule:
    """Switch a rule on or off; on, it forgets how its earlier messages ended.

    What it has pushed goes on.  Raises NotAllowed, RuleUnknown.
    """
    row = _locked(rule, principal=principal)
    if row.is_on == is_on and not row.stopped:
        return row
    before = {"is_on": row.is_on}
    row.is_on, row.stopped, row.note, row.noted_at = is_on, "", "", None
    row.switched_by = principal.actor[:200]
    if is_on:
        row.acts_seen = _settled_acts(row)
        row.people = sorted({*row.people, *principal.people})
        row.looked_height = 0
    row.save()
    audit_record(
        principal=principal,
        action="auto-rule.switch",
        target=str(row.uuid),
        before=before,
        after={"is_on": row.is_on},
    )
    publish(Change("auto-rule", str(row.uuid), row.tenant_id))
    return row


@transaction.atomic
def auto_rule_remove(*, principal: Principal, rule: AutoRule) -> None:
    """Remove a rule; what it has pushed goes on.  Raises NotAllowed, RuleUnknown."""
    row = _locked(rule, principal=principal)
    before = _rule_fields(row)
    row.delete()
    audit_record(principal=principal, action="auto-rule.remove", target=str(rule.uuid), before=before)
    publish(Change("auto-rule", str(rule.uuid), rule.tenant_id))


def _rule_fields(rule: AutoRule) -> dict[str, Any]:
    """Return what a rule says, for the audit log."""
    texts = {name: text.format(rule.settings[name]) for name, text in UNITS.items() if name in rule.settings}
    amounts = {
        name: fil_format(int(rule.settings[name])) for name in (*AMOUNTS, "gas_max") if name in rule.settings
    }
    return {
        "tenant": rule.tenant.name,
        "kind": rule.kind,
        "is_on": rule.is_on,
        **rule.settings,
        **texts,
        **amounts,
    }


def _settled_acts(row: AutoRule) -> int:
    """Return the number of the first act that still counts: one in progress or landed does."""
    last = row.acts.select_related("message").order_by("-number").first()
    if last is None or last.message is None:
        return row.acts_begun
    is_ended = last.message.is_final and not last.message.has_succeeded
    return row.acts_begun if is_ended else last.number


def _settings(row: AutoRule, spec: Spec) -> dict[str, Any]:
    """Return checked settings as a row keeps them.  Raises BadValue and Conflict naming the field."""
    if isinstance(spec, MoneySpec):
        if row.kind == RuleKind.EXTEND:
            raise BadValue(gettext("a rule of this kind needs it"), field="remaining_days")
        return spec_write(_checked(row, spec))
    if row.kind != RuleKind.EXTEND:
        raise BadValue(gettext("a rule of this kind needs it"), field="source")
    extend_spec_check(spec)
    if spec.miner:
        miner = miners_of_addresses([spec.miner]).get(spec.miner)
        if miner is None or miner.tenant_id != row.tenant_id:
            raise BadValue(gettext("must be a miner of the tenant"), field="miner")
        spec = replace(spec, miner=miner.address)
    return extend_spec_write(spec)


def _checked(row: AutoRule, spec: MoneySpec) -> MoneySpec:
    """Return settings with addresses as rows know them.  Raises BadValue and Conflict naming the field."""
    spec = replace(
        spec, source=_address(spec.source, field="source"), target=_address(spec.target, field="target")
    )
    spec_check(row.kind, spec)
    miner = miners_of_addresses([spec.source]).get(spec.source)
    if miner is not None and (row.kind != RuleKind.SWEEP or miner.tenant_id != row.tenant_id):
        raise BadValue(gettext("must be a wallet of the tenant"), field="source")
    if miner is None and not sender_allowed(row.tenant_id, spec.source):
        raise BadValue(gettext("no signer of the tenant has this key"), field="source")
    # Two that are added at this moment would each not see the other.
    transaction_lock(RULES_LOCK, [str(row.tenant_id)])
    others = AutoRule.objects.filter(tenant=row.tenant_id).exclude(kind=RuleKind.EXTEND).exclude(pk=row.pk)
    for other in others:
        why = spec_conflict(row.kind, spec, other_kind=other.kind, other=spec_read(other.settings))
        if why:
            raise Conflict(why, field="target" if row.kind == RuleKind.TOP_UP else "source")
    return spec


def _address(text: str, *, field: str) -> str:
    """Return an address as rows know it: of one of our keys the key, of a miner its f0."""
    try:
        address = address_typed(text)
    except BadAddress as error:
        raise BadValue(address_fault(error), field=field) from None
    miner = miners_of_addresses([address]).get(address)
    return miner.address if miner is not None else wallet_address(address)


def _locked(rule: AutoRule, *, principal: Principal) -> AutoRule:
    rows = AutoRule.objects.select_for_update(of=("self",)).select_related("tenant")
    row = rows.filter(pk=rule.pk).first()
    if row is None:
        raise RuleUnknown
    _may_change_require(principal, tenant_id=row.tenant_id)
    return row


def _may_change_require(principal: Principal, *, tenant_id: int) -> None:
    """Check that somebody signs for the tenant, with no limited token.  Raises NotAllowed."""
    is_permitted = principal.is_operator or principal.own_id == tenant_id
    if principal.is_partial or not principal.may("sign") or not is_permitted:
        raise NotAllowed(gettext("only who signs for the tenant changes its automatic rules"))
