"""Whose a miner is, where the pool works for it: then its right and its row say the same, or nothing moves.

`users` keeps the right (`MinerGrant`) and knows no miner's row, by which tenants see sectors and deadlines
and hosts get jobs.  A right that went alone would leave all of that with the tenant that lost it; and a
tenant that is given the right has neither the sectors nor the keys.  Row, right and all that hangs on them go
together by `apps.proving.services.transfer.miner_transfer`.
"""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext

from apps.miners.errors import MinerInUse
from apps.miners.models import Miner
from apps.users.models import Tenant
from apps.users.services.grants import miner_grant, miner_grant_revoke
from apps.users.services.tenants import tenant_delete


def assignment_check(*, actor_id: int, tenant: Tenant | None) -> None:
    """Refuse to give a miner that the pool works for to another tenant, or to nobody.  Raises MinerInUse."""
    worked = Miner.objects.select_related("tenant").select_for_update(of=("self",)).filter(actor_id=actor_id)
    row = worked.first()
    if row is not None and (tenant is None or row.tenant_id != tenant.pk):
        if tenant is None:
            refusal = gettext("the pool runs it for tenant {tenant}")
        else:
            refusal = gettext("the pool runs it for tenant {tenant}: transfer it on its page")
        raise MinerInUse(refusal.format(tenant=row.tenant.name), field="miner")


@transaction.atomic
def miner_assign(*, tenant: Tenant, actor_id: int, open_mining: bool = True) -> bool:
    """Assign a miner to a tenant, taking it from any other.  True if nobody had it.  Raises MinerInUse."""
    assignment_check(actor_id=actor_id, tenant=tenant)
    return miner_grant(tenant=tenant, actor_id=actor_id, open_mining=open_mining)


@transaction.atomic
def miner_unassign(*, actor_id: int) -> bool:
    """Unassign a miner from its tenant.  False if nobody had it.  Raises MinerInUse."""
    assignment_check(actor_id=actor_id, tenant=None)
    return miner_grant_revoke(actor_id=actor_id)


@transaction.atomic
def tenant_remove(*, tenant: Tenant) -> None:
    """Remove a tenant and its grants.  Raises MinerInUse, PoolTenantKept."""
    Tenant.objects.select_for_update().get(
        pk=tenant.pk
    )  # a concurrent assignment comes before this or after it
    worked = Miner.objects.select_for_update().filter(tenant=tenant).exclude(actor_id=None).order_by("pk")
    first = worked.first()
    if first is not None:
        raise MinerInUse(
            gettext("the pool runs its miner {first}: disable the tenant instead").format(
                first=first.address
            ),
            field="name",
        )
    tenant_delete(tenant=tenant)
