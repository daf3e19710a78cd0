"""Charges: what each tenant owes the pool, statements, and of one tenant its terms and open charges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
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
    StatementFilters,
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
from apps.dashboard import cells
from apps.dashboard.cards import Stat, Verdict
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.list_page import Column, Empty, Link, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.money.charge_rows import charge_rows, terms_text
from apps.dashboard.pagination import page_counted, page_in_turn
from apps.dashboard.sessions import sign_in_required
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenants_visible
from apps.users.services.tenant_management import can_manage_tenants

if TYPE_CHECKING:
    from apps.blocks.models import Statement
    from apps.users.models import Tenant

TERMS_SHOWN: Final = 10
"""Terms of a tenant on its page."""
STATEMENTS_SHOWN: Final = 12
"""Its statements there."""


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


@dataclass(frozen=True, slots=True)
class DuesRow:
    """One tenant in the list of charges: its terms and its dues."""

    row: Tenant
    terms: str
    dues: Dues


def dues_rows(rows: Sequence[Tenant], data: PageData) -> list[DuesRow]:
    """Lay out what tenants owe."""
    terms, dues = terms_now(rows, day=data.at.date()), dues_by_tenant(rows)
    return [DuesRow(row, terms_text(terms.get(row.pk)), dues.get(row.pk, Dues())) for row in rows]


CHARGES: Final = ListPage(
    name="charges",
    address="money/charges",
    section="money",
    one="dues",
    title=_("Charges"),
    table=_("Table of tenants"),
    caption=_("Charges by tenant, in FIL"),
    icon="tenants",
    template="money/charges.html",
    rows=lambda data: tenants_billed(data.viewer),
    page=page_in_turn,
    lay_out=dues_rows,
    id_of=attrgetter("row.pk"),
    tone_of=lambda _row: "",
    links=lambda _data: [Link(_("Statements"), reverse("statements"))],
    empty=lambda _data: Empty(_("No tenants yet"), _("Charges are set for each tenant.")),
    columns=(
        Column(
            head=_("Tenant"),
            cell=lambda row: cells.link(reverse("charges-tenant", args=[row.row.uuid]), row.row.name),
            is_name=True,
        ),
        Column(head=_("Terms"), cell=attrgetter("terms"), css="c-wide", key="terms"),
        Column(
            head=_("Not closed yet"), cell=lambda row: cells.fil(row.dues.unclosed), css="num", key="unclosed"
        ),
        Column(
            head=_("Not paid"),
            cell=lambda row: cells.fil(row.dues.open, is_strong=True),
            css="num",
            key="open",
        ),
        Column(
            head=_("Statements"),
            cell=lambda row: formatting.whole(row.dues.statements),
            css="num",
            key="statements",
        ),
    ),
)


STATEMENTS: Final = ListPage(
    name="statements",
    address="money/statements",
    section="money",
    one="statement",
    title=_("Statements"),
    table=_("Table of statements"),
    caption=_("Statements by month, in FIL"),
    icon="money",
    rows=lambda data: statements_visible(data.viewer).order_by("-month", "-pk"),
    page=page_in_turn,
    lay_out=lambda rows, _data: rows,
    id_of=attrgetter("pk"),
    tone_of=lambda _row: "",
    filters=StatementFilters,
    places=("tenant", "month"),
    places_label=_("Filter"),
    suggested={
        "tenant": lambda data: tenants_billed(data.viewer).values_list("name", flat=True),
    },
    facets=(
        ("", _("All"), "", ""),
        ("open", pgettext_lazy("statement", "open"), "idle", "wait"),
        ("paid", _("paid"), "ok", "ok"),
    ),
    counted=("open",),
    empty=lambda _data: Empty(
        _("No statements yet"),
        _("A month is closed once its last day can no more be reverted, if anything was charged for it."),
    ),
    none=Empty(_("No matching statements"), _("Choose another filter.")),
    columns=(
        Column(
            head=_("Month (UTC)"),
            cell=lambda row: cells.link(reverse("statement", args=[row.uuid]), f"{row.month:%Y-%m}"),
            is_name=True,
            key="month",
            by="month",
        ),
        Column(head=_("Tenant"), cell=attrgetter("tenant.name"), key="tenant", by="tenant__name"),
        Column(
            head=_("State"),
            cell=lambda row: cells.chip(statement_label(row)),
            css="tight c-state",
            is_plain=True,
        ),
        Column(
            head=_("Total"),
            cell=lambda row: cells.fil(row.total, is_strong=True),
            css="num",
            key="total",
            by="total",
        ),
        Column(
            head=_("Closed"),
            cell=lambda row: time_html(row.closed_at),
            css="keep",
            key="closed",
            by="closed_at",
        ),
        Column(head=_("Paid by"), cell=attrgetter("payment"), css="wrap", key="payment"),
    ),
    csv={
        "uuid": attrgetter("uuid"),
        "tenant": attrgetter("tenant.name"),
        "month": lambda row: f"{row.month:%Y-%m}",
        "total_atto": attrgetter("total"),
        "closed": lambda row: row.closed_at.isoformat(),
        "paid": lambda row: row.paid_at and row.paid_at.isoformat(),
        "payment": attrgetter("payment"),
    },
)


@require_safe
@sign_in_required
def charges(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return what each tenant owes; to a tenant's people what their own does."""
    own = None if viewer.sees_pool else tenants_visible(viewer).first()
    return CHARGES.view(request, viewer) if own is None else tenant_charges(request, viewer, own)


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


@require_safe
@sign_in_required
def charges_of_tenant(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Return one tenant's terms and statements."""
    return tenant_charges(request, viewer, tenant_billed(viewer, key=key))


def tenant_charges(request: HttpRequest, viewer: Principal, tenant: Tenant) -> HttpResponse:
    """Show them."""
    data = PageData(viewer)
    statements = list(statements_visible(viewer).filter(tenant=tenant)[: STATEMENTS_SHOWN + 1])
    more = f"{reverse('statements')}?{urlencode({'tenant': tenant.name})}"
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
        statements=[(row, statement_label(row)) for row in statements[:STATEMENTS_SHOWN]],
        all_href=more if len(statements) > STATEMENTS_SHOWN else "",
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
    *STATEMENTS.urls,
    path("money/charges/", charges, name="charges"),
    path("money/charges/<uuid:key>/", charges_of_tenant, name="charges-tenant"),
    path("money/charges/<uuid:key>/unclosed/", charges_not_closed, name="charges-unclosed"),
]
