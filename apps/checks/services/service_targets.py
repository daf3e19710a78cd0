"""Promising a tenant service levels, from the running month on."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction

from apps.checks.models import ServiceTargets
from apps.checks.selectors.service_levels import LANDING_EDGES_S
from apps.checks.selectors.service_targets import targets_in, targets_of
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from apps.users.services.tenant_management import tenants_manage_check

PERCENTS: Final = ("posts_percent", "wins_percent", "console_percent")


@transaction.atomic
def service_targets_set(
    *, principal: Principal, tenant: Tenant, now: datetime, landing_s: int, **percents: Decimal
) -> ServiceTargets:
    """Promise a tenant these levels from the running month on; 0 promises nothing.

    Earlier months keep what was promised then.  Raises NotAllowed, BadValue.
    """
    tenants_manage_check(principal)
    for name in PERCENTS:
        if not 0 <= percents[name] <= 100 or percents[name] != round(percents[name], 2):
            raise BadValue(gettext("must be from 0 to 100, with two digits after the point"), field=name)
    if landing_s and landing_s not in LANDING_EDGES_S:
        raise BadValue(gettext("choose one of the times"), field="landing_s")
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    month = now.date().replace(day=1)
    held = targets_in(targets_of(tenant), month)
    before = None if held is None else _facts(held)
    values: dict[str, Any] = {**{name: percents[name] for name in PERCENTS}, "landing_s": landing_s}
    row, _ = ServiceTargets.objects.update_or_create(tenant=tenant, from_month=month, defaults=values)
    after = _facts(row)
    if after != before:
        audit_record(
            principal=principal, action="service.targets", target=tenant.name, before=before, after=after
        )
    return row


def _facts(row: ServiceTargets) -> dict[str, str]:
    """Return what the audit log holds of targets."""
    percents = {name: f"{Decimal(getattr(row, name)):.2f} %" for name in PERCENTS}
    return percents | {"landing": f"{row.landing_s} s"}
