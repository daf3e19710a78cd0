"""Blocks: each miner's rounds as a strip, luck and rewards over time, the wins with what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.timezone import localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.blocks.selectors.finality import F3Participation, f3_read
from apps.blocks.selectors.luck import quantile
from apps.blocks.selectors.mining_course import MiningSpan, mining_course
from apps.blocks.selectors.rewards import rewards_by_day, rewards_since
from apps.blocks.selectors.rounds import rounds_won, wins_count
from apps.blocks.services.mining import mining_set
from apps.checks.findings.results import Topic
from apps.checks.findings.text import miner_name
from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import DAY_S, plural
from apps.core.languages import list_text
from apps.core.local_time import day_text, moment_text
from apps.core.reasons import shown_text
from apps.dashboard.area_charts import AREA_HEIGHT_PX, AREA_TOP_PX, Area, Tick, area
from apps.dashboard.cards import Fact, Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.html_time import time_html
from apps.dashboard.layout import page_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.blocks.miner_rows import STRIPS_MAX, miners_of_rounds
from apps.dashboard.pages.blocks.states import STATES
from apps.dashboard.refusals import refusal_text
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.miners.selectors.miners import miner_get
from apps.users.rules.principals import Principal
from poolsite.filecoin.pledge import VESTING_DAYS, locked_reward
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.blocks.models import F3Lease, Round

X_TICKS: Final = 4
YOUNG_S: Final = 2 * DAY_S
"""Of a shorter course the ticks need the time of day."""
VESTING_POINTS: Final = 60


@dataclass(frozen=True, slots=True)
class Column:
    """One column, x and w in percent of the width, y and h in px."""

    x: float
    w: float
    y: float
    h: float
    text: str


@dataclass(frozen=True, slots=True)
class LuckCourse:
    """Wins so far against those expected so far; path data in a 100 by 100 box."""

    wins: str
    expected: str
    half: str
    most: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    label: str


@dataclass(frozen=True, slots=True)
class RewardColumns:
    """Rewards side by side on one time axis."""

    columns: tuple[Column, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    label: str


def time_ticks(first_s: float, last_s: float) -> tuple[Tick, ...]:
    """Return marks on a time axis, by day or by minute."""
    anchors = {0: "start", X_TICKS - 1: "end"}
    shares = [index / (X_TICKS - 1) for index in range(X_TICKS)]
    return tuple(
        Tick(
            round(100 * share, 2),
            tick_text(first_s + share * (last_s - first_s), is_young=last_s - first_s <= YOUNG_S),
            anchors.get(index, "middle"),
        )
        for index, share in enumerate(shares)
    )


def tick_text(at_s: float, *, is_young: bool) -> str:
    """Return a day, or on a young chain a time of day."""
    here = localtime(datetime.fromtimestamp(at_s, tz=UTC))
    return f"{here:%H:%M}" if is_young else day_text(here)


def height_ticks(top: float, texts: Sequence[str]) -> tuple[Tick, ...]:
    """Return marks from 0 up to the chart's top, one for each text."""
    last = max(len(texts) - 1, 1)
    places = [AREA_TOP_PX + AREA_HEIGHT_PX * (100 - 92 * index / last) / 100 for index in range(len(texts))]
    return tuple(Tick(round(at, 1), text) for at, text in zip(places, texts, strict=True)) if top else ()


