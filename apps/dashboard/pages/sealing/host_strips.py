"""The hosts that seal, a row each: how busy each was in every hour of the last day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import clauses_text, colon_text
from apps.dashboard.charts import title_svg
from apps.dashboard.labels import StateLabel
from apps.dashboard.pages.hosts.batch_text import batch_brief, batch_details, batch_of
from apps.dashboard.pages.hosts.state import worker_label
from apps.dashboard.pagination import Pager, page_counted
from apps.history.rules import begin_of
from apps.history.selectors.busy_hours import busy_by_hour, hosts_busy_since
from apps.history.states import HOUR

if TYPE_CHECKING:
    from apps.sectors.selectors.host_lanes import HostLanes
    from apps.sectors.selectors.sealing_report import SealingReport

HOURS_SHOWN: Final = 24
SHADES: Final = 4
"""Steps in which a cell gets darker."""


@dataclass(frozen=True, slots=True)
class HeatCell:
    """One hour of a host; x in percent of the width."""

    x: float
    css: str
    heat: int
    """How dark it is, 1 to SHADES; 0 for one that is not busy."""
    is_bad: bool
    title: str

    @property
    def svg(self) -> str:
        """Return its picture."""
        heat = f' data-heat="{self.heat}"' if self.heat else ""
        place = f'x="{self.x}%" width="3.9%"'
        hour = f'<rect class="{self.css}"{heat} {place} y="1" height="16" rx="2" />'
        bad = f'<rect class="t-bad" {place} y="12" height="5" />' if self.is_bad else ""
        return f"<g>{title_svg(self.title)}{hour}{bad}</g>"


@dataclass(frozen=True, slots=True)
class HostStrip:
    """One host as a row."""

    key: str
    name: str
    label: StateLabel
    cells: tuple[HeatCell, ...]
    text: str
    """The text that a screen reader reads for the cells."""
    batch: str
    """How far its batch is whose layers lie on drives; empty without one."""
    batch_details: str
    """Its lanes and reads, folded."""
    slots: str
    runs: int
    failed: int
    is_capped: bool

    @property
    def drawn(self) -> SafeString:
        """Return the cells."""
        return SafeString("".join(cell.svg for cell in self.cells))


@dataclass(frozen=True, slots=True)
class HostStrips:
    """One page of them."""

    rows: tuple[HostStrip, ...]
    pager: Pager
    idle: int
    """Hosts without work in the last day, left out or not."""
    has_idle: bool
    """Whether these are rows here, too."""
    total: int
    left_out: int
    """Hosts beyond those of which runs are read."""
    idle_href: str
    """Query of the page with the idle ones, or without."""
    slots_query: str
    """Query of the page of a host's slots, beside the host."""
    window: str
    """How far back runs are read, as the page is asked for: `6 hours`."""


def host_strips(
    report: SealingReport, *, with_idle: bool, cursor: str, query: Mapping[str, str]
) -> HostStrips:
    """Lay out one page of hosts; those that did nothing for a day and work well only if wanted."""
    begins = hours_of(report.at)
    since, keys = begins[0], [host.worker.pk for host in report.hosts]
    busy = hosts_busy_since(keys, since)
    active = [host for host in report.hosts if host.worker.pk in busy or is_active(host, report)]
    idle = len(report.hosts) - len(active)
    shown = report.hosts if with_idle or not active else active
    page, pager = page_counted(shown, cursor, of="sealing-hosts", query=query, field="cursor")
    by_host = busy_by_hour([host.worker.pk for host in page], since=since)
    names = [hour_name(at) for at in begins]
    return HostStrips(
        rows=tuple(strip_of(host, report, by_host.get(host.worker.pk, {}), begins, names) for host in page),
        pager=pager,
        idle=idle,
        has_idle=len(shown) == len(report.hosts),
        total=len(report.hosts),
        left_out=report.hosts_left_out,
        idle_href=f"?{query_text({**query, 'idle': '' if with_idle else '1'})}",
        slots_query=query_text({**query, "host": "", "idle": ""}),
        window=plural(round((report.at - report.since) / HOUR), "hour"),
    )


def query_text(query: Mapping[str, str]) -> str:
    """Return the parameters of an address that are not empty."""
    return urlencode({key: value for key, value in query.items() if value})


def hours_of(now: datetime) -> list[datetime]:
    """Return when each hour of the last day begins, this one too."""
    newest = begin_of(now, HOUR)
    return [newest - HOUR * place for place in reversed(range(HOURS_SHOWN))]


def is_active(host: HostLanes, report: SealingReport) -> bool:
    """Return whether a host runs or ran something, or needs a look."""
    if any(lane.running is not None or lane.runs for lane in host.lanes):
        return True
    return worker_label(host.worker, now=report.at).tone in ("bad", "warn")


def hour_name(at: datetime) -> str:
    """Return an hour of the day: `14:00`."""
    return f"{localtime(at):%H:%M}"


def strip_of(
    host: HostLanes,
    report: SealingReport,
    busy: Mapping[datetime, float],
    begins: Sequence[datetime],
    names: Sequence[str],
) -> HostStrip:
    """Lay out one host."""
    runs = [run for lane in host.lanes for run in lane.runs]
    failed = Counter(begin_of(run.end, HOUR) for run in runs if run.is_error)
    running = sum(lane.running is not None for lane in host.lanes)
    shares = [busy.get(at) for at in begins]
    if shares[-1] is None and not host.is_absent and host.lanes:
        shares[-1] = running / len(host.lanes)  # this hour is not measured yet
    known = [share for share in shares if share is not None]
    parts = (
        gettext("slots {share} busy over the last 24 hours").format(
            share=formatting.percent(sum(known), len(known))
        )
        if known
        else gettext("nothing is known of the last 24 hours"),
        *(
            [plural(len(shares) - len(known), "hour without a reading", "hours without a reading")]
            if 0 < len(known) < len(shares)
            else ()
        ),
        *([plural(failed.total(), "failed run")] if failed else ()),
    )
    batch = batch_of(host.worker, now=report.at)
    return HostStrip(
        batch=""
        if batch is None
        else gettext("batch: {batch}").format(batch=batch_brief(batch, now=report.at)),
        batch_details="" if batch is None else batch_details(batch),
        key=str(host.worker.uuid),
        name=host.worker.name,
        label=worker_label(host.worker, now=report.at),
        cells=tuple(
            cell_of(place, share, name=name, failed=failed[at])
            for place, (at, share, name) in enumerate(zip(begins, shares, names, strict=True))
        ),
        text=colon_text(host.worker.name, clauses_text(parts)),
        slots=f"{running} / {len(host.lanes)}",
        runs=sum(not run.is_error for run in runs),
        failed=failed.total(),
        is_capped=host.is_capped,
    )


def cell_of(place: int, share: float | None, *, name: str, failed: int) -> HeatCell:
    """Lay out one hour."""
    if share is None:
        css, heat, text = "t-none", 0, gettext("no reading")
    elif share <= 0:
        css, heat, text = "t-idle", 0, gettext("idle")
    else:
        css, heat = "t-run", min(int(share * SHADES), SHADES - 1) + 1
        text = gettext("{share} busy").format(share=formatting.percent(share, 1))
    if failed:
        text = clauses_text((text, plural(failed, "failed run")))
    return HeatCell(round(100 * place / HOURS_SHOWN, 2), css, heat, failed > 0, f"{name} {text}")
