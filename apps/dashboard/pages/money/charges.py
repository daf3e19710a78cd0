"""Charges: what each tenant owes the pool; and of one tenant its terms, statements and open charges."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.blocks.selectors.billing import (
    Dues,
    charge_lines,
    charges_unclosed,
    dues_by_tenant,
    statements_visible,
    tenant_billed,
    tenants_billed,
    terms_now,
    terms_visible,
)
from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard.cards import Stat, Verdict
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.money.charge_rows import charge_rows, terms_text
from apps.dashboard.pagination import ROWS, cursor_read, page_counted, page_of
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenants_visible
from apps.users.services.tenant_management import can_manage_tenants

if TYPE_CHECKING:
    from apps.blocks.models import Statement
    from apps.users.models import Tenant

TERMS_SHOWN: Final = 10
"""Terms of a tenant on its page."""


def statement_label(row: Statement) -> StateLabel:
    """Return in words whether a statement is paid."""
    return (
        StateLabel("idle", pgettext_lazy("statement", "open"))
        if row.paid_at is None
        else StateLabel("ok", _("paid"))
    )


def charges_csv_url(**wanted: str) -> str:
    """Return the address of charges as CSV."""
    return f"{reverse('charges-csv')}?{urlencode(wanted)}"


@require_safe
@sign_in_required
def charges(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return what each tenant owes; to a tenant's people what their own does."""
    own = None if viewer.sees_pool else tenants_visible(viewer).first()
    if own is not None:
        return tenant_charges(request, viewer, own)
    data, after = PageData(viewer), cursor_read(request.GET.get("after", ""), of="charges")
    rows, pager = page_of(
        list(tenants_billed(viewer).filter(name__gt=after)[: ROWS + 1]),
        of="charges",
        cursor_of=lambda row: row.name,
        query={},
        is_first=not after,
    )
    terms, dues = terms_now(rows, day=data.at.date()), dues_by_tenant(rows)
    return page_render(
        request,
        "money/charges.html",
        title=_("Charges"),
        section="money",
        data=data,
        rows=[(row, terms_text(terms.get(row.pk)), dues.get(row.pk, Dues())) for row in rows],
        pager=pager,
    )


def dues_stats(dues: Dues, tenant: Tenant) -> list[Stat]:
    """Return what a tenant owes as tiles."""
    here = reverse("charges-tenant", args=[tenant.uuid])
    unpaid, unpaid_unit = formatting.amount_short(dues.open)
    unclosed, unclosed_unit = formatting.amount_short(dues.unclosed)
    foot = plural(dues.statements, "statement")
    return [
        Stat("charges-open", gettext("Not paid"), unpaid, foot, here, unit=unpaid_unit),
        Stat(
            "charges-unclosed",
            gettext("Not closed yet"),
            unclosed,
            gettext("without monthly sums"),
            reverse("charges-unclosed", args=[tenant.uuid]),
            unit=unclosed_unit,
        ),
    ]


def _month_read(text: str) -> date | None:
    """Return the month that a cursor names; None for the first page, or a cursor that was changed."""
    found = cursor_read(text, of="statements")
    return date.fromisoformat(found) if found else None


@require_safe
@sign_in_required
def charges_of_tenant(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Return one tenant's terms and statements."""
    return tenant_charges(request, viewer, tenant_billed(viewer, key=key))


def tenant_charges(request: HttpRequest, viewer: Principal, tenant: Tenant) -> HttpResponse:
    """Show them."""
    data = PageData(viewer)
    after = _month_read(request.GET.get("after", ""))
    statements = statements_visible(viewer).filter(tenant=tenant)
    if after is not None:
        statements = statements.filter(month__lt=after)
    shown, pager = page_of(
        list(statements[: ROWS + 1]),
        of="statements",
        cursor_of=lambda row: row.month.isoformat(),
        query={},
        is_first=after is None,
    )
    terms = list(terms_visible(viewer).filter(tenant=tenant)[: TERMS_SHOWN + 1])
    now = terms_now([tenant], day=data.at.date()).get(tenant.pk)
    return page_render(
        request,
        "money/tenant_charges.html",
        title=gettext("Charges of {tenant}").format(tenant=tenant.name),
        section="money",
        data=data,
        tenant=tenant,
        verdict=Verdict(
            gettext("{tenant} is charged {terms}.").format(tenant=tenant.name, terms=terms_text(now)), ""
        ),
        stats=dues_stats(dues_by_tenant([tenant]).get(tenant.pk, Dues()), tenant),
        terms=[(row, terms_text(row), now is not None and row.pk == now.pk) for row in terms[:TERMS_SHOWN]],
        has_more=len(terms) > TERMS_SHOWN,
        statements=[(row, statement_label(row)) for row in shown],
        pager=pager,
        may_manage=can_manage_tenants(viewer),
    )


@require_safe
@sign_in_required
def charges_not_closed(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Return what a tenant was charged in months that are not closed."""
    tenant = tenant_billed(viewer, key=key)
    lines = charge_lines(charges_unclosed(tenant))
    shown, pager = page_counted(lines, request.GET.get("after", ""))
    return page_render(
        request,
        "money/unclosed.html",
        title=gettext("Not closed yet"),
        section="money",
        data=PageData(viewer),
        tenant=tenant,
        rows=charge_rows(shown),
        total=sum(line.amount for line in lines),
        pager=pager,
        csv=charges_csv_url(tenant=str(tenant.uuid)),
    )


urlpatterns: Final = [
    path("money/charges/", charges, name="charges"),
    path("money/charges/<uuid:key>/", charges_of_tenant, name="charges-tenant"),
    path("money/charges/<uuid:key>/unclosed/", charges_not_closed, name="charges-unclosed"),
]
