"""Reading which accounts may be served by which tenant's signers."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q, QuerySet

from apps.users.models import AccountApproval, Tenant
from apps.users.rules.principals import Principal


def accounts_missing(names: Collection[str]) -> list[str]:
    """Return those of `names` that are no tenant, or a disabled one, in the order asked."""
    open_names = set(
        Tenant.objects.filter(name__in=names, enabled=True, deleted_at=None).values_list("name", flat=True)
    )
    return [name for name in names if name not in open_names]


def approvals_visible(viewer: Principal) -> QuerySet[AccountApproval]:
    """Return the requests of signers to serve an account, granted or open, that this caller may know of."""
    rows = AccountApproval.objects.select_related("signer_tenant", "account").order_by("created_at")
    return rows if viewer.sees_pool else rows.filter(account_id=viewer.own_id)


def approval_of(*, signer_tenant: Tenant, account: Tenant) -> AccountApproval:
    """Return whether an account is served by a tenant's signers, an unsaved row if nobody has asked."""
    pair = {"signer_tenant": signer_tenant, "account": account}
    return AccountApproval.objects.filter(**pair).first() or AccountApproval(**pair)


def accounts_refused(*, signer_tenant_id: int, names: Collection[str]) -> list[str]:
    """Return those of `names` that have not agreed to be served by the signers of this tenant."""
    agreed = Q(pk=signer_tenant_id) | Q(
        pk__in=AccountApproval.objects.filter(
            signer_tenant_id=signer_tenant_id, approved_at__isnull=False
        ).values("account_id")
    )
    known = set(Tenant.objects.filter(agreed, name__in=names).values_list("name", flat=True))
    return [name for name in names if name not in known]
