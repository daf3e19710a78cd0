"""Sectors: the list."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any, Final

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.checks.findings.results import Topic
from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import colon_text, list_text, sentence_text
from apps.core.uuids import is_uuid
from apps.dashboard import cells
from apps.dashboard.bulk_bar import BulkBar
from apps.dashboard.cards import Verdict
from apps.dashboard.csv_export import rows_in_turn
from apps.dashboard.fragments import FragmentContext
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import STAGES
from apps.dashboard.list_page import Column, Empty, Link, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sectors.rows import SectorRow, list_context, place_text
from apps.dashboard.pagination import Pager
from apps.dashboard.registry import NavItem
from apps.dashboard.todo import verdict_by
from apps.sectors.selectors.sector_filters import SectorFilters
from apps.sectors.selectors.sectors import sectors_visible
from poolsite.wire.pipeline import NEXT_STAGE

STATES: Final = (
    ("", _("All"), "", ""),
    ("work", _("In progress"), "run", "run"),
    ("failed", _("Failed"), "bad", "bad"),
    ("paused", _("Awaiting a decision"), "warn", "warn"),
    ("active", _("Active"), "ok", "ok"),
    ("sealed", _("Not active"), "warn", "warn"),
    ("expiring", _("Expires within 30 d"), "warn", "warn"),
    ("changing", _("Terminating or extending"), "run", "run"),
    ("terminated", _("Terminated"), "", ""),
    ("aborted", _("Aborted"), "", ""),
)
CSV_FIELDS: Final = (
    *("uuid", "miner__actor_id", "number", "state", "active", "deadline", "partition", "activation"),
    *("expiration", "created_at", "pk"),
)
"""What its CSV is made of: a row's other fields are not read, least of all its batches' params."""


def verdict(data: PageData) -> Verdict:
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


def changed(context: FragmentContext, keys: list[str]) -> Any:
    """Return the sectors that changed."""
    return sectors_visible(context.viewer).filter(uuid__in=[key for key in keys if is_uuid(key)])


def bulk_bar(data: PageData, wanted: SectorFilters, _rows: Any, _pager: Pager) -> BulkBar | None:
    """Return what can be done to picked rows of the filter; None where nothing can."""
    acts = [
        (
            gettext("Extend…"),
            reverse("sectors-change", args=["extend"]),
            ("", "active", "sealed", "expiring"),
        ),
        (gettext("Snap up…"), reverse("sectors-snap-up"), ("", "active", "expiring")),
        (
            gettext("Terminate…"),
            reverse("sectors-change", args=["terminate"]),
            ("", "active", "sealed", "expiring"),
        ),
    ]
    chosen = set(wanted.given.get("state", [""]))
    fitting = tuple((label, href) for label, href, states in acts if chosen <= {*states})
    if not fitting or not data.viewer.may("sign"):
        return None
    return BulkBar(
        label=gettext("Selected sectors"),
        one=gettext("sector selected"),
        many=gettext("sectors selected"),
        select_all=gettext("Select all matching, up to 1,000"),
        all_selected=gettext("All matching selected"),
        action=reverse("sectors-change", args=["extend"]),
        acts=fitting,
        filter=wanted.pairs(),
        is_hidden=True,
    )


def links(data: PageData) -> Iterable[Link]:
    """Return the buttons above the list."""
    if data.viewer.may("write"):
        yield Link(_("Failures"), reverse("sectors-failures"))
        yield Link(_("Expirations"), reverse("sectors-expirations"))
        yield Link(_("Pledge…"), reverse("pledge"), icon="plus", kind="primary")


def empty(data: PageData) -> Empty:
    """Return what is said before the first sector."""
    text = _(
        "A pledged sector is sealed on a host, committed on chain and then proven in every proving period."
    )
    return Empty(
        _("No sectors yet"), text, _("Pledge…") if data.viewer.may("write") else "", reverse("pledge")
    )


def counts(data: PageData) -> dict[str, int]:
    """Return how many sectors some states have, as the sentence above knows already."""
    under_way = dict(data.sector_counts)
    return {"work": sum(under_way.values()), "paused": under_way.get("PAUSED", 0)}


def picked(row: SectorRow) -> SafeString:
    """Return the box of a row for which something can be done together with others."""
    if not row.can_pick:
        return cells.EMPTY
    name = gettext("Select sector {name}").format(name=row.name)
    return cells.pick(row.row.uuid, str(row.row.uuid), name)


def progress(row: SectorRow) -> SafeString:
    """Return how far the stage is; of one that stands still, why."""
    if row.progress is not None:
        shown = {"pct": round(100 * row.progress), "text": formatting.percent(row.progress, 1)}
        return cells.partial("charts/_bar.html", **shown)
    attempt = gettext("attempt {attempt}").format(attempt=row.attempt) if row.attempt > 1 else ""
    text = colon_text(attempt, row.say) if attempt and row.say else attempt or row.say or formatting.NOTHING
    return format_html('<span class="muted s">{}</span>', text)


def next_event(row: SectorRow) -> SafeString:
    """Return what comes next, and when."""
    ahead = row.countdown
    return format_html(
        '<span class="say" data-tone="{}"><span>{} {}</span></span>',
        *(ahead.tone, ahead.say or formatting.NOTHING, cells.until(ahead.until, ahead.left)),
    )


SECTORS: Final = ListPage(
    name="sectors",
    one="sector",
    title=_("Sectors"),
    table=_("Table of sectors"),
    caption=_("Sectors, newest first"),
    icon="sectors",
    rows=lambda data: sectors_visible(data.viewer),
    lay_out=list_context,
    id_of=attrgetter("row.uuid"),
    order_of=attrgetter("row.pk"),
    tones=("bad",),
    data_of=lambda row: {"data-state": row.row.state},
    below=lambda row: format_html('<tbody id="f-sector-{}-refusal"></tbody>', row.row.uuid),
    verdict=verdict,
    verdict_on=("sector", "miner", "deadline", "head"),
    live={"sector": changed},
    filters=SectorFilters,
    search=_("Sector number"),
    search_hint=_("Number"),
    places=("miner", "host", "store"),
    places_label=_("Miner, host, store"),
    facets=STATES,
    counts=counts,
    counted=("failed", "active", "sealed", "expiring", "changing", "terminated", "aborted"),
    links=links,
    empty=empty,
    none=Empty(_("No matching sectors"), _("No sectors match these filters.")),
    bulk=bulk_bar,
    columns=(
        Column(
            head="",
            head_html=lambda: cells.pick_all(_("Select all proving sectors on this page")),
            cell=picked,
            css="tight c-pick",
            is_plain=True,
        ),
        Column(
            head=_("Sector"),
            cell=lambda row: cells.link(
                reverse("sector", args=[row.row.uuid]), row.name, id=f"name-{row.row.uuid}"
            ),
            css="keep",
            is_name=True,
            key="number",
            by="number",
        ),
        Column(
            head=_("State"),
            cell=lambda row: cells.chip(row.label),
            css="c-state tight",
            is_plain=True,
            key="state",
            by="state",
        ),
        Column(head=_("Progress"), cell=progress, css="c-half", key="progress"),
        Column(head=_("Next event"), cell=next_event, css="c-half c-says", key="next"),
        Column(head=_("Host"), cell=attrgetter("host"), css="keep", key="host"),
        Column(
            head=_("Deadline"),
            cell=lambda row: place_text(row.row),
            css="lo keep",
            key="deadline",
            by="deadline",
        ),
        Column(
            head=_("Expires in"), cell=attrgetter("expires"), css="lo keep", key="expires", by="expiration"
        ),
        Column(
            head=_("Pledged"),
            cell=lambda row: time_html(row.row.created_at),
            css="num keep",
            key="pledged",
            by="created_at",
        ),
        Column(
            head=_("Actions"),
            acts=lambda row, token: cells.acts(
                row.actions, row.row.uuid, f"f-sector-{row.row.uuid}-refusal", token=token
            ),
            css="tight c-wide",
        ),
    ),
    csv={
        "id": attrgetter("uuid"),
        "miner": lambda row: "" if row.miner__actor_id is None else f"f0{row.miner__actor_id}",
        "number": attrgetter("number"),
        "state": attrgetter("state"),
        "stage": lambda row: NEXT_STAGE[row.state].stage,
        "active": attrgetter("active"),
        "deadline": attrgetter("deadline"),
        "partition": attrgetter("partition"),
        "activation": attrgetter("activation"),
        "expiration": attrgetter("expiration"),
        "pledged": lambda row: row.created_at.isoformat(),
    },
    csv_rows=lambda rows, _data: rows_in_turn(rows.select_related(None).values_list(*CSV_FIELDS, named=True)),
)
NAV: Final = NavItem("sectors", _("Sectors"), "sectors", place=(3, 1), jump="s", is_tab=True)
urlpatterns: Final = SECTORS.urls
LIVE: Final = SECTORS.live_pages
