"""Setting and removing gas guards and automatic fee bumps."""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction

from apps.core.errors import NotAllowed, NotFound
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.units import values_with_units
from apps.messages.errors import BadMessage
from apps.messages.models import AutoBumpRule, GasGuard
from apps.messages.services.retry import retry_after_rule_change
from apps.messages.states import KIND_PRIORITIES
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.actors.decode import ACTOR_METHODS
from poolsite.filecoin.amounts import TOTAL_FILECOIN

AMOUNTS: Final = ("max_fee", "daily_budget", "hold_base_fee")
EPOCHS_MAX: Final = 1 << 30


def _may_change(principal: Principal, tenant_id: int | None) -> None:
    """Refuse other tenants: one sets guards for itself only; those of everybody are the operator's."""
    if not principal.is_operator and (tenant_id is None or tenant_id != principal.tenant_id):
        raise NotAllowed(gettext("only the operator can set a guard for all tenants"), field="tenant")


def _shown(guard: GasGuard) -> dict[str, Any]:
    return {
        "tenant": guard.tenant.name if guard.tenant else None,
        "kind": guard.kind,
        "actor": guard.actor,
        "method": guard.method,
        **values_with_units({name: getattr(guard, name) for name in (*AMOUNTS, "hold_epochs")}),
    }


def _locked(guard: GasGuard) -> GasGuard:
    """Lock a guard and return it as it is now: another limit of it may have been set.  Raises NotFound."""
    row = (
        GasGuard.objects.select_for_update(of=("self",)).select_related("tenant").filter(pk=guard.pk).first()
    )
    if row is None:
        raise NotFound(gettext("there is no such guard"))
    return row


@transaction.atomic
def guard_set(
    *, principal: Principal, guard: GasGuard | None = None, tenant: Tenant | None = None, **values: Any
) -> GasGuard:
    """Make a guard, or change the limits of one.  `kind`, `actor`, `method` and the tenant stay as they
    were made.

    Raises BadMessage naming the field, NotAllowed, NotFound if it was removed this moment.
    """
    if guard is None:
        row = GasGuard(
            tenant=tenant,
            kind=values.pop("kind", ""),
            actor=values.pop("actor", ""),
            method=values.pop("method", None),
        )
    else:
        row = _locked(guard)
    _may_change(principal, row.tenant_id)
    if row.actor and row.actor not in ACTOR_METHODS:
        raise BadMessage(
            gettext("must be one of {names}").format(names=", ".join(sorted(ACTOR_METHODS))),
            field="actor",
        )
    if len(row.kind) > 32:
        raise BadMessage(gettext("must be at most 32 characters"), field="kind")
    if row.method is not None and not 0 <= row.method < 1 << 63:
        raise BadMessage(gettext("not a valid method number"), field="method")
    before = _shown(row) if guard else None
    for name in AMOUNTS:
        amount = values.get(name, getattr(row, name))
        if not 0 <= amount <= TOTAL_FILECOIN:
            raise BadMessage(gettext("the amount must be from 0 to the total FIL supply"), field=name)
        setattr(row, name, amount)
    epochs = values.get("hold_epochs", row.hold_epochs)
    if not 0 <= epochs < EPOCHS_MAX:
        raise BadMessage(gettext("not a valid number of epochs"), field="hold_epochs")
    row.hold_epochs = epochs
    if not any(getattr(row, name) for name in AMOUNTS):
        raise BadMessage(
            gettext("set at least one limit: a guard without limits has no effect"), field="max_fee"
        )
    if row.hold_epochs and not row.hold_base_fee:
        raise BadMessage(
            gettext("has no effect unless messages are held above a base fee"), field="hold_epochs"
        )
    row.save()
    retry_after_rule_change()
    audit_record(
        principal=principal, action="gas.guard.set", target=str(row.uuid), before=before, after=_shown(row)
    )
    publish(Change("guard", row.pk, row.tenant_id))
    return row


@transaction.atomic
def guard_remove(*, principal: Principal, guard: GasGuard) -> None:
    """Remove a guard.  Raises NotAllowed, NotFound if it was removed this moment."""
    guard = _locked(guard)
    _may_change(principal, guard.tenant_id)
    before = _shown(guard)
    publish(Change("guard", guard.pk, guard.tenant_id))
    guard.delete()
    retry_after_rule_change()
    audit_record(principal=principal, action="gas.guard.remove", target=str(guard.uuid), before=before)


@transaction.atomic
def auto_bump_set(
    *,
    principal: Principal,
    tenant: Tenant,
    is_on: bool,
    within_epochs: int,
    every_epochs: int,
    max_fee: int = 0,
) -> AutoBumpRule:
    """Set when a tenant's proofs pay more.  Raises BadMessage naming the field, NotAllowed."""
    _may_change(principal, tenant.pk)
    if not 1 <= within_epochs < EPOCHS_MAX:
        raise BadMessage(gettext("must be at least one epoch before the deadline"), field="within_epochs")
    if not 1 <= every_epochs < EPOCHS_MAX:
        raise BadMessage(gettext("must be at least one epoch between two fee bumps"), field="every_epochs")
    if not 0 <= max_fee <= TOTAL_FILECOIN:
        raise BadMessage(gettext("the amount must be from 0 to the total FIL supply"), field="max_fee")
    old = AutoBumpRule.objects.filter(tenant=tenant).first()
    values = {
        "is_on": is_on,
        "within_epochs": within_epochs,
        "every_epochs": every_epochs,
        "max_fee": max_fee,
    }
    before = None if old is None else values_with_units({name: getattr(old, name) for name in values})
    row, _ = AutoBumpRule.objects.update_or_create(tenant=tenant, defaults=values)
    audit_record(
        principal=principal,
        action="gas.auto-bump.set",
        target=tenant.name,
        before=before,
        after=values_with_units(values),
    )
    publish(Change("guard", "auto-bump", tenant.pk))
    return row


KINDS: Final = tuple(sorted({*KIND_PRIORITIES, "commit"} - {"gap"}))
"""Purposes that the pool's own apps push for."""
