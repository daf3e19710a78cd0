"""Reading tenants and their rate limits."""

from __future__ import annotations

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.core.errors import BadValue
from apps.core.filters import TEXT_MAX, ListFilters, Words
from apps.core.marked_texts import gettext
from apps.users.errors import TenantUnknown
from apps.users.models import RateLimit, Tenant, Token, User
from apps.users.rules.principals import Principal
from apps.users.states import Role


def tenants_visible(viewer: Principal) -> QuerySet[Tenant]:
    """Return the tenants that this caller may know of."""
    tenants = Tenant.objects.filter(deleted_at=None).order_by("name")
    return tenants if viewer.sees_pool else tenants.filter(pk=viewer.own_id)


def tenant_evident(viewer: Principal) -> str:
    """Return the tenant that applies if none is named: the viewer's own, or the only one; empty: several."""
    if not viewer.is_operator:
        return viewer.tenant_name
    names = tenants_visible(viewer).filter(enabled=True).values_list("name", flat=True)[:2]
    return names[0] if len(names) == 1 else ""


def operator_tenants() -> QuerySet[Tenant]:
    """Return the tenants under whose names operators and their programs act."""
    people = User.objects.filter(role=Role.OPERATOR).exclude(tenant=None).values("tenant")
    return Tenant.objects.filter(
        Q(pk__in=people) | Q(pk__in=Token.objects.filter(is_operator=True).values("tenant"))
    )


def tenants_listed(viewer: Principal) -> QuerySet[Tenant]:
    """Return the same by name, with how many miners, signers, people and rate limits each has."""
    return (
        tenants_visible(viewer)
        .annotate(
            miners_count=Count("miner_grants", filter=Q(miner_grants__deleted_at=None), distinct=True),
            signers_count=Count("signer_grants", filter=Q(signer_grants__deleted_at=None), distinct=True),
            people_count=Count("people", distinct=True),
            rates_count=Count("rate_limits", distinct=True),
        )
        .order_by("name", "pk")
    )


class TenantFilters(ListFilters):
    """Filters of the list of tenants."""

    q = Words(label=_("Name or comment"), method="named", about="part of the name or comment")

    def named(self, rows: QuerySet[Tenant], _name: str, value: str) -> QuerySet[Tenant]:
        """Find by a part of the name or the comment."""
        return rows.filter(Q(name__icontains=value[:TEXT_MAX]) | Q(comment__icontains=value[:TEXT_MAX]))


def tenants_count(viewer: Principal) -> tuple[int, int]:
    """Count the tenants that this caller may know of, and those of them that are disabled."""
    counts = tenants_visible(viewer).aggregate(all=Count("pk"), shut=Count("pk", filter=Q(enabled=False)))
    return counts["all"], counts["shut"]


def tenant_find(name: str, *, is_deleted_too: bool = False) -> Tenant | None:
    """Find a tenant."""
    tenants = Tenant.objects.filter(name=name)
    return (tenants if is_deleted_too else tenants.filter(deleted_at=None)).first()


def tenant_by_name(name: str, *, field: str = "name", of: QuerySet[Tenant] | None = None) -> Tenant:
    """Find a tenant of these, or of all that were not deleted.  Raises TenantUnknown that blames `field`."""
    tenant = tenant_find(name) if of is None else of.filter(name=name).first()
    if tenant is None:
        raise TenantUnknown(name, field=field)
    return tenant


def tenant_chosen(viewer: Principal, name: str | None) -> Tenant:
    """Return a tenant that the viewer may know of; without a name its own.  Raises BadValue."""
    tenant = tenants_visible(viewer).filter(name=name or viewer.tenant_name).first()
    if tenant is None:
        raise BadValue(gettext("there is no such tenant"), field="tenant")
    return tenant


def tenant_or_all(viewer: Principal, name: str | None) -> Tenant | None:
    """Return the same; without a name an operator means all, and gets None.  Raises BadValue."""
    return None if viewer.is_operator and not name else tenant_chosen(viewer, name)


def tenant_resolve(principal: Principal, name: str) -> Tenant:
    """Return the tenant of a new person, token, host or miner: only the operator names another.

    Leaving it out does not mean the pool's own, once there are others: that would give its rights.
    Raises BadValue, TenantUnknown, also for the tenant of others.
    """
    wanted = name or tenant_evident(principal)
    if not wanted:
        raise BadValue(gettext("choose a tenant"), field="tenant")
    if wanted != principal.tenant_name and not principal.is_operator:
        raise TenantUnknown(wanted, field="tenant")
    return tenant_by_name(wanted, field="tenant")


def rate_limits_of(name: str) -> QuerySet[RateLimit]:
    """Return how much one tenant may ask for."""
    return RateLimit.objects.select_related("tenant").filter(tenant__name=name).order_by("created_at")
