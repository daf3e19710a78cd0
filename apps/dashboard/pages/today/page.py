"""Today: is everything well, what runs, what waits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.chain.selectors.read_cache import chain_read_once
from apps.dashboard.cards import Verdict
from apps.dashboard.first_steps import FirstSteps, own_first_steps
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData, data_in_scope
from apps.dashboard.pages.hosts.rows import host_row
from apps.dashboard.pages.messages.rows import message_row
from apps.dashboard.pages.miners.listing import MinerRow, miner_rows
from apps.dashboard.pages.proving.page import forecast_text
from apps.dashboard.pages.sectors.listing import active_text
from apps.dashboard.pages.sectors.rows import sector_row
from apps.dashboard.pages.today.processes import processes_context, processes_fragment
from apps.dashboard.pages.today.stats import stats_of
from apps.dashboard.pages.wallets.rows import wallet_row
from apps.dashboard.registry import NavItem
from apps.dashboard.scope import scope_chosen
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import Todo, checked_text, issues_verdict, todos, verdict_by
from apps.messages.selectors.messages import messages_visible
from apps.messages.selectors.stuck import stuck_marked
from apps.miners.selectors.scope import SCOPE
from apps.sectors.selectors.hosts import workers_visible
from apps.sectors.selectors.sectors import sectors_visible
from apps.users.rules.principals import Principal
from poolsite.wire.pipeline import FINAL_STATES, SectorState

if TYPE_CHECKING:
    from apps.sectors.models import Sector


SHOWN: Final = 8
"""Lines of each list on the overview."""


def verdict_of(data: PageData) -> Verdict:
    """Return in one sentence how the pool stands."""
    if data.report.found:
        return issues_verdict(data)
    if data.clock is None:
        return Verdict(
            _("No chain yet."),
            _("Waiting for the first node to answer."),
            checked_text(data.report),
        )
    on_chain = sum(miner.live_sectors for miner in data.miners)
    under_way = sum(data.sector_counts.values())
    if not on_chain and not under_way:
        return verdict_by(data.report, Verdict(_("All is well:"), _("no sectors are active or in progress.")))
    counts = gettext("{data}, {under_way} in progress.").format(data=active_text(data), under_way=under_way)
    forecast = forecast_text(data)
    rest = f"{counts} {forecast}" if forecast else counts
    return verdict_by(data.report, Verdict(_("All is well:"), rest))


def todo_context(data: PageData) -> dict[str, list[Todo]]:
    """Return the critical incidents, which are shown open, and the others, which are folded below them."""
    rows = todos(data)
    return {
        "todos": [row for row in rows if row.is_costly],
        "others": [row for row in rows if not row.is_costly],
    }


def strips_of(data: PageData) -> list[MinerRow]:
    """Each miner with its period."""
    return miner_rows(data.miners[:SHOWN], data)


def recent_sectors(data: PageData) -> list[Sector]:
    """Those in work, newest first; then the newest that are sealed, until the list is full."""
    visible = sectors_visible(data.viewer).select_related(None)
    visible = visible.select_related("job__worker", "job__sticky_worker")
    rows = list(visible.exclude(state__in=FINAL_STATES)[:SHOWN])
    rows += visible.filter(state=SectorState.PROVING)[: SHOWN - len(rows)]
    known = {miner.pk: miner for miner in data.miners}
    for row in rows:
        if row.miner_id in known:  # else its tenant has it no more
            row.miner = known[row.miner_id]
    return rows


def sectors_context(data: PageData) -> dict[str, Any]:
    rows = [sector_row(sector, data=data) for sector in recent_sectors(data)]
    can_pledge = data.viewer.may("write") and any(miner.address for miner in data.miners)
    return {
        "sectors": rows,
        "pledge_label": gettext("Pledge…") if can_pledge else "",
    }


def messages_context(data: PageData) -> dict[str, Any]:
    rows = stuck_marked(messages_visible(data.viewer), head=data.head, network=data.network)[:SHOWN]
    return {"messages": [message_row(row, data.names) for row in rows]}


def wallets_context(data: PageData) -> dict[str, Any]:
    return {"wallets": [wallet_row(row, data=data) for row in data.lowest_wallets]}


@chain_read_once()
def hosts_context(data: PageData) -> dict[str, Any]:
    return {
        "hosts": [host_row(row, data=data, may_act=False) for row in workers_visible(data.viewer)[:SHOWN]]
    }


def first_of(data: PageData) -> FirstSteps | None:
    """Return the first steps of the viewer's own tenant, where all that it has is shown."""
    return own_first_steps(data) if data.asker is None else None


