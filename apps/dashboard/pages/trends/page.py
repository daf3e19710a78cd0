"""Trends: the charts of one miner, host, store or wallet, of the base fee, or of sealing, and CSV of them.

Other pages fetch the charts from here after they are shown; without scripts they link here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from apps.core.errors import DomainError
from apps.core.local_time import moment_text
from apps.dashboard.csv_export import Download, csv_answer
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.trends.charts import (
    SPANS,
    Span,
    gas_charts,
    host_charts,
    miner_charts,
    sealing_charts,
    span_label,
    span_series,
    store_charts,
    wallet_charts,
)
from apps.dashboard.pagination import Facet
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.trend_charts import Trend
from apps.history.selectors.series import Point, history_since
from apps.history.states import Kind
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.hosts import worker_get
from apps.sectors.selectors.stores import store_get
from apps.users.rules.principals import Principal
from apps.wallets.selectors import wallet_get

ALL: Final = "all"
"""Key of what there is one of, and of sealing for all miners."""
SPAN_USUAL: Final = "7d"


@dataclass(frozen=True, slots=True)
class Shown:
    """Something that has charts."""

    kind: Kind
    subjects: Sequence[int]
    name: str
    section: str
    above: tuple[str, str]
    """Title and address of the page that it is shown on."""
    charts: Iterator[Trend]


def shown_of(viewer: Principal, kind: str, key: str, span: Span, data: PageData) -> Shown:
    """Return what an address names, if the viewer may see it.  Raises Http404."""
    try:
        if kind == Kind.MINER:
            miner = miner_get(viewer, key)
            name, here = miner.name or miner.address, reverse("miner", args=[key])
            charts = miner_charts(miner, span, data)
            return Shown(Kind.MINER, [miner.pk], name, "miners", (name, here), charts)
        if kind == Kind.HOST:
            worker = worker_get(viewer, key)
            above = worker.name, reverse("host", args=[worker.uuid])
            return Shown(Kind.HOST, [worker.pk], worker.name, "hosts", above, host_charts(worker, span, data))
        if kind == Kind.STORE:
            store = store_get(viewer, key, now=data.at)
            above = store.name, reverse("store", args=[store.uuid])
            return Shown(Kind.STORE, [store.pk], store.name, "stores", above, store_charts(store, span, data))
        if kind == Kind.WALLET:
            wallet = wallet_get(viewer, key)
            name = wallet.shown_label or str(wallet.address)
            above = name, reverse("sender", args=[wallet.address])
            return Shown(Kind.WALLET, [wallet.pk], name, "senders", above, wallet_charts(wallet, span, data))
        if kind == Kind.GAS and key == ALL:
            above = gettext("Gas"), reverse("gas")
            return Shown(Kind.GAS, [0], gettext("Base fee"), "gas", above, gas_charts(span, data))
        if kind == Kind.SEALING:
            miners = data.miners if key == ALL else [miner_get(viewer, key)]
            name = gettext("All miners") if key == ALL else miners[0].name or miners[0].address
            here = reverse("sealing") + ("" if key == ALL else f"?{urlencode({'miner': key})}")
            subjects = [miner.pk for miner in miners]
            charts = sealing_charts(miners, span, data)
            return Shown(Kind.SEALING, subjects, name, "sealing", (gettext("Sealing"), here), charts)
    except DomainError:
        raise Http404 from None
    raise Http404


def span_of(request: HttpRequest) -> Span:
    """Return the time that is asked for, else the usual one."""
    by_key = {span.key: span for span in SPANS}
    return by_key.get(request.GET.get("span", ""), by_key[SPAN_USUAL])


@require_safe
@sign_in_required
def trends(request: HttpRequest, viewer: Principal, kind: str, key: str) -> HttpResponse:
    """Show the charts."""
    data, span = PageData(viewer), span_of(request)
    shown = shown_of(viewer, kind, key, span, data)
    here, since = reverse("trends", args=[kind, key]), history_since(shown.kind, shown.subjects)
    context: dict[str, Any] = {
        "charts": list(shown.charts),
        "since": "" if since is None else moment_text(since),
        "days_are_utc": span.step.days > 0,
        "spans": [
            Facet(
                key=one.key,
                label=span_label(one),
                href=f"{here}?{urlencode({'span': one.key})}",
                on=one == span,
            )
            for one in SPANS
        ],
        "csv": f"{reverse('trends-csv', args=[kind, key])}?{urlencode({'span': span.key})}",
    }
    if getattr(request, "htmx", False):  # another page fetches them
        response = render(request, "trends/_charts.html", context)
        response["Vary"], response["Cache-Control"] = "Cookie, HX-Request", "no-store"
        return response
    return page_render(
        request,
        "trends/page.html",
        title=gettext("Trends of {name}").format(name=shown.name),
        section=shown.section,
        data=data,
        above=shown.above,
        **context,
    )


@require_safe
@sign_in_required
def trends_csv(request: HttpRequest, viewer: Principal, kind: str, key: str) -> Download:
    """Return the figures as CSV: bytes, attoFIL, shares of 0 to 1; means, of sealing sums; unknown: empty."""
    data, span = PageData(viewer), span_of(request)
    shown = shown_of(viewer, kind, key, span, data)
    found = span_series(shown.kind, shown.subjects, span, now=data.at)
    names = sorted(found.points)
    parts = ("value",) if shown.kind == Kind.SEALING else ("value", "low", "high")

    def cells(point: Point | None) -> list[Any]:
        return ["" if point is None else getattr(point, part) for part in parts]

    rows = (
        [at.isoformat(), *(cell for name in names for cell in cells(found.of(name)[place]))]
        for place, at in enumerate(found.steps)
    )
    head = ["at", *(name if part == "value" else f"{name}_{part}" for name in names for part in parts)]
    return csv_answer(f"{shown.kind}-trends.csv", head, rows)


urlpatterns: Final = [
    path("trends/<str:kind>/<str:key>/", trends, name="trends"),
    path("trends/<str:kind>/<str:key>.csv", trends_csv, name="trends-csv"),
]
