"""One sector with its clocks, stages and timeline."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from apps.checks.report.objects import report_of_sector
from apps.core import formatting
from apps.dashboard.cards import Action, Event, Fact
from apps.dashboard.charts import Gantt
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.hosts.batch_text import sector_batch_text
from apps.dashboard.pages.messages.rows import MessageRow, message_row
from apps.dashboard.pages.miners.transferred import transferred_fragment
from apps.dashboard.pages.sectors.change_rows import change_text
from apps.dashboard.pages.sectors.clocks import Clock
from apps.dashboard.pages.sectors.costs import CostLine, cost_lines
from apps.dashboard.pages.sectors.countdown import has_expired
from apps.dashboard.pages.sectors.detail_actions import detail_actions
from apps.dashboard.pages.sectors.epochs import sector_clocks, sector_facts
from apps.dashboard.pages.sectors.gantt import sector_gantt
from apps.dashboard.pages.sectors.history import event_row, pledged_row
from apps.dashboard.pages.sectors.rows import SectorRow, sector_row
from apps.dashboard.pages.sectors.run_actions import run_actions, run_text
from apps.dashboard.pages.sectors.verdict import sector_verdict
from apps.dashboard.pages.storage.check_rows import copy_rows
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import ObjectFindings, found_of
from apps.messages.selectors.stuck import stuck_mark
from apps.miners.services.transfer import MOVED
from apps.proving.selectors.deadlines import deadline_keys
from apps.sectors.errors.sectors import SectorUnknown
from apps.sectors.selectors.sector_changes import changes_newest
from apps.sectors.selectors.sector_costs import earlier_messages, sector_costs
from apps.sectors.selectors.sector_messages import sectors_messages
from apps.sectors.selectors.sectors import events_in_order, run_under_way, sector_events, sector_get
from apps.users.rules.principals import Principal
from poolsite.wire.pipeline import FINAL_STATES

if TYPE_CHECKING:
    from apps.messages.models import Message
    from apps.sectors.models import Sector


@dataclass(frozen=True, slots=True)
class SectorDetail:
    """The whole of one sector."""

    row: SectorRow
    number: int
    miner_name: str
    miner_href: str
    tags: tuple[str, ...]
    verdict: str
    verdict_rest: str
    found: ObjectFindings
    clocks: tuple[Clock, ...]
    gantt: Gantt
    events: tuple[Event, ...]
    messages: tuple[MessageRow, ...]
    facts: tuple[Fact, ...]
    costs: tuple[CostLine, ...]
    actions: tuple[Action, ...]
    copies: tuple[dict[str, object], ...]
    may_check: bool


def sector_detail(sector: Sector, data: PageData) -> SectorDetail:
    """Lay out the whole of one sector."""
    events, change = events_in_order(sector, sector_events(sector)), changes_newest([sector]).get(sector.pk)
    run = run_under_way(sector)
    row = sector_row(sector, data=data)
    size, unit = formatting.size(sector.sector_size)
    sent = [
        one
        for one in sectors_messages([sector])[sector.pk]
        if one.message is not None and is_shown(one.message, sector, data)
    ]
    earlier = [
        one
        for one in earlier_messages(sector)
        if one.message is not None and is_shown(one.message, sector, data)
    ]
    messages = [one.message for one in sent if one.message is not None]
    verdict, rest = sector_verdict(sector, row, data)
    stuck_mark(messages, head=data.head, network=data.network)
    return SectorDetail(
        row=row,
        number=sector.number,
        miner_name=sector.miner.name or sector.miner.address,
        miner_href=reverse("miner", args=[sector.miner.address or sector.miner.uuid]),
        tags=(f"{size} {unit}", gettext("attempt {attempts}").format(attempts=sector.attempts + 1)),
        verdict=verdict,
        verdict_rest=" ".join(
            filter(None, (rest, sector_batch_text(sector, now=data.at), change_text(change), run_text(run)))
        ),
        found=found_of(report_of_sector(data, sector), data),
        clocks=tuple(sector_clocks(sector, data)),
        gantt=sector_gantt(sector, [event for event in events if event.job_id == sector.job.pk], at=data.at),
        events=(*(event_row(event) for event in reversed(events)), pledged_row(sector)),
        messages=tuple(message_row(message, data.names) for message in messages),
        facts=tuple(sector_facts(sector)),
        costs=tuple(
            cost_lines(
                sector,
                sector_costs([*earlier, *sent]),
                change,
                height=None if data.head is None else data.head.height,
            )
        ),
        actions=tuple(
            act
            for act in (
                *detail_actions(sector, change, is_over=has_expired(sector, data)),
                *run_actions(sector, run),
            )
            if data.viewer.may(act.level)
        ),
        copies=copy_rows(sector),
        may_check=data.viewer.may("sign") and bool(sector.comm_r) and bool(sector.store),
    )


def is_shown(message: Message, sector: Sector, data: PageData) -> bool:
    """Return whether a sector shows its tenant a message: what another pushed before stays that one's."""
    return data.viewer.is_operator or message.tenant_id == sector.tenant_id


