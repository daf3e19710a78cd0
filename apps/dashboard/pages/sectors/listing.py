"""Sectors: the list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.findings.results import Topic
from apps.core.formatting import plural
from apps.core.languages import list_text, sentence_text
from apps.dashboard.bulk_bar import BulkBar
from apps.dashboard.cards import Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.labels import STAGES
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sectors.filters import PLACES, STATES, ListFilter, narrowed
from apps.dashboard.pages.sectors.rows import list_context
from apps.dashboard.pagination import ROWS, cursor_read, facets_of, page_of
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.sectors.selectors.hosts import is_uuid
from apps.sectors.selectors.sectors import sectors_visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpRequest, HttpResponse

    from apps.users.rules.principals import Principal


def list_verdict_of(data: PageData) -> Verdict:
    """Return in one sentence how sealing stands, and what ends soon."""
    return verdict_by(data.report_of(Topic.SECTORS), sealing_verdict(data))


def sealing_verdict(data: PageData) -> Verdict:
    """Return in one sentence how sealing stands."""
    counts = dict(data.sector_counts)
    paused = counts.pop("PAUSED", 0)
    under_way = sum(counts.values())
    if paused:
        return Verdict("", gettext("{under_way} more in progress.").format(under_way=under_way))
    if under_way:
        stages = list_text(
            gettext("{count} in {stages}").format(count=count, stages=STAGES[stage])
            for stage, count in counts.items()
            if count
        )
        return Verdict(
            gettext("{sectors} in progress:").format(sectors=plural(under_way, "sector")),
            sentence_text(stages),
        )
    return Verdict(_("Nothing is being sealed:"), sentence_text(active_text(data)))


def active_text(data: PageData) -> str:
    """Return how many sectors are active, and how many on chain have not been proven yet."""
    active = sum(miner.active_sectors for miner in data.miners)
    unproven = sum(miner.live_sectors - miner.active_sectors - miner.faulty_sectors for miner in data.miners)
    waits = gettext(", {unproven} awaiting first proof").format(unproven=unproven) if unproven > 0 else ""
    return gettext("{sectors} active{waits}").format(sectors=plural(active, "sector"), waits=waits)


def list_verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed rows: a page shows those that it has, and counts others that belong on it."""
    uuids = [key for key in keys if is_uuid(key)]
    wanted = ListFilter.of(dict(parse_qsl(context.key)))
    fitting = narrowed(context.viewer, wanted, data=context.data).filter(uuid__in=uuids)
    fits = set(fitting.values_list("pk", flat=True))
    for row in list_context(sectors_visible(context.viewer).filter(uuid__in=uuids), context.data):
        yield fragment("sectors/_row.html", sector=row, fits=row.row.pk in fits)


def bulk_acts(state: str) -> tuple[tuple[str, str], ...]:
    """Return label and address of what can be done to rows that were picked."""
    acts: list[tuple[str, str]] = []
    if state in ("", "active", "sealed", "expiring"):
        acts += [
            (gettext("Extend…"), reverse("sectors-change", args=["extend"])),
            (gettext("Terminate…"), reverse("sectors-change", args=["terminate"])),
        ]
    if state in ("", "active", "expiring"):
        acts.insert(1, (gettext("Snap up…"), reverse("sectors-snap-up")))
    return tuple(acts)


def bulk_bar(wanted: ListFilter) -> BulkBar:
    """Return what can be done to picked rows of the filter."""
    return BulkBar(
        label=gettext("Selected sectors"),
        one=gettext("sector selected"),
        many=gettext("sectors selected"),
        select_all=gettext("Select all matching, up to 1,000"),
        all_selected=gettext("All matching selected"),
        action=reverse("sectors-change", args=["extend"]),
        acts=bulk_acts(wanted.state),
        filter=(("state", wanted.state), ("q", wanted.q), *(one for one in wanted.places.items() if one[1])),
        is_hidden=True,
    )


@require_safe
@sign_in_required
def sectors(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, newest first."""
    wanted = ListFilter.of(request.GET)
    state, q = wanted.state, wanted.q
    cursor = cursor_read(request.GET.get("after", ""), of="sectors")
    data = PageData(viewer)
    rows = narrowed(viewer, wanted, data=data)
    if cursor:
        rows = rows.filter(pk__lt=int(cursor))
    shown, pager = page_of(
        list(rows[: ROWS + 1]),
        of="sectors",
        cursor_of=lambda row: str(row.pk),
        query=request.GET.dict(),
        is_first=not cursor,
    )
    here, query = reverse("sectors"), urlencode(wanted.query)
    return page_render(
        request,
        "sectors/list.html",
        title=_("Sectors"),
        section="sectors",
        page_key=f"sectors:{query}",
        data=data,
        sectors=list_context(shown, data),
        pager=pager,
        oldest=pager.oldest([row.pk for row in shown]),
        verdict=list_verdict_of(data),
        facets=facets_of(here, STATES, state=state, q=q, **wanted.places),
        filtered=bool(wanted.query),
        wanted=wanted,
        places=[(name, label, getattr(wanted, name)) for name, label in PLACES],
        here=here,
        csv=reverse("sectors-csv") + "?" + query,
        can_pledge=viewer.may("write"),
        may_pick=viewer.may("sign"),
        bulk=bulk_bar(wanted) if viewer.may("sign") and bulk_acts(state) else None,
        pledge_label=_("Pledge…") if viewer.may("write") else "",
    )


NAV: Final = NavItem("sectors", _("Sectors"), "sectors", place=(1, 5), is_tab=True)
urlpatterns: Final = [
    path("sectors/", sectors, name="sectors"),
]
LIVE: Final = {
    "sectors": LivePage(
        dict.fromkeys(("sector", "miner", "deadline", "head"), (list_verdict,)),
        rows={"sector": rows},
        findings=list_verdict,
    )
}
