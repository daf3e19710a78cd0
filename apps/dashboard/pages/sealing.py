"""Sealing: who runs which stage, what limits the farm, when the sectors in progress will be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from django.http import Http404
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.timezone import localtime
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.dashboard.charts import Bar, Tick, gantt_bar
from apps.dashboard.csv_export import csv_answer
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.hosts import worker_label
from apps.dashboard.pages.sealing_verdict import NAMED, gain_text, stage_name, verdict_of
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors.sealing_report import HOURS, SealingFilter, filter_read, sealing_report
from apps.sectors.selectors.stage_runs import RUNS_OF_HOST
from poolsite.wire.jobs import STAGED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.http import HttpRequest, HttpResponse
    from django_stubs_ext import StrOrPromise

    from apps.dashboard.csv_export import Download
    from apps.dashboard.labels import StateLabel
    from apps.sectors.selectors.bottleneck import StageFigures
    from apps.sectors.selectors.sealing_report import HostLanes, Lane, SealingReport, SectorEta
    from apps.sectors.selectors.stage_runs import StageRun
    from apps.users.principals import Principal

TICKS: Final = 6
"""Parts of the time axis."""
SECTORS_SHOWN: Final = 50
LABEL_SHARE: Final = 0.045
"""Part of the axis from which a bar has room for its sector's number."""
SEALS: Final = {str(kind) for kind in STAGED}
COLUMNS: Final = ("host", "stage", "slot", "miner", "sector", "start", "end", "seconds", "outcome", "capped")


@dataclass(frozen=True, slots=True)
class RunBar:
    """One run on a slot's line."""

    bar: Bar
    text: str
    """What a reader hears and a pointer shows."""
    mark: str
    href: str
    is_other: bool
    """Of a miner that is not looked at."""


@dataclass(frozen=True, slots=True)
class LaneRow:
    """One slot."""

    label: str
    bars: tuple[RunBar, ...]
    text: str


@dataclass(frozen=True, slots=True)
class HostRows:
    """One host with its slots."""

    key: str
    name: str
    label: StateLabel
    lanes: tuple[LaneRow, ...]
    is_capped: bool


def host_rows(report: SealingReport, wanted: SealingFilter) -> list[HostRows]:
    """Lay out the hosts' slots on the report's time axis."""
    return [
        HostRows(
            key=str(host.worker.uuid),
            name=host.worker.name,
            label=worker_label(host.worker, now=report.at),
            lanes=tuple(lane_row(lane, report, wanted) for lane in host.lanes),
            is_capped=host.is_capped,
        )
        for host in report.hosts
    ]


def lane_row(lane: Lane, report: SealingReport, wanted: SealingFilter) -> LaneRow:
    """Lay out one slot."""
    bars = [run_bar(run, report, wanted) for run in lane.runs]
    if lane.running is not None and lane.since is not None:
        far = f", {formatting.percent(lane.running.progress, 1)}" if lane.running.progress else ""
        took = formatting.duration((report.at - lane.since).total_seconds())
        bars.append(
            RunBar(
                gantt_bar(at_share(lane.since, report), 1.0, tone="run"),
                say("{running} {stage}: running for {took}{far}").format(
                    running=sector_name(lane.running), stage=stage_name(lane.stage), took=took, far=far
                ),
                bar_mark(lane.running.number, 1 - at_share(lane.since, report)),
                sector_href(lane.running.sector),
                is_other=wanted.miner not in ("", lane.running.miner),
            )
        )
    label = f"{stage_name(lane.stage)} {lane.number}"
    return LaneRow(label, tuple(bars), f"{label}: {plural(len(bars), 'run')}")


def run_bar(run: StageRun, report: SealingReport, wanted: SealingFilter) -> RunBar:
    """Lay out one run that has ended."""
    start, end = at_share(run.start, report), at_share(run.end, report)
    ended = localtime(run.end).strftime("%H:%M:%S")
    how = (
        say("failed at {ended}").format(ended=ended)
        if run.is_error
        else say("{seconds}, ended {ended}").format(seconds=formatting.duration(run.seconds), ended=ended)
    )
    return RunBar(
        gantt_bar(start, end, tone="bad" if run.is_error else "ok"),
        f"{sector_name(run)} {stage_name(run.stage)}: {how}",
        bar_mark(run.number, end - start),
        sector_href(run.sector),
        is_other=wanted.miner not in ("", run.miner),
    )