def concerns(context: FragmentContext, row: Sector) -> bool:
    """Return whether anything that this sector's page shows has changed."""
    batches = [batch for batch in (row.precommit_batch, row.commit_batch) if batch is not None]
    if (
        context.has_changed("sector", row.uuid)
        or context.has_changed("job", row.job.pk)
        or context.has_changed("messages", "all")
    ):
        return True
    if context.has_changed("message", *(batch.message_id for batch in batches)):
        return True
    if context.has_changed("batch", *(batch.pk for batch in batches)):
        return True
    if row.deadline is None or "deadline" not in context.changed:
        return False
    return context.has_changed("deadline", *deadline_keys(row.miner_id, index=row.deadline))


def sector_transferred(context: FragmentContext) -> Iterable[str]:
    """Yield the page of a sector whose miner went to another tenant."""
    try:
        sector_get(context.viewer, context.key)
    except SectorUnknown:
        yield transferred_fragment("sectors", gettext("Sector of another tenant"), gettext("All sectors"))


def detail_fragment(context: FragmentContext) -> Iterable[str]:
    """All that changes on a sector's page; its parts are small and change together."""
    try:
        row = sector_get(context.viewer, context.key)
    except SectorUnknown:
        return
    if not concerns(context, row):
        return
    sector = sector_detail(row, context.data)
    yield fragment("sectors/_head.html", sector=sector)
    yield fragment("sectors/_clocks.html", clocks=sector.clocks)
    yield fragment("sectors/_gantt.html", gantt=sector.gantt)
    yield fragment("sectors/_timeline.html", events=sector.events, key="sector")
    yield fragment("sectors/_messages.html", sector_messages=sector.messages)
    yield fragment("sectors/_costs.html", sector=sector)
    yield fragment("sectors/_copies.html", sector=sector)
    yield fragment("messages/_facts.html", facts=sector.facts, title=gettext("Facts"), key="sector-facts")


def clocks_fragment(context: FragmentContext) -> Iterable[str]:
    """Yield the clocks of a sector that is being sealed: their tones follow the head."""
    try:
        row = sector_get(context.viewer, context.key)
    except SectorUnknown:
        return
    if row.state not in FINAL_STATES:
        yield fragment("sectors/_clocks.html", clocks=tuple(sector_clocks(row, context.data)))


@require_safe
@sign_in_required
def sector(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """One sector with its clocks, stages and timeline."""
    return sector_page(request, viewer, key)


@require_safe
@sign_in_required
def sector_named(request: HttpRequest, viewer: Principal, name: str) -> HttpResponse:  # noqa: ARG001  # Django's
    """Lead from a sector's miner and number, as people and REST write it, to its page."""
    return redirect("sector", sector_get(viewer, name).uuid)


def sector_page(request: HttpRequest, viewer: Principal, key: uuid.UUID, *, error: str = "") -> HttpResponse:
    """Render a sector's page; `error` is what was refused a moment ago."""
    data = PageData(viewer)
    detail = sector_detail(sector_get(viewer, str(key)), data)
    return page_render(
        request,
        "sectors/detail.html",
        title=detail.row.name,
        section="sectors",
        page_key=f"sector:{key}",
        data=data,
        act_error=error,
        page_href=reverse("sector", args=[key]),
        sector=detail,
    )


urlpatterns: Final = [
    path("sectors/<uuid:key>/", sector, name="sector"),
    path("sectors/<str:name>/", sector_named, name="sector-named"),
]
LIVE: Final = {
    "sector": LivePage(
        {
            **dict.fromkeys(
                ("sector", "deadline", "message", "messages", "batch", "job"), (detail_fragment,)
            ),
            "head": (clocks_fragment,),
            MOVED: (sector_transferred,),
        }
    )
}
