"""Whose a miner is, where the pool works for it: then its right and its row say the same, or nothing moves.

`users` keeps the right (`MinerGrant`) and knows no miner's row, by which tenants see sectors and deadlines
and hosts get jobs.  A right that went alone would leave all of that with the tenant that lost it; and a
tenant that is given the right has neither the sectors nor the keys.  Row, right and all that hangs on them go
together by `apps.proving.services.transfer.miner_transfer`.
"""

from __future__ import annotations

from django.db import transaction

from apps.core.errors import NotFound
from apps.core.marked_texts import gettext
from apps.miners.errors import MinerInUse, MinerUnknown
from apps.miners.models import Miner
from apps.miners.states import MinerState
from apps.users.errors import TenantUnknown
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from apps.users.selectors.grants import miner_owner
from apps.users.services.audit import audit_record
from apps.users.services.grants import miner_grant, miner_grant_revoke
from apps.users.services.tenant_grants import miner_read
from apps.users.services.tenant_management import tenants_manage_check
from apps.users.services.tenants import tenant_delete
from poolsite.filecoin.address import id_address


@transaction.atomic
def assignment_check(*, actor_id: int, tenant: Tenant | None) -> None:
    """Refuse to give a miner that the pool works for to another tenant, or to nobody.  Raises MinerInUse."""
    worked = Miner.objects.select_related("tenant").filter(actor_id=actor_id)
    row = worked.select_for_update(of=("self",), no_key=True).first()
    if row is not None and (tenant is None or row.tenant_id != tenant.pk):
        if tenant is None:
            refusal = gettext("the pool runs it for tenant {tenant}")
        else:
            refusal = gettext("the pool runs it for tenant {tenant}: transfer it on its page")
        raise MinerInUse(refusal.format(tenant=row.tenant.name), field="miner")


def tenant_lock(tenant: Tenant) -> None:
    """Lock a tenant, so that it is not removed before this transaction ends.  Raises TenantUnknown."""
    open_tenants = Tenant.objects.select_for_update(no_key=True).filter(pk=tenant.pk, deleted_at=None)
    if not open_tenants.exists():
        raise TenantUnknown(tenant.name, field="tenant")


def miner_lock(miner: Miner) -> Miner:
    """Lock a miner until the transaction has ended.  Raises MinerUnknown if another tenant has it by now."""
    # A transfer changes the tenant under this lock: what is made is the tenant's that has the miner then.
    rows = Miner.objects.select_for_update(no_key=True).filter(pk=miner.pk, tenant_id=miner.tenant_id)
    row = rows.first()
    if row is None:
        raise MinerUnknown(miner.address)
    return row


@transaction.atomic
def miner_assign(*, tenant: Tenant, actor_id: int, open_mining: bool = True) -> bool:
    """Assign a miner to a tenant, taking it from any other.  True if nobody had it.

    Raises MinerInUse, TenantUnknown.
    """
    tenant_lock(tenant)
    assignment_check(actor_id=actor_id, tenant=tenant)
    return miner_grant(tenant=tenant, actor_id=actor_id, open_mining=open_mining)


@transaction.atomic
def miner_unassign(*, actor_id: int, by: Principal) -> bool:
    """Unassign a miner from its tenant.  False if nobody had it.  Raises MinerInUse."""
    assignment_check(actor_id=actor_id, tenant=None)
    before = {"tenant": miner_owner(actor_id=actor_id)}
    if not miner_grant_revoke(actor_id=actor_id):
        return False
    audit_record(principal=by, action="miner.ungrant", target=str(id_address(actor_id)), before=before)
    return True


@transaction.atomic
def tenant_miner_grant(*, principal: Principal, tenant: Tenant, miner: str, open_mining: bool) -> bool:
    """Grant a miner to a tenant, revoking any other grant.  True if nobody had it.

    Raises NotAllowed, BadValue, MinerInUse, TenantUnknown.
    """
    tenants_manage_check(principal)
    actor_id = miner_read(miner)
    was_free = miner_assign(tenant=tenant, actor_id=actor_id, open_mining=open_mining)
    after = {"tenant": tenant.name, "open_mining": open_mining}
    audit_record(principal=principal, action="miner.grant", target=str(id_address(actor_id)), after=after)
    return was_free


@transaction.atomic
def tenant_miner_revoke(*, principal: Principal, tenant: Tenant, miner: str) -> None:
    """Revoke a tenant's miner.  Raises NotAllowed, BadValue, NotFound, MinerInUse."""
    tenants_manage_check(principal)
    actor_id = miner_read(miner)
    if not tenant.miner_grants.filter(actor_id=actor_id, deleted_at=None).exists():
        raise NotFound(gettext("that miner is not granted to this tenant"), field="miner")
    miner_unassign(actor_id=actor_id, by=principal)


@transaction.atomic
def tenant_remove(*, principal: Principal, tenant: Tenant) -> None:
    """Remove a tenant and its grants.  Raises NotAllowed, MinerInUse, PoolTenantKept."""
    tenants_manage_check(principal)
    # A concurrent assignment comes before this or after it.
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    rows = Miner.objects.select_for_update(no_key=True).filter(tenant=tenant).order_by("pk")
    first = rows.exclude(actor_id=None, state=MinerState.FAILED).first()
    if first is not None:
        pattern = gettext("the pool runs its miner {miner}: disable the tenant instead")
        if first.actor_id is None:
            pattern = gettext("its miner {miner} is being created: disable the tenant instead")
        raise MinerInUse(pattern.format(miner=first), field="name")
    tenant_delete(tenant=tenant)
    before = {"comment": tenant.comment, "enabled": tenant.enabled}
    audit_record(principal=principal, action="tenant.delete", target=tenant.name, before=before)