def luck_course(spans: Sequence[MiningSpan], *, now_s: float) -> LuckCourse | None:
    """Draw wins and expected wins, summed up; None where nothing was to be expected."""
    if not spans or not any(span.expected for span in spans):
        return None
    first = spans[0].start_s
    ends = [span.start_s for span in spans[1:]] + [now_s]
    places = [0.0, *(100 * (end - first) / max(now_s - first, 1) for end in ends)]
    wins = [0, *accumulate(span.wins for span in spans)]
    expected = [0.0, *accumulate(span.expected for span in spans)]
    bands = [[quantile(one, share) for one in expected] for share in (0.05, 0.25, 0.75, 0.95)]
    top = max(wins[-1], bands[3][-1], 1)

    def line(values: Sequence[float]) -> str:
        return "L".join(f"{x:.2f} {100 - 92 * y / top:.2f}" for x, y in zip(places, values, strict=True))

    def band_path(low: Sequence[float], high: Sequence[float]) -> str:
        back = [f"{x:.2f} {100 - 92 * y / top:.2f}" for x, y in zip(places, low, strict=True)][::-1]
        return f"M{line(high)}L{'L'.join(back)}Z"

    return LuckCourse(
        wins=f"M{line(wins)}",
        expected=f"M{line(expected)}",
        half=band_path(bands[1], bands[2]),
        most=band_path(bands[0], bands[3]),
        x_ticks=time_ticks(first, now_s),
        y_ticks=height_ticks(top, ["0", f"{top / 2:.0f}", f"{top:.0f}"] if top > 1 else ["0", "1"]),
        label=(
            gettext(
                "{wins}, {expected:.1f} expected; 50 % of pools with this power have {half_low} "
                "to {half_high}, 90 % {most_low} to {most_high}"
            ).format(
                wins=formatting.plural(wins[-1], "win"),
                expected=expected[-1],
                half_low=bands[1][-1],
                half_high=bands[2][-1],
                most_low=bands[0][-1],
                most_high=bands[3][-1],
            )
        ),
    )


def reward_columns(spans: Sequence[MiningSpan], *, now_s: float) -> RewardColumns | None:
    """Draw what each part of the course brought; None before the first reward."""
    top = max((span.reward for span in spans), default=0)
    if top <= 0:
        return None
    width = 100 / len(spans)
    columns = []
    for index, span in enumerate(spans):
        height = round(AREA_HEIGHT_PX * 0.92 * max(span.reward, 0) / top, 2)
        at = datetime.fromtimestamp(span.start_s, tz=UTC)
        columns.append(
            Column(
                x=round(width * (index + 0.1), 3),
                w=round(width * 0.8, 3),
                y=round(AREA_TOP_PX + AREA_HEIGHT_PX - height, 2),
                h=height,
                text=gettext("from {at}: {reward}").format(
                    at=moment_text(at), reward=formatting.amount_text(span.reward)
                ),
            )
        )
    total = formatting.amount_text(sum(span.reward for span in spans))
    first = datetime.fromtimestamp(spans[0].start_s, tz=UTC)
    return RewardColumns(
        columns=tuple(columns),
        x_ticks=time_ticks(spans[0].start_s, now_s),
        y_ticks=height_ticks(top, ["0", formatting.amount_text(top)]),
        label=gettext("{total} since {first}").format(total=total, first=moment_text(first)),
    )


def vesting_area(rewards: Sequence[tuple[datetime, int]], *, now_s: float, epoch_s: float) -> Area | None:
    """Draw how what is locked now becomes free; None where nothing is locked.

    By the day on which each block was won; the chain's own steps are in `Block.vesting`.
    """
    period_s = VESTING_DAYS * EPOCHS_PER_DAY_MAINNET * epoch_s
    locked = [(day.timestamp(), int(locked_reward(reward))) for day, reward in rewards]

    def left(at_s: float) -> float:
        return sum(amount * max(0.0, 1 - max(at_s - day, 0.0) / period_s) for day, amount in locked)

    if left(now_s) <= 0:
        return None
    points = [
        (index / VESTING_POINTS, left(now_s + period_s * index / VESTING_POINTS))
        for index in range(VESTING_POINTS + 1)
    ]
    ticks = list(time_ticks(now_s, now_s + period_s))
    return area(
        points,
        label=gettext("{points} vesting until {label}").format(
            points=formatting.amount_text(round(points[0][1])), label=ticks[-1].label
        ),
        x_ticks=ticks,
        y_text=lambda value: formatting.amount_text(round(value)),
    )


