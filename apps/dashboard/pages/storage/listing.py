"""Storage: all stores with their room, and what hosts were told to do with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.findings.results import Topic
from apps.core.clock import now
from apps.dashboard.cards import Verdict
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.storage.check_rows import checked_cell
from apps.dashboard.pages.storage.order_rows import order_row
from apps.dashboard.pages.storage.rows import FILTERS, StoreRow, is_shown, store_row, total_text
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.dashboard.todo import verdict_by
from apps.sectors.selectors.hosts import is_uuid, worker_get
from apps.sectors.selectors.store_checks import stores_checked
from apps.sectors.selectors.stores import store_orders, stores_visible
from apps.sectors.services.stores.orders import store_attach

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from apps.sectors.models import Store
    from apps.users.rules.principals import Principal

LIST_MAX: Final = 1_000


def rows_of(data: PageData) -> list[StoreRow]:
    """Lay out the viewer's stores, those that need somebody first."""
    rows = checked_rows(data.stores[:LIST_MAX], now=data.at)
    return sorted(rows, key=lambda row: ({"bad": 0, "warn": 1}.get(row.tone, 2), row.row.name))


def checked_rows(stores: Collection[Store], *, now: datetime) -> list[StoreRow]:
    """Lay out stores with what checks of their files say."""
    checked = stores_checked(stores, now=now)
    return [
        store_row(store, now=now, checked=checked_cell(checked[store.pk]) if store.pk in checked else None)
        for store in stores
    ]


def verdict_of(data: PageData, rows: Iterable[StoreRow]) -> Verdict:
    """Return in one sentence what room there is."""
    known = list(rows)
    if not known:
        return verdict_by(data.report_of(Topic.STORES), Verdict("", _("No host has reported a store yet.")))
    return verdict_by(data.report_of(Topic.STORES), Verdict(total_text(known), ""))


@require_safe
@sign_in_required
def storage(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list of stores."""
    data = PageData(viewer)
    rows = rows_of(data)
    chosen = request.GET.get("state", "")
    chosen = chosen if chosen in FILTERS else ""
    label = request.GET.get("label", "")[:50]
    shown = [row for row in rows if is_shown(row, chosen) and (not label or label in row.row.labels)]
    here = reverse("stores")
    counts = {key: sum(is_shown(row, key) for row in rows) for key in FILTERS}
    labels = sorted({one for row in rows for one in row.row.labels})
    return page_render(
        request,
        "storage/list.html",
        title=_("Storage"),
        section="stores",
        page_key="stores",
        data=data,
        stores=shown,
        has_any=bool(rows),
        verdict=verdict_of(data, rows),
        filters=[
            (text, f"{here}?{urlencode({'state': key})}", key == chosen and not label, counts[key])
            for key, text in FILTERS.items()
        ],
        labels=[(one, f"{here}?{urlencode({'label': one})}", one == label) for one in labels],
        orders=[order_row(*order) for order in store_orders(viewer, now=data.at)],
        may_change=viewer.may("sign"),
    )


class AttachForm(PageForm):
    """Which folder of which host."""

    worker = Text()
    folder = Text()
    kind = Text(initial="existing")


@sign_in_required
def attach(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Attach a folder to a host as a store."""
    if not viewer.may("sign"):
        raise Http404
    form = AttachForm.of(request, worker=request.GET.get("host", ""))
    if form.is_valid():
        with form.refusals():
            values = form.cleaned_data
            worker = worker_get(viewer, values["worker"])
            store_attach(worker, path=values["folder"], is_new=values["kind"] == "new", by=viewer)
            return redirect("stores")
    data = PageData(viewer)
    hosts = [(str(worker.uuid), worker.name) for worker in data.workers]
    return form_render(
        request,
        viewer,
        "storage/attach.html",
        form,
        title=_("Attach a store"),
        section="stores",
        data=data,
        hosts=hosts,
    )


def list_verdict(context: FragmentContext) -> Iterable[str]:
    data = context.data
    rows = [store_row(store, now=data.at) for store in data.stores[:LIST_MAX]]
    yield fragment("dashboard/_verdict.html", verdict=verdict_of(data, rows))


def changed_rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed stores."""
    known = Q(uuid__in=[key for key in keys if is_uuid(key)])
    stores = list(stores_visible(context.viewer, now=context.data.at).filter(known))
    for row in checked_rows(stores, now=context.data.at):
        yield fragment("storage/_row.html", store=row)
    yield fragment(
        "storage/_orders.html",
        orders=[order_row(*order) for order in store_orders(context.viewer, now=now())],
    )


NAV: Final = NavItem("stores", _("Storage"), "storage", place=(1, 14))
urlpatterns: Final = [
    path("storage/", storage, name="stores"),
    path("storage/attach/", attach, name="store-attach"),
]
LIVE: Final = {
    "stores": LivePage({"store": (list_verdict,)}, rows={"store": changed_rows}, findings=list_verdict)
}
