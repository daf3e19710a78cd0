"""Reading gas guards with what they have spent, and automatic fee bumps."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import ExpressionWrapper, F, Q, QuerySet, Sum, Value
from django.db.models.functions import Least

from apps.core.day_ranges import today_of
from apps.core.errors import NotFound
from apps.core.fields import AttoFilField
from apps.core.marked_texts import gettext
from apps.messages.models import AutoBumpRule, GasGuard, GasSpend, Message
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.states import MessageState
from apps.users.rules.principals import Principal


def guards_visible(viewer: Principal) -> QuerySet[GasGuard]:
    """Return the guards that hold for the viewer's messages: the pool's and its own; an operator sees all."""
    rows = GasGuard.objects.select_related("tenant").order_by("pk")
    return rows if viewer.sees_pool else rows.filter(Q(tenant=None) | Q(tenant=viewer.own_id))


def guard_get(viewer: Principal, uuid: UUID | str) -> GasGuard:
    """Return one guard.  Raises NotFound for a stranger's too."""
    row = guards_visible(viewer).filter(uuid=uuid).first()
    if row is None:
        raise NotFound(gettext("there is no such guard"), field="uuid")
    return row


def auto_bump_rules(viewer: Principal) -> QuerySet[AutoBumpRule]:
    """Return the tenants' rules for proofs near their deadline."""
    rows = AutoBumpRule.objects.select_related("tenant").order_by("tenant__name")
    return rows if viewer.sees_pool else rows.filter(tenant=viewer.own_id)


def guards_spent(guards: Collection[GasGuard], *, base_fee: int, now: datetime) -> dict[int, int]:
    """Return attoFIL of each guard's day by its pk: what landed, and what is in flight at this base fee.

    A message in flight counts with its whole limit, as it may cost that.
    """
    parts = ("tenant_id", "kind", "method", "to")
    landed = GasSpend.objects.filter(day=today_of(now)).order_by().values_list(*parts)
    paid = ExpressionWrapper(F("gas_premium") + Value(base_fee), output_field=AttoFilField())
    cost = ExpressionWrapper(F("gas_limit") * Least(F("gas_fee_cap"), paid), output_field=AttoFilField())
    flying = Message.objects.filter(state=MessageState.FILLED).order_by().values_list(*parts)
    rows = [*landed.annotate(total=Sum("cost")), *flying.annotate(total=Sum(cost))]
    kinds = receiver_kinds({row[3] for row in rows}) if any(guard.actor for guard in guards) else {}
    return {
        guard.pk: sum(
            int(total)
            for tenant_id, kind, method, to, total in rows
            if guard.tenant_id in (None, tenant_id)
            and guard.kind in ("", kind)
            and guard.method in (None, method)
            and guard.actor in ("", kinds.get(to, guard.actor if to else ""))
        )
        for guard in guards
    }
