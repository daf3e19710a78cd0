"""Blocks: each miner's rounds as a strip, luck and rewards over time, the wins with what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.blocks.selectors.finality import F3Participation, f3_read
from apps.blocks.selectors.luck import BANDS, quantiles
from apps.blocks.selectors.mining_course import MiningSpan, mining_course
from apps.blocks.selectors.rewards import rewards_by_day, rewards_since
from apps.blocks.selectors.rounds import rounds_won, wins_count
from apps.blocks.services.mining import mining_set
from apps.checks.findings.results import Topic
from apps.checks.findings.text import miner_name
from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.core.reasons import shown_text
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
from apps.dashboard.trend_charts import DASHES, Axis, Band, Line, Number, Trend, trend
from apps.miners.selectors.miners import miner_get
from apps.users.rules.principals import Principal
from poolsite.filecoin.pledge import VESTING_DAYS, locked_reward
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.blocks.models import F3Lease, Round

VESTING_STEPS: Final = 60
NO_TIME: Final = timedelta(0)


def luck_trend(spans: Sequence[MiningSpan], *, axis: Axis) -> Trend:
    """Draw wins and expected wins, summed up; empty where nothing was to be expected."""
    is_empty = not any(span.expected for span in spans)
    wins, expected = (
        [None] * len(spans) if is_empty else list(accumulate(sums))
        for sums in ((span.wins for span in spans), (span.expected for span in spans))
    )
    note = gettext("The chart starts with the first round of a miner with power.")
    bands: list[Band] = []
    if not is_empty:
        of_steps = [quantiles(one, *BANDS) for one in expected if one is not None]
        most_low, half_low, half_high, most_high = map(list, zip(*of_steps, strict=True))
        bands = [(most_low, most_high), (half_low, half_high)]
        note = gettext(
            "50 % of pools with this power have {half_low} to {half_high} wins, "
            "90 % {most_low} to {most_high}."
        ).format(
            half_low=half_low[-1], half_high=half_high[-1], most_low=most_low[-1], most_high=most_high[-1]
        )
    return trend(
        "luck",
        gettext("Luck"),
        [
            Line(gettext("wins"), wins),
            Line(gettext("expected"), expected, tone="idle", dash=DASHES[1], bands=bands),
        ],
        axis=axis,
        text=lambda value: f"{value}" if isinstance(value, int) else f"{value:.1f}",
        low=0,
        note=note,
    )


def reward_trend(spans: Sequence[MiningSpan], *, axis: Axis) -> Trend:
    """Draw what each part of the course brought; empty before the first reward."""
    rewards: list[Number | None] = [span.reward for span in spans]
    is_empty = not any(rewards)
    total = formatting.amount_text(sum(span.reward for span in spans))
    return trend(
        "rewards",
        gettext("Rewards"),
        [Line(gettext("Reward"), [None] * len(rewards) if is_empty else rewards, is_bars=True)],
        axis=axis,
        text=lambda value: formatting.amount_text(round(value)),
        note=gettext("A block's reward is recorded once the chain has executed the block.")
        if is_empty
        else gettext("{total} in 30 days, including tips, minus penalties.").format(total=total),
    )


def vesting_trend(rewards: Sequence[tuple[datetime, int]], *, data: PageData) -> Trend:
    """Draw how what is locked now becomes free; empty where nothing is locked.

    By the day on which each block was won; the chain's own steps are in `Block.vesting`.
    """
    epoch_s = 30.0 if data.network is None else data.network.epoch_s
    period = timedelta(seconds=VESTING_DAYS * EPOCHS_PER_DAY_MAINNET * epoch_s)
    step = period / VESTING_STEPS
    # The part of its time that each reward has left at the first step, and what of it is locked at its start.
    locked = [(1 - (data.at - day) / period, int(locked_reward(reward))) for day, reward in rewards]
    steps = [data.at + step * place for place in range(VESTING_STEPS + 1)]
    left = [
        round(sum(amount * min(share, 1.0) for had, amount in locked if (share := had - over) > 0))
        for over in (place / VESTING_STEPS for place in range(VESTING_STEPS + 1))
    ]
    return trend(
        "vesting",
        gettext("Vesting"),
        [Line(gettext("locked"), left if left[0] > 0 else [])],
        axis=Axis(steps if left[0] > 0 else [], step, is_ahead=True),
        text=lambda value: formatting.amount_text(round(value)),
        low=0,
        note=gettext("Three quarters of each reward vest over {span}.").format(span=data.vesting_text),
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


def course_of(data: PageData) -> list[Trend]:
    """Return the charts of luck, rewards and vesting."""
    miners = [miner for miner in data.miners if miner.actor_id is not None]
    spans = mining_course(miners, now=data.at)
    starts = [datetime.fromtimestamp(span.start_s, tz=UTC) for span in spans]
    step = (starts[1] if len(starts) > 1 else data.at) - starts[0] if starts else NO_TIME
    axis = Axis(starts, step)
    rewards = rewards_by_day(miners, since=data.at - timedelta(days=VESTING_DAYS))
    return [
        luck_trend(spans, axis=axis),
        reward_trend(spans, axis=axis),
        vesting_trend(rewards, data=data),
    ]


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
        charts=course_of(data),
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
