"""Miners: the list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Count
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.findings.results import Topic
from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import list_text, sentence_text
from apps.dashboard.cards import Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.deadlines import NextDeadline, deadline_next, deadline_strip
from apps.dashboard.pagination import page_counted
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.miners.selectors.miners import miners_visible
from apps.miners.states import MinerState
from apps.proving.selectors.deadlines import miners_of_deadlines
from apps.proving.states import Forecast
from apps.sectors.selectors.sectors import sectors_visible
from poolsite.wire.pipeline import FINAL_STATES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.http import HttpRequest, HttpResponse

    from apps.dashboard.charts import Strip
    from apps.miners.models import Miner
    from apps.proving.models import Deadline
    from apps.users.rules.principals import Principal


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
            count=network.proving.deadlines,
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


def list_verdict_of(data: PageData) -> Verdict:
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


def list_verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=list_verdict_of(context.data))


def rows(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the changed miners by their pk or ID number."""
    data = context.data
    wanted = [
        miner
        for miner in data.miners
        if {str(miner.pk), str(miner.actor_id), miner.address, str(miner.uuid)} & set(keys)
    ]
    for row in miner_rows(wanted, data.of_miners(wanted)):
        yield fragment("miners/_row.html", miner=row)


def rows_of_deadlines(context: FragmentContext, keys: list[str]) -> Iterable[str]:
    """Render the miners whose deadlines changed."""
    numbers_only = [key for key in keys if key.isdigit()]
    miners = miners_of_deadlines(numbers_only)
    return rows(
        context,
        [str(pk) for pk in miners_visible(context.viewer).filter(pk__in=miners).values_list("pk", flat=True)],
    )


@require_safe
@sign_in_required
def miners(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the list, most power first."""
    data = PageData(viewer)
    shown, pager = page_counted(data.miners, request.GET.get("after", ""))
    return page_render(
        request,
        "miners/list.html",
        title=_("Miners"),
        section="miners",
        page_key="miners",
        data=data,
        miners=miner_rows(shown, data.of_miners(shown)),
        pager=pager,
        verdict=list_verdict_of(data),
        may_create=viewer.may("sign"),
    )


NAV: Final = NavItem("miners", _("Miners"), "miners", place=(1, 2), is_tab=True)
urlpatterns: Final = [
    path("miners/", miners, name="miners"),
]
LIVE: Final = {
    "miners": LivePage(
        dict.fromkeys(("head", "miner", "deadline"), (list_verdict,)),
        rows={"miner": rows, "deadline": rows_of_deadlines},
        findings=list_verdict,
    )
}
