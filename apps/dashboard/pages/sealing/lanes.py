"""Each host's slots on the time axis, with the runs on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.urls import reverse
from django.utils.translation import gettext

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import colon_text
from apps.core.local_time import clock_text
from apps.dashboard.charts import Bar, gantt_bar
from apps.dashboard.labels import StateLabel
from apps.dashboard.pages.hosts.state import worker_label
from apps.dashboard.pages.sealing.verdict import stage_name
from apps.sectors.selectors.host_lanes import Lane
from apps.sectors.selectors.sealing_report import SealingFilter, SealingReport
from apps.sectors.selectors.stage_runs import StageRun

LABEL_SHARE: Final = 0.045
"""Part of the axis from which a bar has room for its sector's number."""


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
    """Slots in which something ran in the window."""
    idle: int
    """Slots in which nothing did."""
    is_capped: bool


def host_rows(report: SealingReport, wanted: SealingFilter) -> list[HostRows]:
    """Lay out the slots of one host on the report's time axis; of several only where one is chosen."""
    if not wanted.host and len(report.hosts) > 1:
        return []
    return [
        HostRows(
            key=str(host.worker.uuid),
            name=host.worker.name,
            label=worker_label(host.worker, now=report.at),
            lanes=tuple(lane_row(lane, report, wanted) for lane in host.lanes if not is_idle(lane)),
            idle=sum(map(is_idle, host.lanes)),
            is_capped=host.is_capped,
        )
        for host in report.hosts
    ]


def is_idle(lane: Lane) -> bool:
    """Return whether nothing ran in a slot."""
    return lane.running is None and not lane.runs


def lane_row(lane: Lane, report: SealingReport, wanted: SealingFilter) -> LaneRow:
    """Lay out one slot."""
    bars = [run_bar(run, report, wanted) for run in lane.runs]
    if lane.running is not None and lane.since is not None:
        far = f", {formatting.percent(lane.running.progress, 1)}" if lane.running.progress else ""
        took = formatting.duration((report.at - lane.since).total_seconds())
        bars.append(
            RunBar(
                gantt_bar(at_share(lane.since, report), 1.0, tone="run"),
                gettext("{running} {stage}: running for {took}{far}").format(
                    running=sector_name(lane.running), stage=stage_name(lane.stage), took=took, far=far
                ),
                bar_mark(lane.running.number, 1 - at_share(lane.since, report)),
                sector_href(lane.running.sector),
                is_other=wanted.miner not in ("", lane.running.miner),
            )
        )
    label = f"{stage_name(lane.stage)} {lane.number}"
    return LaneRow(label, tuple(bars), colon_text(label, plural(len(bars), "run")))


def run_bar(run: StageRun, report: SealingReport, wanted: SealingFilter) -> RunBar:
    """Lay out one run that has ended."""
    start, end = at_share(run.start, report), at_share(run.end, report)
    ended = clock_text(run.end)
    how = (
        gettext("failed at {ended}").format(ended=ended)
        if run.is_error
        else gettext("{seconds}, ended {ended}").format(seconds=formatting.duration(run.seconds), ended=ended)
    )
    return RunBar(
        gantt_bar(start, end, tone="bad" if run.is_error else "ok"),
        colon_text(f"{sector_name(run)} {stage_name(run.stage)}", how),
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
