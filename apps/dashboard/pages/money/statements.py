"""One statement: its lines, its payment, and charges as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db.models import Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from apps.blocks.selectors.accounts import accounts_read
from apps.blocks.selectors.billing import (
    charge_lines,
    charges_visible,
    percent_number,
    statement_get,
    tenant_billed,
)
from apps.blocks.selectors.prices import prices_on
from apps.blocks.services.statements import payment_record, payment_remove
from apps.blocks.states import ChargeKind
from apps.core import clock
from apps.core.day_ranges import DayRange, month_days
from apps.dashboard.csv_export import Download, csv_answer, rows_in_turn
from apps.dashboard.day_spans import day_read
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.money.charge_rows import charge_rows
from apps.dashboard.pages.money.charges import charges_csv_url, statement_label
from apps.dashboard.pages.money.rows import closing_of, miner_rows, total_row
from apps.dashboard.pages.money.worth import unpriced_text, worth_text
from apps.dashboard.pagination import page_counted
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.miners.selectors.miners import miners_visible
from apps.users.rules.principals import Principal
from apps.users.services.tenant_management import can_manage_tenants
from poolsite.filecoin.amounts import fil_format

if TYPE_CHECKING:
    from apps.blocks.models import Charge, Statement

OPS: Final = ("pay", "unpay")
COLUMNS: Final = (
    "tenant",
    "statement",
    "day",
    "kind",
    "miner",
    "basis",
    "reward_percent",
    "power_price_atto",
    "monthly_sum_atto",
    "unknown_blocks",
    "amount_atto",
    "note",
    "miner_name",
    "basis_fil",
    "amount_fil",
)
"""Of the charges as CSV."""


class PaymentForm(PageForm):
    """What a statement was paid by."""

    blamed = "payment"
    payment = Text()


@require_safe
@sign_in_required
def statement(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Return a statement with its lines."""
    return statement_page(request, viewer, statement_get(viewer, key), PaymentForm.of(request))


def statement_page(
    request: HttpRequest, viewer: Principal, row: Statement, form: PaymentForm
) -> HttpResponse:
    """Show it, with what was typed where that could not be taken."""
    shown, pager = page_counted(charge_lines(row.charges.all()), request.GET.get("after", ""))
    return form_render(
        request,
        viewer,
        "money/statement.html",
        form,
        title=gettext("Statement of {tenant} for {month}").format(
            tenant=row.tenant.name, month=f"{row.month:%Y-%m}"
        ),
        section="money",
        statement=row,
        month=f"{row.month:%Y-%m}",
        state=statement_label(row),
        rows=charge_rows(shown),
        total=row.total,
        pager=pager,
        may_manage=can_manage_tenants(viewer),
        csv=charges_csv_url(statement=str(row.uuid)),
    )


@require_safe
@sign_in_required
def statement_print(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Return a statement on a page to print: all its lines, and what the month brought and cost."""
    row, data = statement_get(viewer, key), PageData(viewer)
    days = month_days(row.month)
    accounts, prices = accounts_read(viewer, days, tenant=row.tenant), prices_on(days)
    rows = miner_rows(accounts, data, query={}, prices=prices)
    by_day = row.charges.order_by().values_list("day").annotate(Sum("amount"))
    charged = {day: int(amount) for day, amount in by_day}
    paid_for = prices_on(DayRange(min(charged, default=days.first), max(charged, default=days.last)))
    return page_render(
        request,
        "money/statement_print.html",
        title=gettext("Statement of {tenant} for {month}").format(
            tenant=row.tenant.name, month=f"{row.month:%Y-%m}"
        ),
        section="money",
        data=data,
        statement=row,
        month=f"{row.month:%Y-%m}",
        state=statement_label(row),
        rows=charge_rows(charge_lines(row.charges.all())),
        total=row.total,
        worth=worth_text(paid_for, charged),
        account=accounts.total,
        account_worth=worth_text(prices, accounts.total.net_by_day),
        miners=rows,
        all_miners=total_row(rows, closing=closing_of(accounts.by_miner.values()), worth=""),
        unpriced=unpriced_text(paid_for, charged) or unpriced_text(prices, accounts.total.net_by_day),
    )


@require_POST
@sign_in_required
def statement_act(request: HttpRequest, viewer: Principal, key: UUID, op: str) -> HttpResponse:
    """Mark a statement as paid, or as open again."""
    row = statement_get(viewer, key)
    if op not in OPS or not can_manage_tenants(viewer):
        raise Http404
    form = PaymentForm.of(request)
    if form.is_valid():
        with form.refusals():
            if op == "pay":
                payment = form.cleaned_data["payment"]
                payment_record(principal=viewer, statement=row, payment=payment, now=clock.now())
            else:
                payment_remove(principal=viewer, statement=row)
            return redirect("statement", row.uuid)
    return statement_page(request, viewer, row, form)


@require_safe
@sign_in_required
def charges_csv(request: HttpRequest, viewer: Principal) -> Download:
    """Return charges as CSV: of a statement, of a tenant, or all, of some days or of all."""
    rows, name = charges_visible(viewer), "charges.csv"
    if key := request.GET.get("statement"):
        row = statement_get(viewer, _key_read(key))
        rows, name = rows.filter(statement=row), f"charges-{row.tenant.name}-{row.month:%Y-%m}.csv"
    elif key := request.GET.get("tenant"):
        rows = rows.filter(tenant=tenant_billed(viewer, key=_key_read(key)))
    if since := day_read(request.GET.get("since", "")):
        rows = rows.filter(day__gte=since)
    if until := day_read(request.GET.get("until", "")):
        rows = rows.filter(day__lte=until)
    names = dict(miners_visible(viewer).values_list("pk", "name"))
    cells = (cells_of(row, name=names.get(row.miner_id or 0, "")) for row in rows_in_turn(rows))
    return csv_answer(name, COLUMNS, cells)


def _key_read(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Http404 from None


def cells_of(row: Charge, *, name: str) -> Sequence[Any]:
    """Return a charge's cells."""
    by, kind = row.terms, row.kind
    has_percent = by is not None and kind in (ChargeKind.REWARDS, ChargeKind.CORRECTION)
    return (
        row.tenant.name,
        "" if row.statement is None else f"{row.statement.month:%Y-%m}",
        row.day.isoformat(),
        kind,
        row.miner_address,
        "" if row.basis is None else int(row.basis),
        percent_number(by.reward_percent) if by is not None and has_percent else "",
        int(by.power_price) if by is not None and kind == ChargeKind.POWER else "",
        int(by.monthly_sum) if by is not None and kind == ChargeKind.MONTHLY else "",
        row.unknown_blocks,
        int(row.amount),
        row.note,
        name,
        fil_format(int(row.basis), unit="") if row.basis is not None and has_percent else "",
        fil_format(int(row.amount), unit=""),
    )


urlpatterns: Final = [
    path("money/charges.csv", charges_csv, name="charges-csv"),
    path("money/statements/<uuid:key>/", statement, name="statement"),
    path("money/statements/<uuid:key>/print/", statement_print, name="statement-print"),
    path("money/statements/<uuid:key>/<str:op>/", statement_act, name="statement-act"),
]