def finality_facts(data: PageData) -> list[Fact]:
    """List who votes for each miner in F3; for the operator, who knows the nodes, also what each says."""
    shown, participations = data.f3_leases[:STRIPS_MAX], f3_read()
    runs = not participations or any(participation.is_running for participation in participations.values())
    leases = [Fact(miner_name(lease.miner), lease_text(lease, data.at, runs=runs)) for lease in shown]
    if not data.viewer.is_operator:
        return leases
    names = {str(miner.actor_id): miner.name or miner.address for miner in data.miners}
    return [
        *leases,
        *(Fact(node, finality_text(participation, names)) for node, participation in participations.items()),
    ]


def lease_text(lease: F3Lease, now: datetime, *, runs: bool = True) -> str:
    """Return one miner's lease in F3 in words; `runs`: some node is in F3 already."""
    until, instance = formatting.whole(lease.ends), formatting.whole(lease.instance)
    why = shown_text(lease.reason)
    if lease.runs_at(now):
        later = gettext("; renewal failed: {reason}").format(reason=why) if why else ""
        if why and lease.failing_since is None:
            later = gettext("; it will not be renewed: {reason}").format(reason=why)
        if not runs:
            return gettext("a node will vote for it until instance {until}, once it runs F3{later}").format(
                until=until, later=later
            )
        return gettext("a node votes for it until instance {until}, currently {instance}{later}").format(
            until=until, instance=instance, later=later
        )
    if why and lease.failing_since is None:
        return gettext("no lease is requested: {reason}").format(reason=why)
    if lease.is_in_doubt and lease.restored_until is not None:
        return gettext("waiting for instance {until} to end, currently {instance}: {reason}").format(
            until=formatting.whole(lease.restored_until), instance=instance, reason=why
        )
    if not lease.is_known_at(now):
        return gettext("unknown whether a node votes for it: {reason}").format(
            reason=why or gettext("no node was queried recently")
        )
    return gettext("no node votes for it: {reason}").format(reason=why or gettext("its lease has expired"))


def finality_text(participation: F3Participation, names: dict[str, str]) -> str:
    """Put one node's part in F3 into words."""
    if not participation.is_running:
        return shown_text(participation.reason) or gettext("this node does not run F3")
    own = [names[str(actor_id)] for actor_id in participation.miners if str(actor_id) in names]
    part = (
        gettext("participates for {own}").format(own=list_text(own))
        if own
        else gettext("participates for none of these miners")
    )
    final = (
        ""
        if participation.finalized is None
        else gettext("finalized through epoch {finalized}; ").format(
            finalized=formatting.whole(participation.finalized)
        )
    )
    return gettext("running, instance {instance}; {final}{part}").format(
        instance=participation.instance, final=final, part=part
    )


WINS_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class WinRow:
    """One round that was won."""

    href: str
    epoch: str
    miner: str
    tone: str
    word: StrOrPromise
    reason: str
    reward: str
    took: str
    at: str


def win_row(row: Round) -> WinRow:
    """Lay out one win; its row comes with block and miner."""
    label = STATES[row.state]
    block = getattr(row, "block", None)
    return WinRow(
        href=reverse("block-round", args=[row.uuid]),
        epoch=formatting.whole(row.epoch),
        miner=row.miner.name or row.miner.address,
        tone=label.tone,
        word=label.word,
        reason=shown_text(row.reason),
        reward=formatting.amount_text(None if block is None else block.reward),
        took=f"{made_ms(row):,} ms",
        at=str(time_html(row.at)),
    )


def made_ms(row: Round) -> int:
    """Return how long a block was in the making, without the wait for its time."""
    busy = [(start, start + length) for name, start, length in row.steps if name not in ("wait", "submit")]
    return max(end for _, end in busy) - min(start for start, _ in busy) if busy else 0


def win_rows(data: PageData) -> list[WinRow]:
    """Return the latest wins of the viewer's miners."""
    return [win_row(row) for row in rounds_won(data.miners)[:WINS_MAX]]


