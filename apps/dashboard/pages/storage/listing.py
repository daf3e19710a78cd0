"""Storage: all stores with their room, and what hosts were told to do with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import path, reverse
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
from apps.dashboard.pages.storage.rows import StoreRow, store_row, total_text
from apps.dashboard.pagination import Facet, facets_of, page_ranked, rows_of_keys, tags_of
from apps.dashboard.pickers import picker
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.dashboard.todo import verdict_by
from apps.sectors.selectors.hosts import is_uuid, worker_get
from apps.sectors.selectors.store_checks import stores_checked
from apps.sectors.selectors.store_states import (
    store_labels,
    stores_by_state,
    stores_chosen,
    stores_sized,
    stores_stated,
)
from apps.sectors.selectors.stores import store_orders, stores_visible
from apps.sectors.services.stores.orders import store_attach
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.sectors.models import Store

LABELS_MAX: Final = 30
"""Labels that a filter is offered for."""
TEXT_MAX: Final = 50
STATES: Final = (
    ("", _("All"), "", ""),
    ("ready", _("Ready"), "ok", "ok"),
    ("trouble", _("Needs attention"), "bad", "bad"),
    ("readonly", _("Read-only"), "idle", "lock"),
)
"""Filters: key, words, tone, icon."""


@dataclass(frozen=True, slots=True)
class StoreFilter:
    """Filters of the list of stores, read from the URL."""

    state: str = ""
    label: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> StoreFilter:
        """Read the URL's query; an unknown state is ignored."""
        state = query.get("state", "")
        return cls(
            state=state if state in {key for key, *_more in STATES} else "",
            label=query.get("label", "")[:TEXT_MAX],
        )

    @property
    def query(self) -> dict[str, str]:
        """Return the filters as a URL's query."""
        return {"state": self.state, "label": self.label}


def facets(stated: QuerySet[Store], wanted: StoreFilter, viewer: Principal) -> list[Facet]:
    """Return a filter for each state, with the number of its stores, and one for each label."""
    counts = stores_by_state(stores_chosen(stated, label=wanted.label))
    here, labels = reverse("stores"), store_labels(viewer, LABELS_MAX)
    return [
        *facets_of(here, STATES, counts, **wanted.query),
        *tags_of(here, labels, field="label", query=wanted.query),
    ]


def checked_rows(stores: Collection[Store], *, now: datetime) -> list[StoreRow]:
    """Lay out stores with what checks of their files say."""
    checked = stores_checked(stores, now=now)
    return [
        store_row(store, now=now, checked=checked_cell(checked[store.pk]) if store.pk in checked else None)
        for store in stores
    ]


def verdict_of(data: PageData) -> Verdict:
    """Return in one sentence what room there is."""
    report, (stores, readable) = data.report_of(Topic.STORES), stores_sized(data.viewer, now=data.at)
    if not stores:
        return verdict_by(report, Verdict("", _("No host has reported a store yet.")))
    return verdict_by(report, Verdict(total_text(stores, readable), ""))


@require_safe
@sign_in_required
def storage(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list of stores."""
    data, wanted = PageData(viewer), StoreFilter.of(request.GET)
    stated = stores_stated(viewer, now=data.at)
    chosen = stores_chosen(stated, **wanted.query)
    keys, pager = page_ranked(chosen, request.GET.get("after", ""), of="stores", query=wanted.query)
    shown = rows_of_keys(stores_visible(viewer, now=data.at), keys)
    return page_render(
        request,
        "storage/list.html",
        title=_("Storage"),
        section="stores",
        page_key="stores",
        data=data,
        stores=checked_rows(shown, now=data.at),
        pager=pager,
        has_any=bool(keys) or stated.exists(),
        verdict=verdict_of(data),
        facets=facets(stated, wanted, viewer),
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
    return form_render(
        request,
        viewer,
        "storage/attach.html",
        form,
        title=_("Attach a store"),
        section="stores",
        hosts=picker(viewer, "host", value=form.typed["worker"]),
    )


def list_verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=verdict_of(context.data))


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


NAV: Final = NavItem("stores", _("Storage"), "storage", place=(6, 2), jump="o")
urlpatterns: Final = [
    path("storage/", storage, name="stores"),
    path("storage/attach/", attach, name="store-attach"),
]
LIVE: Final = {
    "stores": LivePage({"store": (list_verdict,)}, rows={"store": changed_rows}, findings=list_verdict)
}
