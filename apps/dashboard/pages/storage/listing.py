"""Storage: all stores with their room, and what hosts were told to do with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.checks.findings.results import Topic
from apps.core import formatting
from apps.core.clock import now
from apps.core.languages import list_text
from apps.core.uuids import is_uuid
from apps.dashboard import cells
from apps.dashboard.cards import Verdict
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.fragments import FragmentContext, fragment
from apps.dashboard.html_time import time_html
from apps.dashboard.list_page import Column, Empty, Link, ListPage
from apps.dashboard.object_fields import Found
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.storage.check_rows import checked_cell
from apps.dashboard.pages.storage.order_rows import order_row
from apps.dashboard.pages.storage.rows import StoreRow, store_row, total_text
from apps.dashboard.pagination import Facet, Query, page_in_turn, tags_of
from apps.dashboard.pickers import picker
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Text
from apps.dashboard.todo import verdict_by
from apps.sectors.selectors.hosts import worker_get
from apps.sectors.selectors.store_checks import stores_checked
from apps.sectors.selectors.store_filters import StoreFilters
from apps.sectors.selectors.store_states import (
    store_labels,
    stores_by_state,
    stores_sized,
    stores_stated,
)
from apps.sectors.selectors.stores import attachments_of, store_orders, store_status, stores_visible
from apps.sectors.services.stores.orders import store_attach
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.sectors.models import Store

LABELS_MAX: Final = 30
"""Labels that a filter is offered for."""


def checked_rows(stores: Collection[Store], *, now: datetime) -> list[StoreRow]:
    """Lay out stores with what checks of their files say."""
    checked = stores_checked(stores, now=now)
    return [
        store_row(store, now=now, checked=checked_cell(checked[store.pk]) if store.pk in checked else None)
        for store in stores
    ]


def verdict(data: PageData) -> Verdict:
    """Return in one sentence what room there is."""
    report, (stores, readable) = data.report_of(Topic.STORES), stores_sized(data.viewer, now=data.at)
    if not stores:
        return verdict_by(report, Verdict("", _("No host has reported a store yet.")))
    return verdict_by(report, Verdict(total_text(stores, readable), ""))


def stated(data: PageData) -> QuerySet[Store]:
    """Return the viewer's stores with their states, those that need somebody first."""
    return stores_stated(stores_visible(data.viewer, now=data.at), now=data.at)


def changed(context: FragmentContext, keys: list[str]) -> QuerySet[Store]:
    """Return the stores that changed."""
    return stated(context.data).filter(uuid__in=[key for key in keys if is_uuid(key)])


def labels(data: PageData, wanted: StoreFilters, beside: Query) -> Iterable[Facet]:
    """Return a filter for each label."""
    query = {**wanted.given, **beside, "label": wanted["label"]}
    return tags_of(reverse("stores"), store_labels(data.viewer, LABELS_MAX), field="label", query=query)


def links(data: PageData) -> Iterable[Link]:
    """Return the buttons above the list."""
    yield Link(_("Moves"), reverse("store-moves"))
    if data.viewer.may("sign"):
        yield Link(_("Attach a store…"), reverse("store-attach"), icon="plus", kind="primary")


def orders_of(data: PageData) -> dict[str, Any]:
    """Return what hosts were told to do with stores."""
    return {"orders": [order_row(*order) for order in store_orders(data.viewer, now=data.at)]}


def orders(context: FragmentContext) -> Iterable[str]:
    """Render what hosts were told to do with stores."""
    yield fragment("storage/_orders.html", **orders_of(context.data))


def scope_note(data: PageData) -> str:
    """Return that stores are no miner's."""
    if not data.is_of_miner:
        return ""
    return gettext("A store belongs to a tenant: these are all of {tenant}.").format(
        tenant=data.viewer.tenant_name
    )


def name(row: StoreRow) -> SafeString:
    """Return what a store is called, its folder and its labels."""
    return cells.joined(
        cells.link(reverse("store", args=[row.row.uuid]), row.row.name),
        cells.sub(row.path, css="wrap id"),
        cells.sub(list_text(row.row.labels)),
    )


def used(row: StoreRow) -> SafeString:
    """Return how much of it is used."""
    return cells.partial("charts/_bar.html", pct=round(100 * row.share), text=row.used)


def free(row: StoreRow) -> SafeString:
    """Return the room it has left, and its size."""
    of = gettext("of {total}").format(total=row.total) if row.total else ""
    return cells.joined(row.free, cells.sub(of))


