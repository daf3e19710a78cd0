"""Hosts: the workers that seal and prove, pause and resume."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.chain.selectors.read_cache import chain_read_once
from apps.checks.findings.results import Topic
from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.hosts.rows import host_rows
from apps.dashboard.pagination import Facet, facets_of, page_ranked, rows_of_keys, tags_of
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.sectors.selectors.host_states import (
    IDLE,
    PAUSED,
    TROUBLE,
    WORKING,
    groups_of_hosts,
    host_marks,
    hosts_by_state,
    hosts_chosen,
    hosts_stated,
)
from apps.sectors.selectors.hosts import is_uuid, worker_get, workers_visible
from apps.sectors.selectors.jobs import hosts_of_jobs
from apps.sectors.services.hosts.commands import worker_command_enqueue
from apps.users.rules.principals import Principal
from apps.users.services.people import can_manage_people
from poolsite.wire.commands import Operation

if TYPE_CHECKING:
    from apps.sectors.models import Worker

STATES: Final = (
    ("", _("All"), "", ""),
    (TROUBLE, _("Need attention"), "bad", "bad"),
    (WORKING, _("Working"), "run", "run"),
    (IDLE, _("Idle"), "ok", "ok"),
    (PAUSED, _("Paused"), "idle", "pause"),
)
"""Filters: key, words, tone, icon."""
SEARCH_MAX: Final = 100
GROUPS_MAX: Final = 30
"""Groups that a filter is offered for; others are found by name."""


@dataclass(frozen=True, slots=True)
class HostFilter:
    """Filters of the list of hosts, read from the URL."""

    state: str = ""
    group: str = ""
    q: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> HostFilter:
        """Read the URL's query; an unknown state is ignored."""
        state = query.get("state", "")
        return cls(
            state=state if state in {key for key, *_more in STATES} else "",
            group=query.get("group", "")[:SEARCH_MAX],
            q=query.get("q", "").strip()[:SEARCH_MAX],
        )

    @property
    def query(self) -> dict[str, str]:
        """Return the filters as a URL's query."""
        return {"state": self.state, "group": self.group, "q": self.q}


def facets(rows: QuerySet[Worker], wanted: HostFilter, viewer: Principal) -> list[Facet]:
    """Return a filter for each state, with the number of its hosts, and one for each group."""
    found = hosts_by_state(hosts_chosen(rows, group=wanted.group, q=wanted.q))
    counts = dict.fromkeys((TROUBLE, WORKING, IDLE, PAUSED), 0) | found
    counts[""] = sum(counts.values())
    here, groups = reverse("hosts"), groups_of_hosts(viewer, GROUPS_MAX)
    return [
        *facets_of(here, STATES, counts, **wanted.query),
        *tags_of(here, groups, field="group", query=wanted.query),
    ]


def list_verdict_of(data: PageData) -> Verdict:
    """Return in one sentence who is there."""
    counts, report = data.host_counts, data.report_of(Topic.HOSTS)
    if not counts.all:
        return verdict_by(report, Verdict("", _("No worker has registered yet.")))
    here = gettext("{workers} online, {away} offline.").format(
        workers=plural(counts.all - counts.away, "worker"), away=counts.away
    )
    return verdict_by(report, Verdict(here, "" if report.found else _("None is slow or low on disk space.")))


def list_verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed workers by pk or uuid."""
    data = context.data
    known = Q(pk__in=[key for key in keys if key.isdigit()]) | Q(
        uuid__in=[key for key in keys if is_uuid(key)]
    )
    for row in host_rows(workers_visible(context.viewer).filter(known), data):
        yield fragment("hosts/_row.html", host=row)


def rows_of_jobs(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the workers whose jobs changed."""
    known = Q(pk__in=[key for key in keys if key.isdigit()]) | Q(
        uuid__in=[key for key in keys if is_uuid(key)]
    )
    return rows(context, [str(pk) for pk in hosts_of_jobs(known)])


@require_safe
@sign_in_required
@chain_read_once()
def hosts(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, those that need somebody first."""
    data, wanted = PageData(viewer), HostFilter.of(request.GET)
    slow = [key for key, speed in data.host_speeds.items() if speed.slow is not None]
    rows = hosts_stated(viewer, host_marks(viewer, slow=slow, now=data.at), now=data.at)
    chosen = hosts_chosen(rows, **wanted.query)
    keys, pager = page_ranked(chosen, request.GET.get("after", ""), of="hosts", query=wanted.query)
    return page_render(
        request,
        "hosts/list.html",
        title=_("Hosts"),
        section="hosts",
        page_key="hosts",
        data=data,
        hosts=host_rows(rows_of_keys(workers_visible(viewer), keys), data),
        has_any=bool(data.host_counts.all),
        pager=pager,
        wanted=wanted,
        facets=facets(rows, wanted, viewer),
        verdict=list_verdict_of(data),
        may_join=can_manage_people(viewer),
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
    [row] = host_rows([worker_get(viewer, str(key))], PageData(viewer))
    return render(request, "hosts/_row.html", {"host": row})


NAV: Final = NavItem("hosts", _("Hosts"), "hosts", place=(6, 1), jump="h")
urlpatterns: Final = [
    path("hosts/", hosts, name="hosts"),
    path("hosts/<uuid:key>/<str:op>/", action, name="host-act"),
]
LIVE: Final = {
    "hosts": LivePage(
        {"worker": (list_verdict,), "head": (list_verdict,)},
        rows={"worker": rows, "job": rows_of_jobs},
        findings=list_verdict,
    )
}