def scope_note(data: PageData) -> str:
    """Return what of the page is no miner's."""
    if not data.is_of_miner:
        return ""
    return gettext(
        "Hosts belong to a tenant: these are all of {tenant}. Senders are checked for a whole tenant."
    ).format(tenant=data.viewer.tenant_name)


def page_context(data: PageData) -> dict[str, Any]:
    """Everything on the page, for its first showing."""
    return (
        {
            "verdict": verdict_of(data),
            "stats": stats_of(data),
            **todo_context(data),
            "first": first_of(data),
            "strips": strips_of(data),
        }
        | sectors_context(data)
        | messages_context(data)
        | wallets_context(data)
        | hosts_context(data)
        | processes_context(data)
    )


def vital_signs(context: FragmentContext) -> Iterable[str]:
    data = context.data
    yield fragment("dashboard/_verdict.html", verdict=verdict_of(data))
    yield fragment("dashboard/_stats.html", stats=stats_of(data))
    yield fragment("dashboard/_todo.html", **todo_context(data))


def first_steps_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_first_steps.html", first=first_of(context.data))


def scope_query(key: str) -> str:
    """Return the query of links to lists: the scope, which is the key of this page."""
    return f"?{key}" if key else ""


def miners_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_miners.html", strips=strips_of(context.data), query=scope_query(context.key))


def sectors_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_sectors.html", **sectors_context(context.data), query=scope_query(context.key))


def messages_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment(
        "dashboard/_messages.html", **messages_context(context.data), query=scope_query(context.key)
    )


def wallets_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_wallets.html", **wallets_context(context.data), query=scope_query(context.key))


def hosts_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_hosts.html", **hosts_context(context.data), query=scope_query(context.key))


@require_safe
@sign_in_required
def today(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Is everything well, what runs, what waits."""
    chosen = scope_chosen(request)
    data, scope = data_in_scope(viewer, chosen), urlencode(chosen)
    return page_render(
        request,
        "dashboard/today.html",
        title=_("Today"),
        section="today",
        page_key=f"today:{scope}" if scope else "today",
        data=data,
        scoped=SCOPE,
        scope_note=scope_note(data),
        can_pledge=viewer.may("write"),
        **page_context(data),
        query=scope_query(scope),
    )


@require_safe
@sign_in_required
def resync(_request: HttpRequest, _viewer: Principal) -> HttpResponse:
    """Answer the page that asks with the request to fetch its live fragments again."""
    return HttpResponse(status=204, headers={"HX-Trigger": "resync"})


NAV: Final = NavItem("today", _("Today"), "today", place=(1, 1), jump="t", is_tab=True)
urlpatterns: Final = [
    path("", today, name="today"),
    path("resync/", resync, name="resync"),
]
LIVE: Final = {
    "today": LivePage(
        {
            "head": (vital_signs, miners_fragment, processes_fragment),
            "node_state": (vital_signs,),
            "miner": (vital_signs, miners_fragment, first_steps_fragment),
            "deadline": (vital_signs, miners_fragment, sectors_fragment),
            "sector": (vital_signs, sectors_fragment, first_steps_fragment),
            "job": (hosts_fragment,),
            "worker": (vital_signs, hosts_fragment, first_steps_fragment),
            "message": (vital_signs, messages_fragment),
            "messages": (vital_signs, messages_fragment),
            "wallet": (vital_signs, wallets_fragment, first_steps_fragment),
            "signer": (vital_signs, wallets_fragment, first_steps_fragment),
            "store": (first_steps_fragment,),
            "person": (first_steps_fragment,),
            "process": (vital_signs, processes_fragment),
        },
        findings=vital_signs,
        is_scoped=True,
    )
}
