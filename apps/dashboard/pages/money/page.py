"""Money: what each miner earned and what it cost, over some days; and one miner's days, with CSV of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.blocks.selectors.money import MoneyLine, lines_sum, lines_total, money_by_miner
from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.dashboard.cards import Stat
from apps.dashboard.csv_export import Download, csv_answer
from apps.dashboard.day_spans import day_facets, day_read, days_read
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.money.course import money_charts
from apps.dashboard.pagination import Facet
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.messages.selectors.spend import today_of
from apps.miners.selectors.miners import miner_get
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.miners.models import Miner

DAYS: Final = (1, 7, 30, 90, 365)
DAYS_USUAL: Final = 30


@dataclass(frozen=True, slots=True)
class MoneySpan:
    """The days that are asked for."""

    days: int
    """How many the page looks back if no period is asked for, today included."""
    since: date | None
    """First day of a period; None: the first that is recorded."""
    until: date | None
    """Last one; None: today."""

    @classmethod
    def of(cls, request: HttpRequest) -> MoneySpan:
        """Read them from an address."""
        return cls(
            days_read(request, choices=DAYS, usual=DAYS_USUAL),
            day_read(request.GET.get("since", "")),
            day_read(request.GET.get("until", "")),
        )

    @property
    def is_period(self) -> bool:
        """Whether they are those of a period."""
        return self.since is not None or self.until is not None

    @property
    def query(self) -> dict[str, str]:
        """Return what an address says of them."""
        if not self.is_period:
            return {"days": str(self.days)}
        return {
            name: day.isoformat() for name in ("since", "until") if (day := getattr(self, name)) is not None
        }

    def reaches(self, now: datetime) -> bool:
        """Return whether the newest day is among them."""
        return self.until is None or self.until >= today_of(now)

    def facets(self, here: str) -> list[Facet]:
        """Return the choice of last days; none is chosen where it is a period."""
        return day_facets(here, choices=DAYS, days=0 if self.is_period else self.days)

    def lines(self, miners: Sequence[Miner], *, now: datetime) -> dict[int, list[MoneyLine]]:
        """Return the lines of miners that have some, by their pk, the newest first."""
        first, days = self.since or date.min, self.days
        if self.is_period:
            days = (today_of(now) - first).days + 1
        found = money_by_miner(miners, days=days, now=now)
        if self.until is None:
            return found
        shown = {pk: [line for line in lines if line.day <= self.until] for pk, lines in found.items()}
        return {pk: lines for pk, lines in shown.items() if lines}


AMOUNTS: Final = ("opening", "closing", "reward", "penalty", "received", "withdrawn", "other", "gas", "net")
COLUMNS: Final = (
    "miner",
    "day",
    "begin",
    "end",
    "blocks",
    "unknown_rewards",
    *(f"{name}_atto" for name in AMOUNTS),
)
"""Of the days as CSV."""


def money_stats(line: MoneyLine, *, url: str) -> Iterable[Stat]:
    """Yield what came in and what it cost as tiles."""
    blocks = plural(line.blocks, "block")
    if line.unknown_rewards:
        unknown = gettext("{blocks} not known yet").format(blocks=plural(line.unknown_rewards, "block"))
        blocks = list_text((blocks, unknown))
    cells = (
        ("reward", gettext("Rewards"), line.reward - line.penalty, blocks, reverse("blocks")),
        ("gas", gettext("Gas"), -line.gas, gettext("only of messages to miners"), reverse("gas")),
        ("other", gettext("Fees and others"), line.other, gettext("burnt, or moved by other programs"), url),
        ("net", gettext("Net"), line.net, gettext("rewards less costs"), url),
    )
    for key, label, atto, foot, href in cells:
        value, unit = formatting.amount_short(atto)
        yield Stat(f"money-{key}", label, value, foot, href, unit=unit)


def row_of(line: MoneyLine, *, key: str, name: str, sub: str = "", href: str = "") -> dict[str, Any]:
    """Return a row of the table."""
    return {"line": line, "key": key, "name": name, "sub": sub, "href": href}


def span_text(line: MoneyLine) -> str:
    """Return from when to when a day's line counts."""
    begin = f"{line.begin:%H:%M}"
    if line.end is None:
        return gettext("{begin} UTC to now").format(begin=begin)
    is_next = line.end.date() == line.day + timedelta(days=1)
    end = f"{line.end:%H:%M}" if is_next else f"{line.end:%Y-%m-%d %H:%M}"
    return gettext("{begin} to {end} UTC").format(begin=begin, end=end)