def checked(row: StoreRow) -> SafeString:
    """Return what checks of its files found, and when all were read last."""
    one = row.checked
    if one is None:
        return conditional_escape(gettext("never"))
    done = time_html(one.done_at) if one.done_at else "" if one.running else gettext("never")
    chips = [cells.chip(label) for label in (one.bad, one.running) if label is not None]
    return cells.joined(*chips, done, cells.sub(one.text, "wrap"))


STORES: Final = ListPage(
    name="stores",
    address="storage",
    one="store",
    title=_("Storage"),
    table=_("Table of stores"),
    caption=_("Stores, those that need attention first"),
    icon="storage",
    template="storage/list.html",
    more=lambda _request, data: orders_of(data),
    rows=lambda data: data.of(stated),
    page=page_in_turn,
    lay_out=lambda rows, data: checked_rows(rows, now=data.at),
    id_of=attrgetter("key"),
    tone_of=attrgetter("tone"),
    verdict=verdict,
    verdict_on=("store",),
    live={"store": changed},
    live_too={"store": (orders,)},
    links=links,
    filters=StoreFilters,
    is_scoped=True,
    scope_note=scope_note,
    search=_("Name or folder of a store"),
    search_hint=_("Name or folder"),
    facets=(
        ("", _("All"), "", ""),
        ("ready", _("Ready"), "ok", "ok"),
        ("trouble", _("Needs attention"), "bad", "bad"),
        ("readonly", _("Read-only"), "idle", "lock"),
    ),
    counts=lambda data: stores_by_state(data.of(stated)),
    more_facets=labels,
    empty=lambda _data: Empty(
        _("No stores yet"), _("A host reports its stores when it joins. Attach more to it here.")
    ),
    none=Empty(_("No matching stores"), _("Choose another filter.")),
    columns=(
        Column(head=_("Store"), cell=name, css="keep", is_name=True, key="name", by="name"),
        Column(
            head=_("State"),
            cell=lambda row: cells.joined(cells.chip(row.label), cells.sub(row.reason, "wrap")),
            css="c-state",
            is_plain=True,
            key="state",
            by="rank",
        ),
        Column(head=_("Used"), cell=used, css="c-wide", key="used"),
        Column(head=_("Free"), cell=free, css="num", key="free", by="free_bytes"),
        Column(
            head=_("Full in"),
            cell=lambda row: cells.joined(row.left or formatting.NOTHING, cells.sub(row.rate, "wrap")),
            css="num",
            key="full",
        ),
        Column(head=_("Sectors"), cell=attrgetter("sectors"), css="num", key="sectors", by="sectors"),
        Column(head=_("Files checked"), cell=checked, css="c-wide", key="checked"),
        Column(head=_("Hosts"), cell=attrgetter("hosts"), css="c-wide", key="hosts"),
        Column(
            head=_("Tenant"),
            cell=attrgetter("row.tenant.name"),
            css="keep lo",
            key="tenant",
            by="tenant__name",
        ),
    ),
    csv={
        "id": attrgetter("uuid"),
        "name": attrgetter("name"),
        "tenant": attrgetter("tenant.name"),
        "condition": lambda row: store_status(row, now=now()).condition,
        "labels": lambda row: " ".join(row.labels),
        "total_bytes": lambda row: row.total_bytes if row.is_bounded else None,
        "free_bytes": lambda row: row.free_bytes if row.is_bounded else None,
        "reserved_bytes": attrgetter("reserved_bytes"),
        "sectors": attrgetter("sectors"),
        "hosts": lambda row: " ".join(sorted({one.worker.name for one in attachments_of(row)})),
        "folders": lambda row: " ".join(sorted({one.path for one in attachments_of(row)})),
        "created": lambda row: row.created_at.isoformat(),
    },
)


class AttachForm(PageForm):
    """Which folder of which host."""

    worker = Found(worker_get)
    folder = Text()
    kind = Choice([("existing", ""), ("new", "")], initial="existing")


@sign_in_required
def attach(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Attach a folder to a host as a store."""
    if not viewer.may("sign"):
        raise Http404
    form = AttachForm.of(request, viewer, worker=request.GET.get("host", ""))
    if form.is_valid():
        with form.refusals():
            values = form.cleaned_data
            store_attach(values["worker"], path=values["folder"], is_new=values["kind"] == "new", by=viewer)
            return redirect("stores")
    return form_render(
        request,
        viewer,
        "storage/attach.html",
        form,
        title=_("Attach a store"),
        section="stores",
        hosts=picker(viewer, "host", value=form.typed["worker"]),
    )


NAV: Final = NavItem("stores", _("Storage"), "storage", place=(6, 2), jump="o")
urlpatterns: Final = [
    *STORES.urls,
    path("storage/attach/", attach, name="store-attach"),
]
LIVE: Final = STORES.live_pages
