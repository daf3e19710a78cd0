"""What was spent on gas, and its CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from django.http import HttpRequest
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.core import formatting
from apps.dashboard.csv_export import Download, csv_answer, rows_in_turn
from apps.dashboard.day_spans import Period, period_read
from apps.dashboard.page_data import PageData, data_in_scope
from apps.dashboard.pages.gas.queue import what_text
from apps.dashboard.scope import scope_chosen
from apps.dashboard.sessions import sign_in_required
from apps.messages.selectors.spend import SpendSum, spend_on
from apps.users.rules.principals import Principal

GROUPS: Final = (
    ("method", _("By method")),
    ("tenant", _("By tenant")),
    ("sender", _("By sender")),
    ("day", _("By day")),
)


HEADS: Final = {"method": _("Method"), "tenant": _("Tenant"), "sender": _("Sender"), "day": _("Day (UTC)")}
"""Of the first column, by group."""


def spend_name(key: tuple[Any, ...], *, by: str, data: PageData) -> tuple[str, str]:
    """Name a part of the spending, with a smaller line below."""
    if by == "tenant":
        return key[0] or gettext("the pool itself"), ""
    if by == "sender":
        short = formatting.shortened(key[0])
        return data.names.wallets.get(key[0]) or short, short
    if by == "day":
        return key[0].isoformat(), ""
    to, method, kind = key
    return what_text(to, method, kind=kind, data=data), kind.replace("_", " ")


def sums_by_name(sums: Sequence[SpendSum], *, by: str, data: PageData) -> dict[tuple[str, str], SpendSum]:
    """Add up rows of the same name, such as one method on several miners; the most expensive first."""
    found: dict[tuple[str, str], SpendSum] = {}
    for one in sums:
        name = spend_name(one.key, by=by, data=data)
        if (before := found.get(name)) is not None:
            one = replace(
                before,
                messages=before.messages + one.messages,
                gas_used=before.gas_used + one.gas_used,
                cost=before.cost + one.cost,
            )
        found[name] = one
    return found if by == "day" else dict(sorted(found.items(), key=lambda item: -item[1].cost))


def spend_total(rows: Sequence[dict[str, Any]]) -> SpendSum | None:
    """Return what all of it cost; None where one row says it."""
    sums: list[SpendSum] = [row["sum"] for row in rows]
    if len(sums) < 2:
        return None
    return SpendSum(
        (),
        sum(one.messages for one in sums),
        sum(one.gas_used for one in sums),
        sum(one.cost for one in sums),
    )


def spend_rows(sums: Sequence[SpendSum], *, by: str, data: PageData) -> list[dict[str, Any]]:
    """Return what was spent, with bars against the dearest."""
    named = sums_by_name(sums, by=by, data=data)
    most = max((one.cost for one in named.values()), default=0)
    total = sum(one.cost for one in named.values())
    return [
        {
            "name": name,
            "sum": one,
            "each": one.cost // one.messages,
            "pct": 100 * one.cost // most if most else 0,
            "share": formatting.percent(one.cost, total),
        }
        for name, one in named.items()
    ]


DAYS: Final = (1, 7, 30, 90, 365)
DAYS_USUAL: Final = 7
COLUMNS: Final = ("day", "tenant", "from", "to", "method", "kind", "messages", "gas_used", "cost_atto")
"""Of the spending as CSV."""


def period_of(request: HttpRequest, data: PageData) -> Period:
    """Return the days that the spending is of."""
    return period_read(request, choices=DAYS, usual=DAYS_USUAL, now=data.at)


@require_safe
@sign_in_required
def gas_csv(request: HttpRequest, viewer: Principal) -> Download:
    """Return the spending as CSV, one line per day, sender and method."""
    data = data_in_scope(viewer, scope_chosen(request))
    rows = spend_on(data.viewer, period_of(request, data).days).select_related("tenant")
    cells = (
        (
            row.day.isoformat(),
            row.tenant.name if row.tenant else "",
            row.from_addr,
            row.to,
            row.method,
            row.kind,
            row.messages,
            row.gas_used,
            row.cost,
        )
        for row in rows_in_turn(rows.order_by("-day", "from_addr", "method", "pk"))
    )
    return csv_answer("gas.csv", COLUMNS, cells)


urlpatterns: Final = [
    path("gas.csv", gas_csv, name="gas-csv"),
]
