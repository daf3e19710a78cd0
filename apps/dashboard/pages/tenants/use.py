"""Each tenant's use of the pool and its share: hosts, proofs, gas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.selectors.tenant_use import DAYS, TenantUse, tenant_uses
from apps.core import formatting
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pagination import page_counted
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenants_visible


@dataclass(frozen=True, slots=True)
class UsePart:
    """One figure of a tenant's use."""

    text: str
    share: str
    """Its share of the pool's; empty for whoever may not know it, or if the pool has none."""


@dataclass(frozen=True, slots=True)
class UseRow:
    """One tenant's use."""

    name: str
    href: str
    hosts: UsePart
    proofs: UsePart
    gas: UsePart


def use_row(name: str, href: str, use: TenantUse, everything: TenantUse | None) -> UseRow:
    """Lay out one tenant's use; its share where all of the pool's is given."""

    def part(text: str, count: int | None, total: int | None) -> UsePart:
        return UsePart(text, formatting.percent(count, total) if count is not None and total else "")

    most = everything or TenantUse()
    return UseRow(
        name=name,
        href=href,
        hosts=part(formatting.whole(use.hosts), use.hosts, most.hosts),
        proofs=part(formatting.whole(use.proofs), use.proofs, most.proofs),
        gas=part(formatting.fil(use.gas), use.gas, most.gas),
    )


def own_use(data: PageData, tenant_pk: int) -> UseRow:
    """Return a tenant's use; only who sees the pool is told its share."""
    uses, everything = tenant_uses(data.viewer, now=data.at)
    none = TenantUse(proofs=None if everything.proofs is None else 0)
    return use_row("", "", uses.get(tenant_pk, none), everything if data.viewer.sees_pool else None)


@require_safe
@sign_in_required
def tenants_use(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show all tenants' use by name."""
    if not viewer.sees_pool:
        raise Http404
    data = PageData(viewer)
    shown, pager = page_counted(tenants_visible(viewer), request.GET.get("after", ""), of="tenants-use")
    uses, everything = tenant_uses(viewer, now=data.at)
    none = TenantUse(proofs=None if everything.proofs is None else 0)

    def rows() -> Iterator[UseRow]:
        for row in shown:
            yield use_row(row.name, reverse("tenant", args=[row.uuid]), uses.get(row.pk, none), everything)
        if None in uses and not pager.older:
            yield use_row(gettext("the pool itself"), "", uses[None], everything)

    return page_render(
        request,
        "tenants/use.html",
        title=_("Use of the pool"),
        section="tenants",
        data=data,
        rows=[*rows()],
        total=use_row("", "", everything, None),
        days=DAYS,
        pager=pager,
    )


urlpatterns: Final = [path("tenants/use/", tenants_use, name="tenants-use")]
