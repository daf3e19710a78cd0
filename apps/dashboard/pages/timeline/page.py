"""The timeline of a tenant or a miner: alerts, acts, messages, wins, sectors, hosts, stores in one list."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.selectors.timeline import (
    KINDS,
    TimelineEntry,
    TimelineFilter,
    TimelinePage,
    miner_timeline,
    sector_of,
    tenant_timeline,
)
from apps.core import formatting
from apps.core.errors import BadValue
from apps.core.languages import clauses_text, colon_text, list_text
from apps.core.reasons import shown_text
from apps.dashboard.audit_sentences import Part, sentence_parts
from apps.dashboard.day_spans import day_moment, day_read
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import AddressNames, PageData
from apps.dashboard.pages.alerts.page import alert_label
from apps.dashboard.pages.blocks.states import STATES
from apps.dashboard.pages.messages.rows import message_row
from apps.dashboard.pages.sectors.history import event_row
from apps.dashboard.pages.storage.rows import event_text
from apps.dashboard.pagination import ROWS, Facet, Pager, cursor_read, page_of
from apps.dashboard.refusals import field_refusal_text
from apps.dashboard.scope import scope_chosen
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.miners import miner_get
from apps.miners.selectors.scope import SCOPE
from apps.users.rules.principals import Principal
from apps.users.services.tenant_management import visible_tenant_find
from poolsite.wire.commands import Operation

if TYPE_CHECKING:
    from datetime import datetime

    from django_stubs_ext import StrOrPromise

    from apps.sectors.models import JobEvent, WorkerCommand

FIELDS: Final = ("kind", "since", "until")
KIND_LABELS: Final[dict[str, StrOrPromise]] = {
    "": _("All"),
    "alert": _("Alerts"),
    "act": pgettext_lazy("of people and programs", "Acts"),
    "message": _("Messages"),
    "block": _("Wins"),
    "sector": _("Sectors"),
    "host": _("Hosts"),
    "store": _("Storage"),
}
ICONS: Final = {
    **{"alert": "alerts", "act": "audit", "message": "messages", "block": "blocks"},
    **{"sector": "sectors", "host": "hosts", "store": "storage"},
}
ORDERS: Final[dict[str, StrOrPromise]] = {
    Operation.PAUSE: _("{host} ordered to pause"),
    Operation.RESUME: _("{host} ordered to resume"),
    Operation.DRAIN: _("{host} ordered to drain"),
    Operation.UPGRADE: _("{host} ordered to stop for an upgrade"),
    Operation.SET_PLAN: _("{host} ordered to change its settings"),
    Operation.ATTACH: _("{host} ordered to attach a store"),
    Operation.DETACH: _("{host} ordered to detach a store"),
    Operation.SET_STORE: _("{host} ordered to change a store"),
}
"""Sentences of the timeline, by the order to a host."""


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One line."""

    at: datetime
    icon: str
    kind: StrOrPromise
    parts: Sequence[Part]
    label: StateLabel | None = None
    """How it stands; None for an act."""


def timeline_row(entry: TimelineEntry, names: AddressNames) -> TimelineRow:
    """Lay out one entry."""
    icon, kind, row, label = ICONS[entry.kind], KIND_LABELS[entry.kind], entry.row, None
    if entry.kind == "alert":
        label = alert_label(row)
        parts: list[Part] = [Part(shown_text(row.say), href=reverse("alert", args=[row.uuid]))]
    elif entry.kind == "message":
        message = message_row(row, names)
        label = message.label
        text = list_text((message.method, message.about))
        parts = [Part(text, href=reverse("message", args=[row.pk]))]
    elif entry.kind == "block":
        label = STATES[row.state]
        text = gettext("{miner} won epoch {epoch}").format(
            miner=row.miner.name or row.miner.address, epoch=formatting.whole(row.epoch)
        )
        parts = [Part(text, href=reverse("block-round", args=[row.uuid]))]
    elif entry.kind == "sector":
        part, label = sector_part(row)
        parts = [part]
    elif entry.kind == "host":
        part, label = order_part(row)
        parts = [part]
    elif entry.kind == "store":
        tone, words = event_text(row)
        label = StateLabel(tone, _("failed")) if tone == "bad" else None
        text = colon_text(row.store.name, clauses_text(filter(None, (words, shown_text(row.note)))))
        parts = [Part(text, href=reverse("store", args=[row.store.uuid]))]
    else:
        parts = [*sentence_parts(row)]
    return TimelineRow(entry.at, icon, kind, parts, label)


def sector_part(row: JobEvent) -> tuple[Part, StateLabel | None]:
    """Return what became of a sector, and whether it failed."""
    sector, step = sector_of(row), event_row(row)
    name = f"{row.job.miner.address} / {sector.number}"
    text = colon_text(name, clauses_text(filter(None, (step.say, step.sub))))
    label = StateLabel("bad", _("failed")) if row.is_error else None
    return Part(text, href=reverse("sector", args=[sector.uuid])), label


