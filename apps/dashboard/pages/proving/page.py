"""Proving: what lands next and at what risk, a month of margins, faults, files and checks of sectors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.findings.results import Topic
from apps.checks.findings.text import named
from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.reasons import shown_text
from apps.dashboard.cards import Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.html_time import time_html
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.deadlines import FORECASTS, unrecorded_text
from apps.dashboard.pages.proving.check_rows import BadRow, CheckRow, bad_rows, check_rows
from apps.dashboard.pages.proving.rows import FaultRow, dispute_rows, fault_rows, risk_text
from apps.dashboard.pages.proving.settings import pace_text
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.miners.selectors.miners import miner_get
from apps.proving.selectors.checks import checks_latest
from apps.proving.selectors.posts import Margin, margins_of
from apps.proving.selectors.provers import hosts_proving
from apps.proving.states import Forecast
from apps.sectors.selectors.stores import stores_unread
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.miners.models import Miner
    from apps.proving.models import Deadline

PERIODS: Final = 30
EARLY_SHARE: Final = 2
"""A proof that lands with this part of the window to spare is early."""
LATE_SHARE: Final = 6
"""One with less than this part is late."""


class HeatCell(NamedTuple):
    """One window."""

    tone: str
    """ok, run, warn, bad or idle."""
    text: str
    title: str


@dataclass(frozen=True, slots=True)
class HeatRow:
    """One proving period."""

    label: str
    cells: tuple[HeatCell, ...]

    @property
    def drawn(self) -> SafeString:
        """Return its cells; a template takes ten times as long for the 1,440 of a month."""
        return SafeString(
            "".join(
                f'<td data-tone="{tone}" title="{escape(title)}">{text}</td>'
                for tone, text, title in self.cells
            )
        )


@dataclass(frozen=True, slots=True)
class HeatMap:
    """All periods of one miner, the newest on top."""

    miner: str
    columns: tuple[int, ...]
    rows: tuple[HeatRow, ...]
    missed: int
    late: int


def heat_map(miner: Miner, data: PageData) -> HeatMap | None:
    """Lay out a miner's last periods; None before its first deadline is known."""
    start = data.period_starts.get(miner.pk)
    if data.network is None or data.clock is None or start is None:
        return None
    window, period = data.network.proving.window, data.network.proving_period
    count = data.network.proving.deadlines
    sums = margins_of(miner, since_epoch=start - (PERIODS - 1) * period)
    by_index = {row.index: row for row in data.deadlines_of(miner)}
    say, nothing = gettext("deadline {index}: {words}"), str(FORECASTS[Forecast.NOTHING].word)

    def cell_at(index: int, opens: int) -> HeatCell:
        if (found := sums.get((index, opens))) is not None:
            return _cell(index, found, window=window)
        row = by_index.get(index)
        words = nothing if row is None else unrecorded_text(miner, row, open_epoch=opens)
        return HeatCell("idle", "·", say.format(index=index, words=words))

    rows = []
    for back in range(PERIODS):
        first = start - back * period
        cells = tuple(
            cell_at(index, opens) for index, opens in enumerate(range(first, first + count * window, window))
        )
        if back and all(cell.tone == "idle" for cell in cells):
            continue
        opened_at = datetime.fromtimestamp(data.clock.starts_at(first), tz=UTC)
        rows.append(HeatRow(time_html(opened_at), cells))
    drawn = [cell for row in rows for cell in row.cells]
    return HeatMap(
        miner=miner.name or miner.address,
        columns=tuple(range(count)),
        rows=tuple(rows),
        missed=sum(cell.tone == "bad" for cell in drawn),
        late=sum(cell.tone == "warn" for cell in drawn),
    )


def _cell(index: int, found: Margin, *, window: int) -> HeatCell:
    if found.missed:
        return HeatCell("bad", "×", gettext("deadline {index}: missed").format(index=index))
    if found.margin is None:
        return HeatCell("run", "…", gettext("deadline {index}: being proved").format(index=index))
    title = gettext("deadline {index}: landed {epochs} before its close").format(
        index=index, epochs=plural(found.margin, "epoch")
    )
    if found.margin * LATE_SHARE < window:
        return HeatCell("warn", f"{found.margin}!", title)
    return HeatCell("ok" if found.margin * EARLY_SHARE >= window else "run", str(found.margin), title)


NEXT_MAX: Final = 50
OF_MINER_MAX: Final = 2
MINERS_MAX: Final = 30
"""Miners that can be chosen by a click; others by their own page."""
CHECKS_SHOWN: Final = 15
PROVEN: Final = {Forecast.WILL_LAND, Forecast.LANDED}
"""Of a deadline whose proof is there or under way; one that is not challenged yet has none."""


@dataclass(frozen=True, slots=True)
class NextRow:
    """One deadline that is open or comes next."""

    miner: str
    href: str
    index: int
    tone: str
    word: StrOrPromise
    icon: str
    when: str
    until: int | None
    left: str
    sectors: str
    host: str
    risk: str
    why: str


@dataclass(frozen=True, slots=True)
class MinerChoice:
    """A miner whose month is shown."""

    name: str
    href: str
    on: bool


def next_rows(data: PageData) -> list[NextRow]:
    """Lay out the open and the next deadlines of all miners, those at risk first."""
    if data.clock is None:
        return []
    epoch, miners = data.clock.epoch, {miner.pk: miner for miner in data.miners}
    found: list[Deadline] = []
    for miner in data.miners:
        ahead = [row for row in data.deadlines_of(miner) if row.close_epoch > epoch]
        found += sorted(ahead, key=lambda row: row.close_epoch)[:OF_MINER_MAX]
    # Of whole percents: below that the order of time is what one looks for.
    found.sort(key=lambda row: (row.forecast != Forecast.AT_RISK, -round(row.miss or 0, 2), row.close_epoch))
    hosts = hosts_proving({row.miner_id for row in found[:NEXT_MAX]})
    return [_next_row(row, miners[row.miner_id], data, hosts) for row in found[:NEXT_MAX]]


