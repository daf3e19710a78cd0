"""Tenants' rows: created, changed, deleted."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from apps.core import clock
from apps.users.errors import (
    PoolTenantKept,
    TenantNameTaken,
)
from apps.users.models import (
    MinerGrant,
    SignerGrant,
    Tenant,
)
from apps.users.models.tenants import NAME_MAX
from apps.users.services.access import access_change_publish
from apps.users.states import Role


@transaction.atomic
def tenant_create(*, name: str, comment: str = "", enabled: bool = True) -> Tenant:
    """Create a tenant, also under the name of a deleted one.  Raises TenantNameTaken.

    The deleted one keeps its tokens, people, messages and audit lines under another name: the new tenant may
    be somebody else.
    """
    old = Tenant.objects.select_for_update().filter(name=name).first()
    if old is not None and old.deleted_at is None:
        raise TenantNameTaken(name)
    try:
        with transaction.atomic():
            if old is not None:
                mark = f"~{old.uuid.hex[:8]}"
                old.name = name[: NAME_MAX - len(mark)] + mark
                old.save(update_fields=["name", "updated_at"])
            return Tenant.objects.create(name=name, comment=comment, enabled=enabled)
    except IntegrityError:  # another process created it between our read and our write
        raise TenantNameTaken(name) from None


@transaction.atomic
def tenant_update(*, tenant: Tenant, comment: str | None = None, enabled: bool | None = None) -> Tenant:
    """Change what is given; a disabled tenant's tokens are refused from the next request on.

    Raises PoolTenantKept for disabling the tenant of the operators, which would shut everybody out.
    """
    row = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    if enabled is False and row.people.filter(role=Role.OPERATOR).exists():
        raise PoolTenantKept(row.name)
    row.comment = row.comment if comment is None else comment
    row.enabled = row.enabled if enabled is None else enabled
    row.save()
    access_change_publish()
    return row


@transaction.atomic
def tenant_delete(*, tenant: Tenant) -> None:
    """Mark a tenant deleted and revoke its grants; its tokens and people are refused from then on.

    Raises PoolTenantKept for the tenant that the pool itself belongs to.
    """
    if tenant.people.filter(role=Role.OPERATOR).exists():
        raise PoolTenantKept(tenant.name)
    now = clock.now()
    Tenant.objects.filter(pk=tenant.pk).update(deleted_at=now, updated_at=now)
    MinerGrant.objects.filter(tenant=tenant, deleted_at=None).update(deleted_at=now, updated_at=now)
    SignerGrant.objects.filter(tenant=tenant, deleted_at=None).update(deleted_at=now, updated_at=now)
    access_change_publish()