@require_safe
@sign_in_required
def money(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return what each miner earned and cost, those with the largest net first."""
    data, span, url = PageData(viewer), MoneySpan.of(request), reverse("money")
    found = span.lines(data.miners, now=data.at)
    sums = [(miner, lines_sum(found[miner.pk])) for miner in data.miners if miner.pk in found]
    sums.sort(key=lambda row: -row[1].net)

    def href(miner: Miner) -> str:
        return f"{reverse('miner-money', args=[miner.address])}?{urlencode(span.query)}"

    return page_render(
        request,
        "money/page.html",
        title=_("Money"),
        section="money",
        page_key="money",
        data=data,
        heading=gettext("By miner"),
        first=gettext("Miner"),
        until=read_until([miner for miner, _line in sums], span, data),
        rows=[
            row_of(line, key=miner.address, name=miner.name or miner.address, href=href(miner))
            for miner, line in sums
        ],
        **totals([line for _miner, line in sums], lines_total, url=url),
        charts=money_charts(found),
        span=span,
        spans=span.facets(url),
        csv=f"{reverse('money-csv')}?{urlencode(span.query)}",
    )


@require_safe
@sign_in_required
def miner_money(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Return one miner's days."""
    try:
        miner = miner_get(viewer, address)
    except DomainError:
        raise Http404 from None
    data, span = PageData(viewer), MoneySpan.of(request)
    url = reverse("miner-money", args=[miner.address or miner.uuid])
    lines = span.lines([miner], now=data.at).get(miner.pk, [])
    return page_render(
        request,
        "money/page.html",
        title=gettext("Money of {miner}").format(miner=miner.name or miner.address),
        section="money",
        page_key="money",
        data=data,
        miner=miner,
        heading=gettext("By day"),
        first=gettext("Day (UTC)"),
        until=read_until([miner] if lines else [], span, data),
        rows=[
            row_of(line, key=(day := line.day.isoformat()), name=day, sub=span_text(line)) for line in lines
        ],
        **totals(lines, lines_sum, url=url),
        charts=money_charts({miner.pk: lines}),
        span=span,
        spans=span.facets(url),
        csv=f"{reverse('money-csv')}?{urlencode(span.query | {'miner': miner.address})}",
    )


def read_until(miners: Sequence[Miner], span: MoneySpan, data: PageData) -> int | None:
    """Return up to which epoch the lines of miners are read; None for days that are over."""
    heights = (miner.refreshed_height for miner in miners)
    return min(heights, default=None) if span.reaches(data.at) else None


def totals(
    lines: Sequence[MoneyLine], add: Callable[[Sequence[MoneyLine]], MoneyLine], *, url: str
) -> dict[str, Any]:
    """Return the tiles, and the table's last row where it has several."""
    if not lines:
        return {"stats": [], "total": None}
    line = add(lines)
    total = row_of(line, key="all", name=gettext("All")) if len(lines) > 1 else None
    return {"stats": list(money_stats(line, url=url)), "total": total}


@require_safe
@sign_in_required
def money_csv(request: HttpRequest, viewer: Principal) -> Download:
    """Return the days as CSV, of one miner or of all."""
    data = PageData(viewer)
    miners: Sequence[Miner] = data.miners
    if address := request.GET.get("miner", ""):
        try:
            miners = [miner_get(viewer, address)]
        except DomainError:
            raise Http404 from None
    found = MoneySpan.of(request).lines(miners, now=data.at)
    cells = (cells_of(miner, line) for miner in miners for line in found.get(miner.pk, ()))
    return csv_answer("money.csv", COLUMNS, cells)


def cells_of(miner: Miner, line: MoneyLine) -> Sequence[Any]:
    """Return one line's cells."""
    return (
        miner.address,
        line.day.isoformat(),
        line.begin.isoformat(),
        "" if line.end is None else line.end.isoformat(),
        line.blocks,
        line.unknown_rewards,
        *(getattr(line, name) for name in AMOUNTS),
    )


NAV: Final = NavItem("money", _("Money"), "money", place=(1, 12))
urlpatterns: Final = [
    path("money/", money, name="money"),
    path("money.csv", money_csv, name="money-csv"),
    path("miners/<str:address>/money/", miner_money, name="miner-money"),
]
