"""Blocks: each miner's rounds as a strip, its luck, the wins with what became of them, a win's timeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.http import Http404
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.blocks.selectors import (
    lucks_shared,
    miners_on,
    rewards_since,
    round_get,
    rounds_latest,
    rounds_won,
    wins_count,
)
from apps.blocks.services.mining import mining_set
from apps.blocks.states import RoundState
from apps.blocks.warm_up import WarmUp, warm_up
from apps.checks.results import Topic
from apps.core import formatting
from apps.core.errors import DomainError, NotFound
from apps.core.formatting import plural
from apps.dashboard.cards import Fact, Verdict
from apps.dashboard.charts import Bar, Strip, StripEntry, gantt_bar, strip
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.html_time import time_html
from apps.dashboard.labels import StateLabel
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.miners.selectors import miner_get
from apps.proving.winning_post_test import NothingToProve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.http import HttpRequest, HttpResponse

    from apps.blocks.luck import Luck
    from apps.blocks.models import Round
    from apps.miners.models import Miner
    from apps.users.principals import Principal

STATES: Final[dict[str, StateLabel]] = {
    RoundState.NOT_ELIGIBLE: StateLabel("idle", "not eligible"),
    RoundState.NO_WIN: StateLabel("idle", "no win"),
    RoundState.WON: StateLabel("run", "won, block in progress"),
    RoundState.SUBMITTED: StateLabel("run", "submitted"),
    RoundState.INCLUDED: StateLabel("ok", "included"),
    RoundState.ORPHANED: StateLabel("warn", "orphaned"),
    RoundState.LATE: StateLabel("bad", "late"),
    RoundState.PROOF_TIMEOUT: StateLabel("bad", "proof timeout"),
    RoundState.PROOF_REFUSED: StateLabel("bad", "proof refused"),
    RoundState.SIGNER_AWAY: StateLabel("bad", "signer away"),
    RoundState.SIGNER_REFUSED: StateLabel("bad", "signer refused"),
    RoundState.BASE_CHANGED: StateLabel("bad", "base changed"),
    RoundState.NODE_AWAY: StateLabel("bad", "node away"),
    RoundState.NODE_REFUSED: StateLabel("bad", "node refused"),
    RoundState.SLASH_GUARD: StateLabel("bad", "stopped by the slash guard"),
    RoundState.INTERRUPTED: StateLabel("bad", "interrupted"),
}
STRIP_EPOCHS: Final = 120
STRIPS_MAX: Final = 12
"""Miners with a strip on the page, those with most power."""
WINS_MAX: Final = 50
LUCK_SHOWN: Final = 30
"""Days."""
STEP_WORDS: Final = {
    "base_info": "base info",
    "election": "election",
    "ticket": "ticket",
    "proof": "WinningPoSt",
    "messages": "messages",
    "base": "base read again",
    "create": "block made",
    "reserve": "height reserved",
    "sign": "signature",
    "wait": "wait for the block's time",
    "submit": "submission",
    "verify": "check of the proof",
}


@dataclass(frozen=True, slots=True)
class LuckBand:
    """Wins against expectation, in percent of the chart's width."""

    wins: float
    expected: float
    half: tuple[float, float]
    """Where the band of half of all spans begins, and its width."""
    most: tuple[float, float]
    text: str
    label: str


def luck_band(luck: Luck) -> LuckBand:
    """Lay out one miner's luck."""
    most = max(luck.wins, luck.most[1], 1) * 1.1

    def band(low: int, high: int) -> tuple[float, float]:
        return round(100 * low / most, 2), round(100 * (high - low) / most, 2)

    label = (
        f"{plural(luck.wins, 'win')}, {luck.expected:.1f} expected; half of all spans have {luck.half[0]} to"
        f" {luck.half[1]}, nine of ten {luck.most[0]} to {luck.most[1]}"
    )
    share = luck.share
    return LuckBand(
        wins=round(100 * luck.wins / most, 2),
        expected=round(100 * luck.expected / most, 2),
        half=band(*luck.half),
        most=band(*luck.most),
        text=formatting.NOTHING if share is None else f"{100 * share:.0f} %",
        label=label,
    )


@dataclass(frozen=True, slots=True)
class MinerBlocks:
    """One miner's block production."""

    key: str
    name: str
    href: str
    strip: Strip
    luck: LuckBand
    is_on: bool
    may_set: bool
    set_href: str
    warm_up_href: str