def _next_row(row: Deadline, miner: Miner, data: PageData, hosts: dict[tuple[int, int, int], str]) -> NextRow:
    clock, label = data.clock, FORECASTS[row.forecast]
    is_open = clock is not None and row.open_epoch <= clock.epoch
    epoch = row.close_epoch if is_open else row.open_epoch
    return NextRow(
        miner=miner.name or miner.address,
        href=reverse("proving-deadline", args=[miner.address, row.index]),
        index=row.index,
        tone=label.tone,
        word=label.word,
        icon=label.sign,
        when=gettext("closes in") if is_open else gettext("opens in"),
        until=None if clock is None else clock.starts_at(epoch),
        left="" if clock is None else formatting.time_left(clock.left_s(epoch)),
        sectors=formatting.whole(row.live),
        host=hosts.get((row.miner_id, row.index, row.open_epoch), formatting.NOTHING),
        risk=risk_text(row.miss),
        why=shown_text(row.reason),
    )


def miners_wanted(data: PageData, wanted: str) -> list[Miner]:
    """Return the miners that are shown, those with most power first: the one that is asked for, or all."""
    if not wanted:
        return list(data.miners)
    try:
        found = miner_get(data.viewer, wanted)
    except DomainError:
        return []
    return [miner for miner in data.miners if miner.pk == found.pk]


def verdict_of(data: PageData) -> Verdict:
    """Return what the checks found, or what comes next."""
    report = data.report_of(Topic.PROVING)
    if not data.deadlines:
        return verdict_by(report, Verdict("", gettext("No sector has a deadline yet.")))
    # What is critical anywhere may keep proofs from landing, whatever their own forecast still says.
    is_calm = not report.found and not any(found.is_critical for found in data.report.found)
    return verdict_by(
        report,
        Verdict(
            forecast_text(data) if is_calm else "",
            gettext("{deadlines} with sectors.").format(deadlines=plural(len(data.deadlines), "deadline")),
        ),
    )


def forecast_text(data: PageData) -> str:
    """Return what the forecasts of all deadlines say together; empty if that is nothing good of each.

    So it is, too, while the deadlines of a miner with sectors are not read.
    """
    rows = data.deadlines.values()
    unread = {miner.pk for miner in data.miners if miner.live_sectors} - {row.miner_id for row in rows}
    forecasts = {row.forecast for row in rows}
    if unread or not forecasts:
        return ""
    if forecasts <= PROVEN:
        return gettext("Every proof is forecast to land.")
    return gettext("No deadline is at risk.") if forecasts <= PROVEN | {Forecast.LATER} else ""


def disputable_text(data: PageData) -> str:
    """Return for how long a landed proof can be disputed."""
    if data.network is None:
        return ""
    window = data.network.dispute_window
    left = formatting.duration(window * data.network.epoch_s)
    return gettext("A landed proof can be disputed for {window} epochs ({left}) after its window.").format(
        window=formatting.whole(window), left=left
    )


def verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=verdict_of(context.data))


def next_fragment(context: FragmentContext) -> Iterable[str]:
    data, wanted = context.data, context.key
    shown = data.of_miners(miners_wanted(data, wanted)) if wanted else data
    yield fragment("proving/_next.html", rows=next_rows(shown))


@require_safe
@sign_in_required
def proving(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show what lands next, a month of one miner, and what is wrong with sectors."""
    data, wanted = PageData(viewer), request.GET.get("miner", "").strip()
    miners = miners_wanted(data, wanted)
    if not miners and wanted:
        raise Http404
    miner, here = next((one for one in miners if one.address), None), reverse("proving")
    heat: HeatMap | None = None if miner is None else heat_map(miner, data)
    shown = data.of_miners(miners) if wanted else data
    faults: list[FaultRow] = fault_rows(shown)
    bad: list[BadRow] = bad_rows(shown)
    checks: list[CheckRow] = check_rows(checks_latest(shown.miners)[:CHECKS_SHOWN], shown)
    return page_render(
        request,
        "proving/list.html",
        title=gettext("Proving"),
        section="proving",
        scoped=("miner",),
        page_key=f"proving:{wanted}" if wanted else "proving",
        data=data,
        verdict=verdict_of(data),
        is_verdict_of_all=bool(wanted),
        rows=next_rows(shown),
        choices=[
            *([MinerChoice(gettext("All miners"), here, False)] if wanted else []),
            *(
                MinerChoice(one.name or one.address, f"{here}?miner={one.address}", one is miner)
                for one in data.miners[:MINERS_MAX]
                if one.address
            ),
        ],
        heat=heat,
        faults=faults,
        bad=bad,
        unread="" if bad else shown_text(named(stores_unread(viewer, now=data.at))),
        may_run=viewer.may("write"),
        checks=checks,
        disputes=dispute_rows(shown.disputes, shown),
        disputable=disputable_text(data),
        pace=pace_text(miner),
        settings_href=reverse("proving-settings")
        if miner is None
        else reverse("miner-proving-settings", args=[miner.address]),
    )


NAV: Final = NavItem("proving", _("Proving"), "proving", place=(2, 3), jump="p")
urlpatterns: Final = [path("proving/", proving, name="proving")]
LIVE: Final = {"proving": LivePage({"deadline": (next_fragment, verdict)}, findings=verdict)}
