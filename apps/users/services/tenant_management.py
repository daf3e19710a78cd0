"""Tenants managed by the operator: created, disabled, enabled, granted miners, signers and rates.

Every change leaves a line in the audit log, with the words that the interface of sophon-auth uses for it.
"""

from __future__ import annotations

import re
import uuid
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.utils.translation import gettext

from apps.core.errors import BadValue, NotAllowed, NotFound
from apps.users.errors import BadGrant
from apps.users.models import SignerGrant, Tenant
from apps.users.selectors import address_canonical, tenants_visible
from apps.users.services.audit import audit_record
from apps.users.services.grants import (
    miner_grant,
    miner_grant_revoke,
    rate_limit_delete,
    rate_limit_set,
    signer_grant,
    signer_grant_revoke,
)
from apps.users.services.tenants import tenant_create, tenant_update
from poolsite.filecoin.address import ID, BadAddress, address_parse, id_address

if TYPE_CHECKING:
    from apps.users.models import RateLimit
    from apps.users.principals import Principal

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")
COMMENT_MAX: Final = 255
ACTOR_MAX: Final = 2**63 - 1
"""Actors are numbered in a signed 64-bit integer on chain."""
SERVICE_MAX: Final = 50
CAPACITY_MAX: Final = 10**9
SECONDS_MAX: Final = 366 * 86_400
"""A limit over more than a year is none."""


def can_manage_tenants(viewer: Principal) -> bool:
    """Return whether this caller manages tenants."""
    return viewer.is_operator and viewer.may("admin")


def tenants_manage_check(principal: Principal) -> None:
    """Raise NotAllowed for a caller who does not."""
    if not can_manage_tenants(principal):
        raise NotAllowed(gettext("only the pool's operator can do this"))


def tenant_visible(viewer: Principal, key: str) -> Tenant:
    """Return a tenant that this caller may see.  Raises NotFound."""
    tenant = tenants_visible(viewer).filter(uuid=key).first()
    if tenant is None:
        raise NotFound(gettext("there is no such tenant"))
    return tenant


@transaction.atomic
def tenant_add(*, principal: Principal, name: str, comment: str = "") -> Tenant:
    """Create a tenant.  Raises NotAllowed, BadValue, TenantNameTaken."""
    tenants_manage_check(principal)
    if NAME.fullmatch(name) is None:
        raise BadValue(
            gettext("must be 1 to 50 letters, digits, dots or dashes, starting with a letter or digit"),
            field="name",
        )
    tenant = tenant_create(name=name, comment=comment_read(comment))
    audit_record(principal=principal, action="tenant.create", target=name, after={"comment": comment})
    return tenant


def comment_read(text: str) -> str:
    """Read a comment.  Raises BadValue."""
    if len(text) > COMMENT_MAX:
        raise BadValue(gettext("at most {most} characters").format(most=COMMENT_MAX), field="comment")
    return text


@transaction.atomic
def tenant_edit(
    *, principal: Principal, tenant: Tenant, comment: str | None = None, enabled: bool | None = None
) -> None:
    """Change a tenant's comment, or disable and enable it.

    Raises NotAllowed, BadValue, PoolTenantKept.
    """
    tenants_manage_check(principal)
    asked = {"comment": comment_read(comment) if comment is not None else None, "enabled": enabled}
    after = {key: value for key, value in asked.items() if value not in (None, getattr(tenant, key))}
    if not after:
        return
    before = {key: getattr(tenant, key) for key in after}
    tenant_update(tenant=tenant, comment=comment, enabled=enabled)
    audit_record(principal=principal, action="tenant.update", target=tenant.name, before=before, after=after)


def miner_read(text: str) -> int:
    """Read the number of a miner.  Raises BadValue."""
    try:
        address = address_parse(text)
    except BadAddress as error:
        raise BadValue(str(error), field="miner") from None
    if address.protocol != ID or address.actor_id > ACTOR_MAX:
        raise BadValue(gettext("enter the miner's ID address, such as f01000"), field="miner")
    return address.actor_id


@transaction.atomic
def tenant_miner_grant(*, principal: Principal, tenant: Tenant, miner: str, open_mining: bool) -> None:
    """Grant a miner to a tenant, revoking any other grant.  Raises NotAllowed, BadValue."""
    tenants_manage_check(principal)
    actor_id = miner_read(miner)
    miner_grant(tenant=tenant, actor_id=actor_id, open_mining=open_mining)
    after = {"tenant": tenant.name, "open_mining": open_mining}
    audit_record(principal=principal, action="miner.grant", target=str(id_address(actor_id)), after=after)