@dataclass(frozen=True, slots=True)
class WinRow:
    """One round that was won."""

    href: str
    epoch: str
    miner: str
    tone: str
    word: str
    reason: str
    reward: str
    took: str
    at: str


def round_entry(row: Round) -> StripEntry:
    """Lay out one round on the strip."""
    label = STATES[row.state]
    words = f"epoch {row.epoch}: {label.word}"
    if row.reason:
        words += f": {row.reason}"
    tone = "none" if row.state == RoundState.NOT_ELIGIBLE else label.tone
    return StripEntry(tone=tone, share=1.0, title=words)


def rounds_strip(rows: Sequence[Round], *, last: int) -> Strip:
    """Lay out the latest epochs of a miner; one without a row is told apart from one without a win."""
    found = {row.epoch: row for row in rows}
    epochs = range(max(last - STRIP_EPOCHS + 1, 0), last + 1)
    entries = [
        round_entry(found[epoch]) if epoch in found else StripEntry("none", 0.0, f"epoch {epoch}: no record")
        for epoch in epochs
    ]
    won = sum(row.win_count > 0 for row in rows)
    return strip(entries, now=1.0, label=f"the last {len(entries)} epochs: {plural(won, 'win')}")


def miner_blocks(miner: Miner, *, strip: Strip, luck: Luck, is_on: bool, data: PageData) -> MinerBlocks:
    """Lay out one miner."""
    return MinerBlocks(
        key=str(miner.uuid),
        name=miner.name or miner.address,
        href=reverse("miner", args=[miner.address]),
        strip=strip,
        luck=luck_band(luck),
        is_on=is_on,
        may_set=data.viewer.may("write"),
        set_href=reverse("blocks-mining", args=[miner.uuid]),
        warm_up_href=reverse("blocks-warm-up", args=[miner.uuid]),
    )


def miners_blocks(data: PageData) -> list[MinerBlocks]:
    """Lay out the miners with most power."""
    miners = [miner for miner in data.miners if miner.actor_id is not None and miner.qa_power][:STRIPS_MAX]
    rows = rounds_latest(miners, epochs=STRIP_EPOCHS)
    last = max((row.epoch for of_miner in rows.values() for row in of_miner), default=0)
    lucks = lucks_shared(miners, now=data.at)
    is_on = miners_on(miners)
    return [
        miner_blocks(
            miner,
            strip=rounds_strip(rows.get(miner.pk, ()), last=last),
            luck=lucks[miner.pk][LUCK_SHOWN],
            is_on=miner.pk in is_on,
            data=data,
        )
        for miner in miners
    ]


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
        reason=row.reason,
        reward=formatting.amount_text(None if block is None else block.reward),
        took=f"{made_ms(row):,} ms",
        at=str(time_html(row.at)),
    )


def made_ms(row: Round) -> int:
    """Return how long a block was in the making, without the wait for its time."""
    busy = [(start, start + length) for name, start, length in row.steps if name not in ("wait", "submit")]
    return max(end for _, end in busy) - min(start for start, _ in busy) if busy else 0


def win_rows(data: PageData) -> list[WinRow]:
    """The latest wins of the viewer's miners."""
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
        rest = say("No win in the last 24 hours.") if mining else say("No miner has power yet.")
        return Verdict("", rest)
    reward, locked = rewards_since(data.miners, since=since)
    brought, vests = map(formatting.amount_text, (reward, locked))
    lost = f"{plural(counts.lost, 'win')} lost" if counts.lost else "none lost"
    rest = f"{brought} in 24 hours, {vests} of it vests in 180 days."
    return Verdict(f"{plural(counts.included, 'block')} included, {lost}.", rest)


def verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=verdict_of(context.data))


def miners_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment("blocks/_miners.html", miners=miners_blocks(context.data))


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
        title=say("Blocks"),
        section="blocks",
        page_key="blocks",
        data=data,
        verdict=verdict_of(data),
        miners=miners_blocks(data),
        wins=win_rows(data),
    )


# One win


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of a win on its time axis."""

    stage: str
    took: str
    text: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class AxisTick:
    """A mark on the axis, in percent of the width."""

    x: float
    label: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """A win's steps in milliseconds since its epoch began."""

    rows: tuple[StepRow, ...]
    ticks: tuple[AxisTick, ...]
    now: float | None
    """Where a block had to be signed, in percent of the width."""