def verdict_of(data: PageData) -> Verdict:
    """Return what the checks found, and what the last day brought."""
    return verdict_by(data.report_of(Topic.BLOCKS), day_verdict(data))


def day_verdict(data: PageData) -> Verdict:
    """Return in one sentence what the last day brought."""
    since = data.at - timedelta(days=1)
    counts = wins_count(data.miners, since=since)
    if not counts.all:
        mining = any(miner.qa_power for miner in data.miners)
        rest = gettext("No win in the last 24 hours.") if mining else gettext("No miner has power yet.")
        return Verdict("", rest)
    rewards = rewards_since(data.miners, since=since)
    lost = (
        gettext("{wins} lost").format(wins=plural(counts.lost, "win"))
        if counts.lost
        else gettext("none lost")
    )
    parts = []
    if rewards.known or not rewards.unknown:
        text = gettext("{brought} earned in 24 hours; {vests} of it vests over {span}.").format(
            brought=formatting.amount_text(rewards.brought),
            vests=formatting.amount_text(rewards.vesting),
            span=data.vesting_text,
        )
        parts.append(text)
    if rewards.unknown:
        blocks = plural(rewards.unknown, "block")
        parts.append(gettext("The reward of {blocks} is not known yet.").format(blocks=blocks))
    rest = " ".join(parts)
    return Verdict(
        gettext("{blocks} included, {lost}.").format(blocks=plural(counts.included, "block"), lost=lost), rest
    )


def course_of(data: PageData) -> dict[str, Any]:
    """Return the charts of luck, rewards and vesting."""
    miners = [miner for miner in data.miners if miner.actor_id is not None]
    spans, now_s = mining_course(miners, now=data.at), data.at.timestamp()
    rewards = rewards_by_day(miners, since=data.at - timedelta(days=VESTING_DAYS))
    epoch_s = 30.0 if data.network is None else data.network.epoch_s
    return {
        "vesting_span": data.vesting_text,
        "luck": luck_course(spans, now_s=now_s),
        "rewards": reward_columns(spans, now_s=now_s),
        "vesting": vesting_area(rewards, now_s=now_s, epoch_s=epoch_s),
    }


def verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=verdict_of(context.data))


def miners_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("blocks/_miners.html", **miners_of_rounds(context.data))


def finality_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("blocks/_finality.html", finality=finality_facts(context.data))


def wins_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("blocks/_wins.html", wins=win_rows(context.data))


@require_safe
@sign_in_required
def blocks(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show miners with their rounds and luck, and the latest wins."""
    data = PageData(viewer)
    return page_render(
        request,
        "blocks/list.html",
        title=gettext("Blocks"),
        section="blocks",
        page_key="blocks",
        data=data,
        verdict=verdict_of(data),
        **miners_of_rounds(data),
        wins=win_rows(data),
        finality=finality_facts(data),
        **course_of(data),
    )


@require_POST
@sign_in_required
def mining(request: HttpRequest, viewer: Principal, uuid: str) -> HttpResponse:
    """Start or stop making blocks for a miner."""
    if not viewer.may("write"):
        raise Http404
    try:
        miner = miner_get(viewer, str(uuid))
    except DomainError:
        raise Http404 from None
    try:
        mining_set(miner, is_on=request.POST.get("on") == "1", principal=viewer)
    except DomainError as error:
        notice_leave(request, refusal_text(error), tone="bad")
    return redirect("blocks")


NAV: Final = NavItem("blocks", _("Blocks"), "blocks", place=(2, 4), jump="b")
urlpatterns: Final = [
    path("blocks/", blocks, name="blocks"),
    path("blocks/<uuid:uuid>/mining/", mining, name="blocks-mining"),
]
LIVE: Final = {
    "blocks": LivePage(
        {"rounds": (miners_fragment, wins_fragment, verdict), "f3": (finality_fragment,)}, findings=verdict
    )
}
