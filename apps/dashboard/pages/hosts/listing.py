"""Hosts: the workers that seal and prove, pause and resume."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from apps.checks.findings.results import Topic
from apps.core import formatting
from apps.core.formatting import plural
from apps.core.uuids import is_uuid
from apps.dashboard import cells
from apps.dashboard.cards import Verdict
from apps.dashboard.csv_export import rows_in_turn
from apps.dashboard.fragments import FragmentContext
from apps.dashboard.html_time import time_html
from apps.dashboard.list_page import Column, Empty, Link, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.hosts.rows import HostRow, host_rows
from apps.dashboard.pagination import Facet, Query, page_in_turn, tags_of
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.sectors.selectors.host_filters import HostFilters
from apps.sectors.selectors.host_states import (
    IDLE,
    PAUSED,
    TROUBLE,
    WORKING,
    groups_of_hosts,
    hosts_by_state,
)
from apps.sectors.selectors.hosts import worker_get, workers_visible
from apps.sectors.selectors.jobs import hosts_of_jobs
from apps.sectors.services.hosts.commands import worker_command_enqueue
from apps.users.rules.principals import Principal
from apps.users.services.people import can_manage_people
from poolsite.wire.commands import Operation

if TYPE_CHECKING:
    from apps.sectors.models import Worker

GROUPS_MAX: Final = 30
"""Groups that a filter is offered for; others are found by name."""


def stated(data: PageData) -> QuerySet[Worker]:
    """Return the viewer's hosts with their states, those that need somebody first."""
    return HostFilters({}, workers_visible(data.viewer), viewer=data.viewer, page=data).stated


def verdict(data: PageData) -> Verdict:
    """Return in one sentence who is there."""
    counts, report = data.host_counts, data.report_of(Topic.HOSTS)
    if not counts.all:
        return verdict_by(report, Verdict("", _("No worker has registered yet.")))
    here = gettext("{workers} online, {away} offline.").format(
        workers=plural(counts.all - counts.away, "worker"), away=counts.away
    )
    return verdict_by(report, Verdict(here, "" if report.found else _("None is slow or low on disk space.")))


def named(keys: list[str]) -> Q:
    """Return the condition of rows by their keys or uuids."""
    return Q(pk__in=[key for key in keys if key.isdigit()]) | Q(
        uuid__in=[key for key in keys if is_uuid(key)]
    )


def changed(context: FragmentContext, keys: list[str]) -> QuerySet[Worker]:
    """Return the workers that changed."""
    return workers_visible(context.data.viewer).filter(named(keys))


def changed_by_jobs(context: FragmentContext, keys: list[str]) -> QuerySet[Worker]:
    """Return the workers whose jobs changed."""
    return workers_visible(context.data.viewer).filter(pk__in=list(hosts_of_jobs(named(keys))))


def links(data: PageData) -> Iterable[Link]:
    """Return the buttons above the list."""
    yield Link(_("Settings"), reverse("host-settings"))
    if can_manage_people(data.person):
        yield Link(_("Join a host…"), reverse("host-join"), icon="plus", kind="primary")


def groups(data: PageData, wanted: HostFilters, beside: Query) -> Iterable[Facet]:
    """Return a filter for each group."""
    query = {**wanted.given, **beside, "group": wanted["group"]}
    return tags_of(reverse("hosts"), groups_of_hosts(data.viewer, GROUPS_MAX), field="group", query=query)


def scope_note(data: PageData) -> str:
    """Return that hosts are no miner's."""
    if not data.is_of_miner:
        return ""
    return gettext(
        "A host belongs to a tenant: these are all of {tenant}, with their jobs of this miner alone."
    ).format(tenant=data.viewer.tenant_name)


def name(row: HostRow) -> SafeString:
    """Return what a host is called, and what it does."""
    return cells.joined(
        cells.link(reverse("host", args=[row.row.uuid]), row.row.name), cells.sub(row.kind, title=row.kind)
    )


def hardware(row: HostRow) -> SafeString:
    """Return its hardware, and the disk on which it seals."""
    disk = gettext("disk {disk}").format(disk=row.disk) if row.disk else ""
    return cells.joined(row.hardware, cells.sub(disk))


