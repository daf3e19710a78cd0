"""Setting and removing the rate limits of a tenant."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from apps.core.errors import BadValue, NotFound
from apps.core.marked_texts import gettext
from apps.core.uuids import uuid_read
from apps.users.models import RateLimit, Tenant
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from apps.users.services.grants import rate_limit_delete, rate_limit_set
from apps.users.services.tenant_management import tenants_manage_check

SERVICE_MAX: Final = 50


@transaction.atomic
def tenant_rate_limit_set(
    *,
    principal: Principal,
    tenant: Tenant,
    capacity: int,
    reset_ns: int,
    service: str = "",
    api: str = "",
    key: str = "",
) -> RateLimit:
    """Set a rate limit of a tenant, or change the one with this key.  Raises NotAllowed, BadValue."""
    tenants_manage_check(principal)
    for name, text in (("service", service), ("api", api)):
        if len(text) > SERVICE_MAX:
            raise BadValue(gettext("at most {most} characters").format(most=SERVICE_MAX), field=name)
    row = rate_limit_set(
        tenant=tenant, capacity=capacity, reset_ns=reset_ns, service=service, api=api, limit_id=key
    )
    audit_record(principal=principal, action="ratelimit.set", target=tenant.name, after=_limit_fields(row))
    return row


def _limit_fields(row: RateLimit) -> dict[str, str]:
    """Return a rate limit for the audit log, with units."""
    requests = gettext("{capacity} requests").format(capacity=row.capacity)
    reset = f"{row.reset_ns / 10**9:g} s"
    return {"service": row.service, "api": row.api, "capacity": requests, "reset": reset, "id": str(row.pk)}


@transaction.atomic
def tenant_rate_limit_delete(*, principal: Principal, tenant: Tenant, key: str) -> None:
    """Delete a rate limit.  Raises NotAllowed, NotFound."""
    tenants_manage_check(principal)
    name = uuid_read(key)
    row = None if name is None else rate_limit_delete(tenant=tenant, limit_id=str(name))
    if row is None:
        raise NotFound(gettext("there is no such rate limit"), field="key")
    audit_record(principal=principal, action="ratelimit.drop", target=tenant.name, before=_limit_fields(row))
