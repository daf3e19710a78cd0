"""Miners: the list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from django.db.models import Count
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.checks.findings.results import Topic
from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import list_text, sentence_text
from apps.dashboard import cells
from apps.dashboard.cards import Verdict
from apps.dashboard.charts import Strip
from apps.dashboard.fragments import FragmentContext
from apps.dashboard.labels import StateLabel
from apps.dashboard.list_page import Column, Empty, Link, ListPage
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.deadlines import NextDeadline, deadline_next, deadline_strip
from apps.dashboard.pagination import page_counted
from apps.dashboard.registry import NavItem
from apps.dashboard.todo import verdict_by
from apps.miners.states import MinerState
from apps.proving.selectors.deadlines import miners_of_deadlines
from apps.proving.states import Forecast
from apps.sectors.selectors.sectors import sectors_visible
from apps.users.rules.principals import Principal
from poolsite.wire.pipeline import FINAL_STATES

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.proving.models import Deadline


@dataclass(frozen=True, slots=True)
class MinerRow:
    """One miner in a list, with the strip of its period."""

    row: Miner
    label: StateLabel
    strip: Strip | None
    in_work: int
    next: NextDeadline | None

    @property
    def name(self) -> str:
        return f"{self.row.name} {self.row.address}".strip() or gettext("new miner")

    @property
    def key(self) -> object:
        """Return what names it in addresses."""
        return self.row.address or self.row.uuid


def miner_label(miner: Miner, deadlines: Sequence[Deadline]) -> StateLabel:
    """Return in words how a miner stands; the worst of its deadlines decides."""
    if miner.state == MinerState.CREATING:
        return StateLabel("run", _("being created"), "wait")
    if miner.state == MinerState.FAILED:
        return StateLabel("bad", _("not created"))
    if miner.faulty_sectors:
        return StateLabel(
            "bad", gettext("{faulty_sectors} faulty").format(faulty_sectors=miner.faulty_sectors)
        )
    if any(deadline.forecast == Forecast.MISSED and deadline.live for deadline in deadlines):
        return StateLabel("bad", _("deadline missed"))
    if any(deadline.forecast == Forecast.AT_RISK for deadline in deadlines):
        return StateLabel("bad", _("deadline at risk"))
    if miner.active_sectors:
        return StateLabel("ok", _("proving"))
    return StateLabel("idle", _("no active sectors"))


def miner_row(miner: Miner, *, data: PageData, in_work: int) -> MinerRow:
    """Lay out one miner of `miners_visible`."""
    deadlines, network = data.deadlines_of(miner), data.network
    return MinerRow(
        row=miner,
        label=miner_label(miner, deadlines),
        strip=None
        if network is None
        else deadline_strip(
            deadlines,
            start=data.period_starts.get(miner.pk),
            proving=network.proving,
            clock=data.clock,
            posts=data.posts_of(miner),
            miner=miner,
        ),
        in_work=in_work,
        next=deadline_next(deadlines, data.clock),
    )


def sectors_under_way(viewer: Principal, miners: Sequence[Miner]) -> dict[int, int]:
    """Count the sectors of these miners that are being sealed, by miner."""
    rows = sectors_visible(viewer).select_related(None).order_by().exclude(state__in=FINAL_STATES)
    return dict(rows.filter(miner__in=miners).values_list("miner_id").annotate(Count("pk")))


def miner_rows(miners: Sequence[Miner], data: PageData) -> list[MinerRow]:
    """Lay out miners with their strips."""
    under_way = sectors_under_way(data.viewer, miners)
    return [miner_row(miner, data=data, in_work=under_way.get(miner.pk, 0)) for miner in miners]


def verdict(data: PageData) -> Verdict:
    """Return in one sentence what the miners have."""
    report = data.report_of(Topic.MINERS)
    if not data.miners:
        return verdict_by(report, Verdict("", _("No miners yet.")))
    power = " ".join(formatting.size(sum(miner.qa_power for miner in data.miners)))
    faulty = sum(miner.faulty_sectors for miner in data.miners)
    rest = "" if report.found or faulty else gettext("No faults.")
    return verdict_by(
        report, Verdict(sentence_text(list_text((plural(len(data.miners), "miner"), power))), rest)
    )


def changed(context: FragmentContext, keys: list[str]) -> list[Miner]:
    """Return the miners that changed, by pk or ID number."""
    named = set(keys)
    return [
        miner
        for miner in context.data.miners
        if {str(miner.pk), str(miner.actor_id), miner.address, str(miner.uuid)} & named
    ]


def changed_by_deadlines(context: FragmentContext, keys: list[str]) -> list[Miner]:
    """Return the miners whose deadlines changed."""
    miners = set(miners_of_deadlines([key for key in keys if key.isdigit()]))
    return [miner for miner in context.data.miners if miner.pk in miners]


def links(data: PageData) -> Iterable[Link]:
    """Return the buttons above the list."""
    if data.viewer.may("sign"):
        yield Link(_("Add a miner…"), reverse("miner-new"), icon="plus", kind="primary")


def empty(_data: PageData) -> Empty:
    """Return what is said before the first miner."""
    text = gettext(
        "Connect a signer (page Wallets), have FIL for the deposit, then add a miner. It exists once its "
        "CreateMiner message has landed."
    )
    return Empty(_("No miners yet"), text)


def name(row: MinerRow) -> SafeString:
    """Return what a miner is called, and whose it is."""
    link = cells.link(reverse("miner", args=[row.key]), row.name, id=f"name-{row.row.pk}")
    return cells.joined(link, cells.sub(row.row.tenant.name))


def power(row: MinerRow) -> SafeString:
    """Return its power by quality, and the raw one."""
    number, unit = formatting.size(row.row.qa_power)
    raw = gettext("raw {raw}").format(raw=formatting.joined_size(row.row.raw_power))
    return cells.joined(cells.unit(format_html("<strong>{}</strong>", number), unit), cells.sub(raw))


def period(row: MinerRow) -> SafeString:
    """Return its deadlines as a picture."""
    if row.strip is None:
        return format_html('<span class="muted s">{}</span>', gettext("no deadlines yet"))
    return cells.partial("charts/_strip.html", strip=row.strip)


def sectors(row: MinerRow) -> SafeString:
    """Return how many of its sectors are active, and how many are sealed."""
    in_work = gettext("{in_work} in progress").format(in_work=formatting.whole(row.in_work))
    return cells.joined(formatting.whole(row.row.active_sectors), cells.sub(in_work))


def next_deadline(row: MinerRow) -> SafeString | str:
    """Return which deadline comes next, and when."""
    if row.next is None:
        return formatting.NOTHING
    return format_html("{} {}", row.next.say, cells.until(row.next.until, row.next.left))


MINERS: Final = ListPage(
    name="miners",
    one="miner",
    title=_("Miners"),
    table=_("Table of miners"),
    caption=_("Miners by power"),
    icon="miners",
    rows=lambda data: data.miners,
    page=page_counted,
    lay_out=lambda rows, data: miner_rows(rows, data.of_miners(rows)),
    id_of=attrgetter("row.pk"),
    verdict=verdict,
    verdict_on=("head", "miner", "deadline"),
    live={"miner": changed, "deadline": changed_by_deadlines},
    links=links,
    empty=empty,
    foot="charts/_strip_key.html",
    columns=(
        Column(
            head=_("Miner"),
            cell=name,
            css="keep",
            is_name=True,
            key="name",
            sort=lambda miner, _data: (miner.name, miner.actor_id or 0),
        ),
        Column(
            head=_("State"),
            cell=lambda row: cells.chip(row.label),
            css="tight c-state",
            is_plain=True,
            key="state",
        ),
        Column(head=_("Power"), cell=power, css="num", key="power", sort=lambda miner, _data: miner.qa_power),
        Column(head=_("Deadlines of this period"), cell=period, css="c-wide strip-cell", key="period"),
        Column(
            head=_("Active sectors"),
            label=_("Sectors"),
            cell=sectors,
            css="num",
            key="sectors",
            sort=lambda miner, _data: miner.active_sectors,
        ),
        Column(
            head=_("Faults"),
            cell=lambda row: cells.say("bad" if row.row.faulty_sectors else "", str(row.row.faulty_sectors)),
            css="num",
            key="faults",
            sort=lambda miner, _data: miner.faulty_sectors,
        ),
        Column(
            head=_("Available"),
            cell=lambda row: cells.fil(row.row.available),
            css="num",
            key="available",
            sort=lambda miner, _data: miner.available or 0,
        ),
        Column(head=_("Next deadline"), cell=next_deadline, css="keep c-half", key="next"),
    ),
)
NAV: Final = NavItem("miners", _("Miners"), "miners", place=(2, 1), jump="m", is_tab=True)
urlpatterns: Final = MINERS.urls
LIVE: Final = MINERS.live_pages