def at_share(moment: Any, report: SealingReport) -> float:
    """Return where a time stands on the axis, 0 to 1."""
    whole = (report.at - report.since).total_seconds()
    return float(min(max((moment - report.since).total_seconds() / whole, 0.0), 1.0))


def bar_mark(number: int | None, width: float) -> str:
    """Return what stands in a bar."""
    return str(number) if number is not None and width >= LABEL_SHARE else ""


def sector_name(one: Any) -> str:
    """Return `f01000 / 7`."""
    return one.miner if one.number is None else f"{one.miner} / {one.number}"


def sector_href(uuid: str) -> str:
    """Return the sector's page."""
    return reverse("sector", args=[uuid]) if uuid else ""


def axis_of(report: SealingReport) -> tuple[Tick, ...]:
    """Return the marks of the time axis."""
    anchors = {0: "start", TICKS: "end"}
    span = report.at - report.since
    return tuple(
        Tick(
            at=round(100 * part / TICKS, 2),
            label=localtime(report.since + span * part / TICKS).strftime("%H:%M"),
            anchor=anchors.get(part, "middle"),
        )
        for part in range(TICKS + 1)
    )


def stage_row(row: StageFigures, report: SealingReport) -> dict[str, Any]:
    """Lay out one stage's figures."""
    limits = report.bottleneck
    is_limit = limits.kind in ("growing", "full", "missing") and limits.figures is row
    return {
        "name": stage_name(row.stage),
        "is_limit": is_limit,
        "slots": f"{row.running} / {row.slots}",
        "waiting": row.waiting,
        "before": row.waiting_before,
        "grows": row.waiting > row.waiting_before,
        "oldest": ""
        if row.oldest is None
        else formatting.time_left((report.at - row.oldest).total_seconds()),
        "use": row.use,
        "tone": "warn" if is_limit else "run",
        "runs": row.runs,
        "failed": row.failed,
        "p50": formatting.duration(row.p50_s),
        "p90": formatting.duration(row.p90_s),
        "history": row.history,
    }


def sector_word(one: SectorEta) -> StrOrPromise:
    """Return what holds a sector up."""
    if one.sector.is_paused:
        return _("paused")
    if one.waits_for_host:
        return _("host offline") if one.sector.is_host_away else _("host paused")
    return _("late") if one.is_late else ""


def sector_rows(report: SealingReport) -> list[dict[str, Any]]:
    """Lay out the sectors in progress."""
    return [
        {
            "name": f"{one.sector.miner} / {one.sector.number}",
            "href": sector_href(one.sector.uuid),
            "stage": stage_name(one.stage),
            "host": one.sector.host or formatting.NOTHING,
            "here": formatting.time_left((report.at - one.sector.since).total_seconds()),
            "left": formatting.NOTHING
            if one.eta is None
            else formatting.time_left((one.eta - report.at).total_seconds()),
            "eta": one.eta,
            "tone": "bad" if one.sector.is_paused else "warn" if one.is_late or one.waits_for_host else "",
            "word": sector_word(one),
        }
        for one in report.sectors[:SECTORS_SHOWN]
    ]


def context_of(report: SealingReport, wanted: SealingFilter) -> dict[str, Any]:
    """Return what the fragments show."""
    return {
        "verdict": verdict_of(report),
        "gain": gain_text(report),
        "capped": capped_text(report),
        "hosts": host_rows(report, wanted),
        "hosts_left_out": report.hosts_left_out,
        "axis": axis_of(report),
        "stages": [stage_row(row, report) for row in report.stages],
        "sectors": sector_rows(report),
        "sectors_more": max(len(report.sectors) - SECTORS_SHOWN, 0),
    }