def order_part(row: WorkerCommand) -> tuple[Part, StateLabel]:
    """Return what a host was ordered to do, by whom, and what came of it."""
    text = gettext(str(ORDERS[row.op])).format(host=row.worker.name)
    text = clauses_text(filter(None, (text, row.actor, shown_text(row.error))))
    label = StateLabel("bad", _("failed")) if row.error else StateLabel("ok", _("done"))
    if row.done_at is None:
        label = StateLabel("run", _("queued"))
    return Part(text, href=reverse("host", args=[row.worker.uuid])), label


def query_read(request: HttpRequest) -> dict[str, str]:
    """Return what the filter says.  Raises BadValue for a filter, kind or day that there is not."""
    for name in request.GET:
        if name not in (*FIELDS, "after", *SCOPE):
            raise BadValue(gettext("there is no such filter"), field=name[:40])
    query = {name: request.GET.get(name, "").strip()[:40] for name in FIELDS}
    if query["kind"] not in KIND_LABELS:
        raise BadValue(gettext("choose one of the options"), field="kind")
    for name in ("since", "until"):
        if query[name] and day_read(query[name]) is None:
            raise BadValue(gettext("must be a day such as 2026-11-28"), field=name)
    return query


def filter_of(query: Mapping[str, str]) -> TimelineFilter:
    return TimelineFilter(
        kinds=frozenset([query["kind"]] if query["kind"] else KINDS),
        since=day_moment(day_read(query["since"])),
        until=day_moment(day_read(query["until"]), later=1),
    )


def _page(request: HttpRequest, viewer: Principal, read: Any, *, of: str, **shown: Any) -> HttpResponse:
    """Show one page of a timeline that `read` reads."""
    refusal, query, scope = "", dict.fromkeys(FIELDS, ""), scope_chosen(request)
    try:
        query = query_read(request)
    except BadValue as error:
        refusal = field_refusal_text(error)
    cursor = cursor_read(request.GET.get("after", ""), of=of)
    after: dict[str, str] = json.loads(cursor) if cursor else {}
    found: TimelinePage = TimelinePage([], {})
    if not refusal:
        found = read(filter_of(query), after=after, limit=ROWS)
    entries, pager = _cut(found, of=of, query=query | scope, is_first=not cursor)
    data = PageData(viewer)
    others = {name: value for name, value in query.items() if value and name != "kind"} | scope
    kinds = [
        Facet(
            key=kind,
            label=label,
            href=f"?{urlencode(others | ({'kind': kind} if kind else {}))}",
            on=kind == query["kind"],
        )
        for kind, label in KIND_LABELS.items()
    ]
    return page_render(
        request,
        "timeline/page.html",
        title=_("Timeline"),
        data=data,
        act_error=refusal,
        rows=[timeline_row(entry, data.names) for entry in entries],
        pager=pager,
        kinds=kinds,
        query=query,
        is_filtered=bool(refusal) or any(query.values()),
        **shown,
    )


def _cut(
    found: TimelinePage, *, of: str, query: dict[str, str], is_first: bool
) -> tuple[list[TimelineEntry], Pager]:
    """Return a page's entries, and where its neighbours are."""
    place = json.dumps(found.after) if found.after else ""
    return page_of(
        found.entries,
        of=of,
        cursor_of=lambda _row: place,
        query=query,
        is_first=is_first,
        stopped_at=place,
    )


@require_safe
@sign_in_required
def tenant_page(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show what happened to a tenant."""
    tenant = visible_tenant_find(viewer, key=str(key))

    def read(wanted: TimelineFilter, **place: Any) -> TimelinePage:
        return tenant_timeline(viewer, tenant, wanted, **place)

    here = {"name": tenant.name, "href": reverse("tenant", args=[tenant.uuid])}
    return _page(
        request, viewer, read, of=f"timeline-{tenant.uuid}", section="tenants", list_name="tenants", here=here
    )


@require_safe
@sign_in_required
def miner_page(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show what happened to a miner."""
    miner = miner_get(viewer, address)

    def read(wanted: TimelineFilter, **place: Any) -> TimelinePage:
        return miner_timeline(viewer, miner, wanted, **place)

    here = {"name": miner.name or miner.address, "href": reverse("miner", args=[address])}
    return _page(
        request, viewer, read, of=f"timeline-{miner.uuid}", section="miners", list_name="miners", here=here
    )


urlpatterns: Final = [
    path("tenants/<uuid:key>/timeline/", tenant_page, name="tenant-timeline"),
    path("miners/<str:address>/timeline/", miner_page, name="miner-timeline"),
]
