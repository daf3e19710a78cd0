"""Sealing: who runs which stage, what limits the farm, when the sectors in progress will be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from django.http import Http404
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.core.local_time import moment_text
from apps.dashboard.area_charts import Tick
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sealing.lanes import host_rows
from apps.dashboard.pages.sealing.tables import SECTORS_SHOWN, sector_rows, stage_row
from apps.dashboard.pages.sealing.verdict import NAMED, gain_text, verdict_of
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors.host_groups import host_names
from apps.sectors.selectors.sealing_report import HOURS, SealingFilter, filter_read, sealing_report
from apps.sectors.selectors.stage_runs import RUNS_OF_HOST
from poolsite.wire.jobs import STAGED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpRequest, HttpResponse

    from apps.sectors.selectors.sealing_report import SealingReport
    from apps.users.rules.principals import Principal

TICKS: Final = 6
"""Parts of the time axis."""
SEALS: Final = {str(kind) for kind in STAGED}


def axis_of(report: SealingReport) -> tuple[Tick, ...]:
    """Return the marks of the time axis."""
    anchors = {0: "start", TICKS: "end"}
    span = report.at - report.since
    return tuple(
        Tick(
            at=round(100 * part / TICKS, 2),
            label=f"{localtime(report.since + span * part / TICKS):%H:%M}",
            anchor=anchors.get(part, "middle"),
        )
        for part in range(TICKS + 1)
    )


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
        gettext("{worker} (since {at})").format(worker=host.worker.name, at=moment_text(host.since))
        for host in report.hosts
        if host.is_capped
    ]
    if not named:
        return ""
    rest = (
        gettext(" and {hosts} more").format(hosts=plural(len(named) - NAMED, "host"))
        if len(named) > NAMED
        else ""
    )
    return gettext(
        "Only the latest {runs_of_host} runs of {named}{rest} are included: utilisation and sectors a "
        "day cover that time; earlier runs are not counted as done or failed."
    ).format(runs_of_host=RUNS_OF_HOST, named=list_text(named[:NAMED]), rest=rest)


def query_of(wanted: SealingFilter, **change: str) -> str:
    """Return a filter as a query."""
    query = {"miner": wanted.miner, "host": wanted.host, "hours": str(wanted.hours)} | change
    return urlencode({key: value for key, value in query.items() if value})


def wanted_of(request: HttpRequest) -> SealingFilter:
    """Read the filter of the address; nonsense is none."""
    query = {key: request.GET.get(key, "") for key in ("miner", "host", "hours")}
    try:
        return filter_read(**query)
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
        machines=host_names(viewer, SEALS),
        **context_of(report, wanted),
    )


def report_of(viewer: Principal, wanted: SealingFilter, data: PageData) -> SealingReport:
    """Return the report; a miner that is not the viewer's is not there."""
    try:
        return sealing_report(viewer, wanted, now=data.at)
    except DomainError:
        raise Http404 from None


def fragments(context: FragmentContext) -> Iterable[str]:
    """Render the whole of it anew."""
    query = {key: values[0] for key, values in parse_qs(context.key).items()}
    try:
        wanted = filter_read(query.get("miner", ""), query.get("host", ""), query.get("hours", ""))
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
]
LIVE: Final = {"sealing": LivePage({"head": (fragments,)})}
"""Its figures are those of hours; every heartbeat of a host would render all of it anew."""