HOSTS: Final = ListPage(
    name="hosts",
    one="host",
    title=_("Hosts"),
    table=_("Table of hosts"),
    caption=_("Hosts, those that need attention first"),
    icon="hosts",
    rows=lambda data: data.of(stated),
    page=page_in_turn,
    lay_out=host_rows,
    id_of=attrgetter("row.pk"),
    verdict=verdict,
    verdict_on=("worker", "head"),
    live={"worker": changed, "job": changed_by_jobs},
    links=links,
    filters=HostFilters,
    is_scoped=True,
    scope_note=scope_note,
    search=_("Name of host or machine"),
    search_hint=_("Name"),
    facets=(
        ("", _("All"), "", ""),
        (TROUBLE, _("Need attention"), "bad", "bad"),
        (WORKING, _("Working"), "run", "run"),
        (IDLE, _("Idle"), "ok", "ok"),
        (PAUSED, _("Paused"), "idle", "pause"),
    ),
    counts=lambda data: hosts_by_state(data.of(stated)),
    more_facets=groups,
    empty=lambda _data: Empty(
        _("No host yet"),
        _(
            "“Join a host…” shows a command to run on the other machine. The host appears here within "
            "a minute. A prover joins the same way."
        ),
    ),
    none=Empty(_("No matching hosts"), _("Choose another filter.")),
    columns=(
        Column(head=_("Host"), cell=name, css="keep", is_name=True, key="name", by="name"),
        Column(
            head=_("State"),
            cell=lambda row: cells.chip(row.label),
            css="tight c-state",
            is_plain=True,
            key="state",
            by="rank",
        ),
        Column(
            head=_("Now"),
            cell=lambda row: cells.joined(row.does, cells.sub(row.command)),
            css="c-wide c-says",
            key="now",
        ),
        Column(
            head=_("Slowest stages"),
            cell=lambda row: cells.joined(row.pace, cells.sub(row.record)),
            css="c-wide",
            key="pace",
        ),
        Column(head=_("Hardware"), cell=hardware, css="c-wide keep", key="hardware"),
        Column(
            head=_("Restarts"),
            cell=lambda row: formatting.whole(row.row.restarts),
            css="num",
            key="restarts",
            by="restarts",
        ),
        Column(
            head=_("Last seen"),
            cell=lambda row: time_html(row.row.seen_at),
            css="keep",
            key="seen",
            by="seen_at",
        ),
        Column(
            head=_("Tenant"),
            cell=attrgetter("row.tenant.name"),
            css="keep lo",
            key="tenant",
            by="tenant__name",
        ),
        Column(
            head=_("Actions"),
            acts=lambda row, token: cells.acts(row.actions, row.row.pk, f"f-host-{row.row.pk}", token=token),
            css="tight c-wide",
        ),
    ),
    csv={
        "id": attrgetter("uuid"),
        "name": attrgetter("name"),
        "machine": attrgetter("host"),
        "tenant": attrgetter("tenant.name"),
        **{name: attrgetter(name) for name in ("group", "state")},
        "kinds": lambda row: " ".join(row.kinds),
        **{name: attrgetter(name) for name in ("version", "restarts")},
        "last_seen": lambda row: row.seen_at.isoformat(),
        "registered": lambda row: row.registered_at.isoformat(),
    },
    csv_rows=lambda rows, _data: rows_in_turn(rows.prefetch_related(None)),
)


@require_POST
@sign_in_required
def action(request: HttpRequest, viewer: Principal, key: UUID, op: str) -> HttpResponse:
    """Pause a worker or let it go on; the command rides on its next heartbeat."""
    if op not in (Operation.PAUSE, Operation.RESUME) or not viewer.may("write"):
        raise Http404
    worker = worker_get(viewer, str(key))
    worker_command_enqueue(worker, op=Operation(op), args={}, actor=viewer.actor, by=viewer)
    if not getattr(request, "htmx", False):
        return redirect("hosts")
    return HOSTS.answer(request, PageData(viewer), worker_get(viewer, str(key)))


NAV: Final = NavItem("hosts", _("Hosts"), "hosts", place=(6, 1), jump="h")
urlpatterns: Final = [
    *HOSTS.urls,
    path("hosts/<uuid:key>/<str:op>/", action, name="host-act"),
]
LIVE: Final = HOSTS.live_pages
