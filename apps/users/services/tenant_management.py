"""Adding, changing and restoring tenants."""

from __future__ import annotations

import re
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction

from apps.core import clock
from apps.core.errors import BadValue, NotAllowed, NotFound
from apps.core.marked_texts import gettext
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenants_visible
from apps.users.services.audit import audit_record
from apps.users.services.tenants import tenant_create, tenant_update

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")
FOREIGN_NAME: Final = re.compile(r"(?!\.{1,2}$)[^/]{1,50}")
"""As sophon-auth's clients may name theirs: whatever a path of ours holds."""
COMMENT_MAX: Final = 255


def can_manage_tenants(viewer: Principal) -> bool:
    """Return whether this caller manages tenants."""
    return viewer.is_operator and viewer.may("admin")


def tenants_manage_check(principal: Principal) -> None:
    """Raise NotAllowed for a caller who does not."""
    if not can_manage_tenants(principal):
        raise NotAllowed(gettext("only the pool's operator can do this"))


def visible_tenant_find(viewer: Principal, *, key: str) -> Tenant:
    """Return a tenant that this caller may see.  Raises NotFound."""
    try:
        return tenants_visible(viewer).get(uuid=key)
    except (Tenant.DoesNotExist, ValidationError):
        raise NotFound(gettext("there is no such tenant")) from None


@transaction.atomic
def tenant_add(
    *,
    principal: Principal,
    name: str,
    comment: str = "",
    enabled: bool = True,
    is_named_elsewhere: bool = False,
) -> Tenant:
    """Create a tenant.  Raises NotAllowed, BadValue, TenantNameTaken."""
    tenants_manage_check(principal)
    if is_named_elsewhere and not (FOREIGN_NAME.fullmatch(name) and name.isprintable()):
        raise BadValue(gettext("must be 1 to 50 characters without a slash"), field="name")
    if not is_named_elsewhere and NAME.fullmatch(name) is None:
        raise BadValue(
            gettext("must be 1 to 50 letters, digits, dots or dashes, starting with a letter or digit"),
            field="name",
        )
    tenant = tenant_create(name=name, comment=comment_read(comment), enabled=enabled)
    after = {"comment": comment, "enabled": enabled}
    audit_record(principal=principal, action="tenant.create", target=name, after=after)
    return tenant


def comment_read(text: str) -> str:
    """Read a comment.  Raises BadValue."""
    if len(text) > COMMENT_MAX:
        raise BadValue(gettext("at most {most} characters").format(most=COMMENT_MAX), field="comment")
    return text


@transaction.atomic
def tenant_edit(
    *, principal: Principal, tenant: Tenant, comment: str | None = None, enabled: bool | None = None
) -> Tenant:
    """Change a tenant's comment, or disable and enable it.

    Raises NotAllowed, BadValue, PoolTenantKept.
    """
    tenants_manage_check(principal)
    requested = {"comment": comment_read(comment) if comment is not None else None, "enabled": enabled}
    after = {key: value for key, value in requested.items() if value not in (None, getattr(tenant, key))}
    if not after:
        return tenant
    before = {key: getattr(tenant, key) for key in after}
    changed = tenant_update(tenant=tenant, comment=comment, enabled=enabled)
    audit_record(principal=principal, action="tenant.update", target=tenant.name, before=before, after=after)
    return changed


@transaction.atomic
def tenant_restore(*, principal: Principal, tenant: Tenant) -> None:
    """Restore a deleted tenant, without its miners and signers.  Raises NotAllowed."""
    tenants_manage_check(principal)
    Tenant.objects.filter(pk=tenant.pk).update(deleted_at=None, updated_at=clock.now())
    audit_record(principal=principal, action="tenant.restore", target=tenant.name)
