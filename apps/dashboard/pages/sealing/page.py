"""Sealing: who runs which stage, what limits the farm, when the sectors in progress will be done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.chain.selectors.read_cache import chain_read_once
from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.core.local_time import moment_text
from apps.dashboard.charts import Tick
from apps.dashboard.forms import PageForm
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.object_fields import Found
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sealing.host_strips import host_strips
from apps.dashboard.pages.sealing.lanes import host_rows, sector_href
from apps.dashboard.pages.sealing.verdict import NAMED, gain_text, stage_name, verdict_of
from apps.dashboard.pickers import picker
from apps.dashboard.registry import NavItem
from apps.dashboard.scope import in_scope, scope_chosen
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Text
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.bottleneck import StageFigures
from apps.sectors.selectors.hosts import worker_get
from apps.sectors.selectors.sealing_report import (
    HOURS,
    SealingFilter,
    SealingReport,
    filter_read,
    sealing_report,
)
from apps.sectors.selectors.sector_etas import SectorEta
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

SECTORS_SHOWN: Final = 50


def stage_row(row: StageFigures, report: SealingReport) -> dict[str, Any]:
    """Lay out one stage's figures."""
    limits = report.bottleneck
    is_limit = limits.limiting == row.stage
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


TICKS: Final = 6
"""Parts of the time axis."""


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


@chain_read_once()
def context_of(
    report: SealingReport, wanted: SealingFilter, *, idle: str = "", cursor: str = ""
) -> dict[str, Any]:
    """Return what the fragments show."""
    strips = host_strips(
        report, with_idle=bool(idle), cursor=cursor, query=parameters_of(wanted) | {"idle": idle}
    )
    return {
        "strips": strips,
        "verdict": verdict_of(report),
        "gain": gain_text(report),
        "capped": capped_text(report),
        "hosts": host_rows(report, wanted),
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
    ).format(runs_of_host=report.runs_of_host, named=list_text(named[:NAMED]), rest=rest)


def parameters_of(wanted: SealingFilter) -> dict[str, str]:
    """Return a filter as the parameters of an address."""
    return {"miner": wanted.miner, "host": wanted.host, "hours": str(wanted.hours)}


def query_of(wanted: SealingFilter, **change: str) -> str:
    """Return a filter as a query."""
    return urlencode({key: value for key, value in (parameters_of(wanted) | change).items() if value})


class SealingForm(PageForm):
    """Filters of the page as the URL has them; a host is a uuid, or a name that somebody typed."""

    miner = Found(miner_get, is_optional=True)
    host = Found(worker_get, is_optional=True)
    hours = Choice([("", ""), *((hours, hours) for hours in HOURS)])
    idle = Choice(["", "1"])
    """Not empty: hosts that did nothing for a day are rows, too."""
    cursor = Text()


def wanted_of(form: SealingForm) -> SealingFilter:
    """Return the filter that a form describes; a field that cannot be read gets an error and is ignored."""
    form.full_clean()
    miner, host = form.cleaned_data.get("miner"), form.cleaned_data.get("host")
    return filter_read(
        miner.address if miner else "", str(host.uuid) if host else "", form.cleaned_data.get("hours", "")
    )


@require_safe
@sign_in_required
def sealing(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show slots, stages, what limits them, and the sectors in progress."""
    data, form, here = PageData(viewer), SealingForm(request.GET).sent_by(viewer), reverse("sealing")
    wanted, scope = wanted_of(form), scope_chosen(request)
    report = sealing_report(viewer, wanted, now=data.at)
    beside = {
        "idle": "1" if form.cleaned_data.get("idle") else "",
        "cursor": form.cleaned_data.get("cursor", ""),
    }
    return page_render(
        request,
        "sealing/page.html",
        title=_("Sealing"),
        section="sealing",
        scoped=("miner",),
        page_key=f"sealing:{query_of(wanted, **beside)}",
        data=data,
        csv=f"{reverse('sealing-csv')}?{query_of(wanted)}",
        widths=[
            (
                plural(hours, "hour"),
                in_scope(here, query_of(wanted, hours=str(hours)), scope),
                hours == wanted.hours,
            )
            for hours in HOURS
        ],
        form=form,
        hours=wanted.hours,
        trends_of=wanted.miner or "all",
        miners=picker(viewer, "miner", value=wanted.miner),
        machines=picker(viewer, "sealing-host", value=wanted.host),
        **context_of(report, wanted, **beside),
    )


def fragments(context: FragmentContext) -> Iterable[str]:
    """Render the whole of it anew."""
    query = {key: values[0] for key, values in parse_qs(context.key).items()}
    try:
        wanted = filter_read(query.get("miner", ""), query.get("host", ""), query.get("hours", ""))
        report = sealing_report(context.viewer, wanted, now=context.data.at)
    except DomainError:
        return
    shown = context_of(report, wanted, idle=query.get("idle", ""), cursor=query.get("cursor", ""))
    for template in ("dashboard/_verdict.html", "sealing/_hosts.html", "sealing/_gantt.html",
                     "sealing/_stages.html", "sealing/_sectors.html"):  # fmt: skip
        yield fragment(template, **shown)


NAV: Final = NavItem("sealing", _("Sealing"), "pipeline", place=(3, 2), jump="e")
urlpatterns: Final = [
    path("sealing/", sealing, name="sealing"),
]
LIVE: Final = {"sealing": LivePage({"head": (fragments,)})}
"""Its figures are those of hours; every heartbeat of a host would render all of it anew."""