def capped_text(report: SealingReport) -> str:
    """Name the hosts that ran more than is read, and from when on they are known."""
    named = [
        say("{worker} (since {strftime})").format(
            worker=host.worker.name, strftime=localtime(host.since).strftime("%H:%M")
        )
        for host in report.hosts
        if host.is_capped
    ]
    if not named:
        return ""
    rest = (
        say(" and {hosts} more").format(hosts=plural(len(named) - NAMED, "host"))
        if len(named) > NAMED
        else ""
    )
    return say(
        "Only the latest {runs_of_host} runs of {named}{rest} are included: utilisation and sectors a "
        "day cover that time; earlier runs are not counted as done or failed."
    ).format(runs_of_host=RUNS_OF_HOST, named=", ".join(named[:NAMED]), rest=rest)


def query_of(wanted: SealingFilter, **change: str) -> str:
    """Return a filter as a query."""
    given = {"miner": wanted.miner, "host": wanted.host, "hours": str(wanted.hours)} | change
    return urlencode({key: value for key, value in given.items() if value})


def wanted_of(request: HttpRequest) -> SealingFilter:
    """Read the filter of the address; nonsense is none."""
    given = {key: request.GET.get(key, "") for key in ("miner", "host", "hours")}
    try:
        return filter_read(**given)
    except DomainError:
        return SealingFilter()


@require_safe
@sign_in_required
def sealing(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show slots, stages, what limits them, and the sectors in progress."""
    data, wanted = PageData(viewer), wanted_of(request)
    report = report_of(viewer, wanted, data)
    here, known = reverse("sealing"), {miner.address: miner.name for miner in data.miners if miner.address}
    return page_render(
        request,
        "sealing/page.html",
        title=_("Sealing"),
        section="sealing",
        page_key=f"sealing:{query_of(wanted)}",
        data=data,
        csv=f"{reverse('sealing-csv')}?{query_of(wanted)}",
        widths=[
            (plural(hours, "hour"), f"{here}?{query_of(wanted, hours=str(hours))}", hours == wanted.hours)
            for hours in HOURS
        ],
        wanted=wanted,
        miners=sorted((address, name or address) for address, name in known.items()),
        machines=[(str(one.uuid), one.name) for one in data.workers if set(one.kinds) & SEALS],
        **context_of(report, wanted),
    )


def report_of(viewer: Principal, wanted: SealingFilter, data: PageData) -> SealingReport:
    """Return the report; a miner that is not the viewer's is not there."""
    try:
        return sealing_report(viewer, wanted, now=data.at)
    except DomainError:
        raise Http404 from None


@require_safe
@sign_in_required
def runs_csv(request: HttpRequest, viewer: Principal) -> Download:
    """Write the runs of the window as CSV."""
    wanted = wanted_of(request)
    report = report_of(viewer, wanted, PageData(viewer))
    return csv_answer("sealing.csv", COLUMNS, csv_rows(report.hosts, wanted))


def csv_rows(hosts: Iterable[HostLanes], wanted: SealingFilter) -> Iterator[tuple[Any, ...]]:
    """Write each run, by host and slot."""
    for host in hosts:
        for lane in host.lanes:
            for run in lane.runs:
                if wanted.miner in ("", run.miner):
                    times = (run.start.isoformat(), run.end.isoformat(), round(run.seconds, 3))
                    how = "failed" if run.is_error else "done"
                    slot = (host.worker.name, lane.stage, lane.number)
                    yield (*slot, run.miner, run.number, *times, how, "yes" if host.is_capped else "no")


def fragments(context: FragmentContext) -> Iterable[str]:
    """Render the whole of it anew."""
    asked = {key: values[0] for key, values in parse_qs(context.key).items()}
    try:
        wanted = filter_read(asked.get("miner", ""), asked.get("host", ""), asked.get("hours", ""))
        report = sealing_report(context.viewer, wanted, now=context.data.at)
    except DomainError:
        return
    shown = context_of(report, wanted)
    for template in ("dashboard/_verdict.html", "sealing/_gantt.html", "sealing/_stages.html",
                     "sealing/_sectors.html"):  # fmt: skip
        yield fragment(template, **shown)


NAV: Final = NavItem("sealing", _("Sealing"), "pipeline", place=(1, 6))
urlpatterns: Final = [
    path("sealing/", sealing, name="sealing"),
    path("sealing.csv", runs_csv, name="sealing-csv"),
]
LIVE: Final = {"sealing": LivePage({"head": (fragments,)})}
"""Its figures are those of hours; every heartbeat of a host would render all of it anew."""