@transaction.atomic
def tenant_miner_revoke(*, principal: Principal, tenant: Tenant, miner: str) -> None:
    """Revoke a tenant's miner.  Raises NotAllowed, BadValue, NotFound."""
    tenants_manage_check(principal)
    actor_id = miner_read(miner)
    if not tenant.miner_grants.filter(actor_id=actor_id, deleted_at=None).exists():
        raise NotFound(gettext("that miner is not granted to this tenant"), field="miner")
    miner_grant_revoke(actor_id=actor_id)
    before = {"tenant": tenant.name}
    audit_record(principal=principal, action="miner.ungrant", target=str(id_address(actor_id)), before=before)


@transaction.atomic
def tenant_signer_grant(*, principal: Principal, tenant: Tenant, address: str) -> None:
    """Grant a tenant the use of a sender.  Raises NotAllowed, BadValue."""
    tenants_manage_check(principal)
    try:
        grant = signer_grant(tenant=tenant, address=address, is_by_hand=True)
    except (BadAddress, BadGrant) as error:
        raise BadValue(getattr(error, "reason", str(error)), field="address") from None
    after = {"tenant": tenant.name}
    audit_record(principal=principal, action="signer.grant", target=grant.address, after=after)


@transaction.atomic
def tenant_signer_revoke(*, principal: Principal, tenant: Tenant, address: str) -> None:
    """Revoke a tenant's sender.  Raises NotAllowed, NotFound."""
    tenants_manage_check(principal)
    try:
        key = address_canonical(address)
    except BadAddress:
        key = ""
    if not SignerGrant.objects.filter(tenant=tenant, address=key, deleted_at=None).exists():
        raise NotFound(gettext("that address is not granted to this tenant"), field="address")
    signer_grant_revoke(tenant=tenant, address=key)
    audit_record(principal=principal, action="signer.ungrant", target=key, before={"tenant": tenant.name})


@transaction.atomic
def tenant_rate_limit_set(
    *, principal: Principal, tenant: Tenant, service: str, api: str, capacity: str, seconds: str
) -> None:
    """Set a rate limit of a tenant.  Raises NotAllowed, BadValue."""
    tenants_manage_check(principal)
    for name, text in (("service", service), ("api", api)):
        if len(text) > SERVICE_MAX:
            raise BadValue(gettext("at most {most} characters").format(most=SERVICE_MAX), field=name)
    count = int(number_read(capacity, field="capacity", most=CAPACITY_MAX))
    reset_ns = int(number_read(seconds, field="seconds", most=SECONDS_MAX) * 10**9)
    if count < 1 or reset_ns < 1:
        raise BadValue(gettext("must be above 0"), field="capacity" if count < 1 else "seconds")
    row = rate_limit_set(tenant=tenant, capacity=count, reset_ns=reset_ns, service=service, api=api)
    audit_record(principal=principal, action="ratelimit.set", target=tenant.name, after=limit_fields(row))


def limit_fields(row: RateLimit) -> dict[str, str]:
    """Return a rate limit for the audit log, with units."""
    requests = gettext("{capacity} requests").format(capacity=row.capacity)
    reset = f"{row.reset_ns / 10**9:g} s"
    return {"service": row.service, "api": row.api, "capacity": requests, "reset": reset, "id": str(row.pk)}


def number_read(text: str, *, field: str, most: int) -> Decimal:
    """Read a number.  Raises BadValue."""
    try:
        value = Decimal(text.strip() or "x")
    except InvalidOperation:
        raise BadValue(gettext("must be a number, such as 600"), field=field) from None
    if not value.is_finite() or not 0 <= value <= most:
        raise BadValue(gettext("must be from 0 to {most}").format(most=most), field=field)
    return value


@transaction.atomic
def tenant_rate_limit_delete(*, principal: Principal, tenant: Tenant, key: str) -> None:
    """Delete a rate limit.  Raises NotAllowed, NotFound."""
    tenants_manage_check(principal)
    try:
        row = rate_limit_delete(tenant=tenant, limit_id=str(uuid.UUID(key)))
    except ValueError:
        row = None
    if row is None:
        raise NotFound(gettext("there is no such rate limit"), field="key")
    audit_record(principal=principal, action="ratelimit.drop", target=tenant.name, before=limit_fields(row))