def timeline_of(row: Round) -> Timeline:
    """Lay out a win's steps, the first to begin on top."""
    end = max([row.budget_ms, *(start + length for _, start, length in row.steps), 1])
    rows = [
        StepRow(
            stage=STEP_WORDS.get(name, name),
            took=f"{length:,} ms",
            text=f"{STEP_WORDS.get(name, name)}: from {start} ms, {length} ms",
            bars=(gantt_bar(max(start, 0) / end, (start + length) / end, tone=_step_tone(name)),),
        )
        for name, start, length in sorted(row.steps, key=lambda step: step[1])
    ]
    marks = ((0.0, "0", "start"), (0.5, f"{end // 2:,} ms", "middle"), (1.0, f"{end:,} ms", "end"))
    ticks = tuple(AxisTick(100 * place, label, anchor) for place, label, anchor in marks)
    limit = round(100 * row.budget_ms / end, 2) if row.budget_ms else None
    return Timeline(tuple(rows), ticks, limit)


def _step_tone(name: str) -> str:
    return "idle" if name == "wait" else "run"


def facts_of(row: Round) -> list[Fact]:
    """List what is known of a round."""
    block = getattr(row, "block", None)
    facts = [
        Fact(say("Miner"), row.miner.address),
        Fact(say("Epoch"), formatting.whole(row.epoch)),
        Fact(say("Base"), f"epoch {formatting.whole(row.base_height)}"),
        Fact(say("Wins"), f"{row.win_count}, {row.expected:.4f} expected"),
        Fact(say("Sector"), formatting.whole(row.sector)),
    ]
    if row.reason:
        facts.append(Fact(say("Reason"), row.reason))
    if block is not None:
        facts += [
            Fact(say("Block"), block.cid or formatting.NOTHING),
            Fact(say("Messages"), formatting.whole(block.messages)),
            Fact(say("Reward"), formatting.amount_text(block.reward)),
            Fact(say("Penalty"), formatting.amount_text(block.penalty)),
        ]
    return facts


@require_safe
@sign_in_required
def win(request: HttpRequest, viewer: Principal, uuid: str) -> HttpResponse:
    """Show one round with its timeline."""
    try:
        row = round_get(viewer, uuid)
    except NotFound:
        raise Http404 from None
    return page_render(
        request,
        "blocks/win.html",
        title=f"Epoch {row.epoch}",
        section="blocks",
        page_key="",
        data=PageData(viewer),
        round=row,
        label=STATES[row.state],
        gantt=timeline_of(row),
        facts=facts_of(row),
    )


@require_POST
@sign_in_required
def mining(request: HttpRequest, viewer: Principal, uuid: str) -> HttpResponse:
    """Start or stop making blocks for a miner."""
    try:
        miner = miner_get(viewer, str(uuid))
        mining_set(miner, is_on=request.POST.get("on") == "1", principal=viewer)
    except DomainError:
        raise Http404 from None
    return redirect("blocks")


@require_POST
@sign_in_required
def warm_up_page(request: HttpRequest, viewer: Principal, uuid: str) -> HttpResponse:
    """Go the way of a win with a throw-away challenge, and show what each step took."""
    try:
        miner = miner_get(viewer, str(uuid))
    except NotFound:
        raise Http404 from None
    if not viewer.may("write"):
        raise Http404
    try:
        done = warm_up(miner, viewer=viewer)
    except NothingToProve as refusal:
        done = WarmUp(failed="start", reason=refusal.reason)
    facts = [Fact(STEP_WORDS.get(name, name), f"{took:,} ms") for name, took in done.steps]
    return page_render(
        request,
        "blocks/warm_up.html",
        title=say("Warm-up"),
        section="blocks",
        page_key="",
        data=PageData(viewer),
        miner=miner.name or miner.address,
        failed=STEP_WORDS.get(done.failed, done.failed),
        reason=done.reason,
        facts=facts,
    )


NAV: Final = NavItem("blocks", _("Blocks"), "blocks", place=(1, 3))
urlpatterns: Final = [
    path("blocks/", blocks, name="blocks"),
    path("blocks/<uuid:uuid>/", win, name="block-round"),
    path("blocks/<uuid:uuid>/warm-up/", warm_up_page, name="blocks-warm-up"),
    path("blocks/<uuid:uuid>/mining/", mining, name="blocks-mining"),
]
LIVE: Final = {"blocks": LivePage({"rounds": (miners_fragment, wins_fragment, verdict)})}
