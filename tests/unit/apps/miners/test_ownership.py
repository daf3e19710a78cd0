"""To which tenant a miner is assigned, and when a tenant may be removed."""

from __future__ import annotations

import pytest

from apps.core.errors import NotAllowed, NotFound
from apps.miners.errors import MinerInUse
from apps.miners.models import Miner
from apps.miners.services.ownership import (
    miner_assign,
    tenant_miner_grant,
    tenant_miner_revoke,
    tenant_remove,
)
from apps.miners.states import MinerState
from apps.users.errors import TenantUnknown
from apps.users.models import AuditEntry, Tenant
from apps.users.rules.principals import SYSTEM
from apps.users.selectors.grants import miner_grant_find, miner_owner, miners_of_tenant
from tests import factories
from tests.people import principal, tenant

pytestmark = pytest.mark.django_db


def test_miner_is_granted_and_revoked() -> None:
    alice, bob = tenant("alice"), tenant("bob")
    tenant_miner_grant(principal=SYSTEM, tenant=alice, miner="f01000", open_mining=True)
    with pytest.raises(NotFound):
        tenant_miner_revoke(principal=SYSTEM, tenant=bob, miner="f01000")
    assert [row.actor_id for row in miners_of_tenant("alice")] == [1000]

    tenant_miner_revoke(principal=SYSTEM, tenant=alice, miner="f01000")

    assert miner_grant_find(1000) is None
    assert miner_grant_find(1000, is_revoked_too=True) is not None
    lines = AuditEntry.objects.order_by("pk").values_list("action", "target")
    assert list(lines)[-2:] == [("miner.grant", "f01000"), ("miner.ungrant", "f01000")]


def test_only_the_operator_assigns_miners() -> None:
    row, caller = tenant("alice"), principal("alice", "admin")

    with pytest.raises(NotAllowed):
        tenant_miner_grant(principal=caller, tenant=row, miner="f01000", open_mining=True)
    with pytest.raises(NotAllowed):
        tenant_miner_revoke(principal=caller, tenant=row, miner="f01000")

    assert miner_owner(actor_id=1000) == ""


def test_miner_that_the_pool_works_for_stays_with_its_tenant() -> None:
    miner = factories.miner(actor_id=1000)
    tenant_miner_grant(principal=SYSTEM, tenant=miner.tenant, miner="f01000", open_mining=True)

    with pytest.raises(MinerInUse):
        tenant_miner_grant(principal=SYSTEM, tenant=tenant("bob"), miner="f01000", open_mining=True)
    with pytest.raises(MinerInUse):
        tenant_miner_revoke(principal=SYSTEM, tenant=miner.tenant, miner="f01000")

    assert miner_owner(actor_id=1000) == miner.tenant.name


def test_removed_tenant_gets_no_miner() -> None:
    stale = tenant("alice")
    tenant_remove(principal=SYSTEM, tenant=stale)

    with pytest.raises(TenantUnknown):
        miner_assign(tenant=stale, actor_id=1000)

    assert miner_grant_find(1000) is None


@pytest.mark.parametrize(
    ("state", "is_removed"), [(MinerState.CREATING, False), (MinerState.FAILED, True)], ids=str
)
def test_tenant_stays_while_its_miner_is_being_created(state: MinerState, is_removed: bool) -> None:
    miner = factories.miner(name="first")
    Miner.objects.filter(pk=miner.pk).update(state=state, actor_id=None)

    if is_removed:
        tenant_remove(principal=SYSTEM, tenant=miner.tenant)
    else:
        with pytest.raises(MinerInUse, match="first is being created"):
            tenant_remove(principal=SYSTEM, tenant=miner.tenant)

    assert (Tenant.objects.get(pk=miner.tenant_id).deleted_at is not None) is is_removed
