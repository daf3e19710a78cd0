"""Tenants as the operator manages them: what is refused by field, what changes, and the line it leaves."""

from __future__ import annotations

from typing import Any

import pytest

from apps.core import clock
from apps.core.errors import BadValue, NotAllowed, NotFound
from apps.gateway.services.connections import accounts_claim
from apps.miners.services.ownership import tenant_miner_grant
from apps.users.errors import TokenRefused
from apps.users.models import AuditEntry, RateLimit
from apps.users.rules.principals import SYSTEM
from apps.users.selectors.grants import signers_of_tenant
from apps.users.selectors.tenants import rate_limits_of, tenant_find, tenants_listed
from apps.users.services import rate_limits, tenant_grants
from apps.users.services import tenant_management as management
from apps.users.services.grants import account_approve
from apps.users.services.tenants import tenant_delete
from tests import factories
from tests.people import principal, principal_by_token, tenant, token

pytestmark = pytest.mark.django_db

ADDRESS = factories.secp(7)
LIMIT: dict[str, Any] = {"service": "VENUS_MARKET", "api": "", "capacity": 60, "reset_ns": 1_500_000_000}


def actions() -> list[tuple[str, str]]:
    """What the audit log holds, the oldest first."""
    return list(AuditEntry.objects.order_by("pk").values_list("action", "target"))


def test_only_the_operator_manages_tenants() -> None:
    row, caller = tenant("alice"), principal("alice", "admin")
    calls: list[tuple[Any, dict[str, Any]]] = [
        (management.tenant_add, {"name": "new"}),
        (management.tenant_edit, {"tenant": row, "comment": "x"}),
        (tenant_grants.tenant_signer_grant, {"tenant": row, "address": ADDRESS}),
        (tenant_grants.tenant_signer_revoke, {"tenant": row, "address": ADDRESS}),
        (rate_limits.tenant_rate_limit_set, {"tenant": row, **LIMIT}),
        (rate_limits.tenant_rate_limit_delete, {"tenant": row, "key": "x"}),
    ]
    before = actions()

    for call, data in calls:
        with pytest.raises(NotAllowed):
            call(principal=caller, **data)

    assert actions() == before
    assert tenant_find("new") is None


def test_tenant_is_added_edited_and_listed_with_its_counts() -> None:
    row = management.tenant_add(principal=SYSTEM, name="carol", comment="first")
    management.tenant_edit(principal=SYSTEM, tenant=row, comment="first", enabled=True)
    assert actions() == [("tenant.create", "carol")], "what stays as it was is no change"

    management.tenant_edit(principal=SYSTEM, tenant=row, enabled=False)
    tenant_miner_grant(principal=SYSTEM, tenant=row, miner="t01000", open_mining=False)

    row.refresh_from_db()
    (listed,) = [one for one in tenants_listed(SYSTEM) if one.pk == row.pk]
    assert (row.comment, row.enabled, vars(listed)["miners_count"]) == ("first", False, 1)
    last = AuditEntry.objects.order_by("pk").filter(action="tenant.update").get()
    assert (last.before, last.after) == ({"enabled": True}, {"enabled": False})


@pytest.mark.parametrize(
    ("name", "comment", "field"),
    [("", "", "name"), ("-a", "", "name"), ("a b", "", "name"), ("a", "x" * 256, "comment")],
)
def test_bad_name_or_comment_is_named(name: str, comment: str, field: str) -> None:
    with pytest.raises(BadValue) as refusal:
        management.tenant_add(principal=SYSTEM, name=name, comment=comment)

    assert refusal.value.field == field


def test_the_name_of_a_deleted_tenant_is_used_again_without_what_was_its() -> None:
    old, bob = tenant("alice"), tenant("bob")
    used = token("admin", of="alice")
    account_approve(signer_tenant=old, account=bob)
    tenant_delete(tenant=old)

    row = management.tenant_add(principal=SYSTEM, name="alice", comment="another customer")

    with pytest.raises(TokenRefused):
        principal_by_token(used, now=clock.now())
    assert row.pk != old.pk
    assert accounts_claim(principal=principal("alice"), names=["bob"]) == []
    old.refresh_from_db()
    assert (old.name, old.deleted_at is None) == (f"alice~{old.uuid.hex[:8]}", False)
    tenant_delete(tenant=row)
    assert management.tenant_add(principal=SYSTEM, name="alice").pk not in (old.pk, row.pk)


def test_tenant_that_is_not_visible_is_not_found() -> None:
    alice, bob = tenant("alice"), tenant("bob")

    assert management.visible_tenant_find(principal("alice"), key=str(alice.uuid)) == alice
    with pytest.raises(NotFound):
        management.visible_tenant_find(principal("alice"), key=str(bob.uuid))


@pytest.mark.parametrize("text", ["", "x", ADDRESS, f"f0{2**63}"])
def test_miner_is_named_by_its_id_address(text: str) -> None:
    with pytest.raises(BadValue) as refusal:
        tenant_grants.miner_read(text)

    assert refusal.value.field == "miner"


def test_signer_is_granted_and_revoked() -> None:
    alice = tenant("alice")
    tenant_grants.tenant_signer_grant(principal=SYSTEM, tenant=alice, address=ADDRESS)
    assert [row.address for row in signers_of_tenant("alice")] == [ADDRESS]

    tenant_grants.tenant_signer_revoke(principal=SYSTEM, tenant=alice, address=ADDRESS)

    assert not signers_of_tenant("alice")
    for address in (ADDRESS, "nonsense"):
        with pytest.raises(NotFound):
            tenant_grants.tenant_signer_revoke(principal=SYSTEM, tenant=alice, address=address)

    tenant_grants.tenant_signer_grant(principal=SYSTEM, tenant=alice, address=ADDRESS)

    assert [row.address for row in signers_of_tenant("alice")] == [ADDRESS], "granted again"
    for address in ("f01000", "nonsense"):
        with pytest.raises(BadValue) as refusal:
            tenant_grants.tenant_signer_grant(principal=SYSTEM, tenant=alice, address=address)
        assert refusal.value.field == "address"


def test_rate_limit_is_set_and_deleted() -> None:
    alice = tenant("alice")
    rate_limits.tenant_rate_limit_set(principal=SYSTEM, tenant=alice, **LIMIT)
    row = rate_limits_of("alice").get()
    assert (row.service, row.capacity, row.reset_ns) == ("VENUS_MARKET", 60, 1_500_000_000)

    rate_limits.tenant_rate_limit_delete(principal=SYSTEM, tenant=alice, key=str(row.uuid))

    assert not RateLimit.objects.exists()
    for key in (str(row.uuid), "no uuid"):
        with pytest.raises(NotFound):
            rate_limits.tenant_rate_limit_delete(principal=SYSTEM, tenant=alice, key=key)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"service": "x" * 51}, "service"),
        ({"api": "x" * 51}, "api"),
        ({"capacity": -1}, "capacity"),
        ({"reset_ns": 0}, "reset_ns"),
        ({"reset_ns": -1}, "reset_ns"),
    ],
)
def test_bad_rate_limit_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(BadValue) as refusal:
        rate_limits.tenant_rate_limit_set(principal=SYSTEM, tenant=tenant("alice"), **LIMIT | change)

    assert refusal.value.field == field
    assert not RateLimit.objects.exists()
