"""Blocks: each miner's rounds as a strip, luck and rewards over time, the wins with what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.blocks.selectors.luck import lucks_shared
from apps.blocks.selectors.mining_course import mining_course
from apps.blocks.selectors.mining_miners import miners_on
from apps.blocks.selectors.mining_status import MiningStatus, mining_status_of
from apps.blocks.selectors.rewards import rewards_by_day, rewards_since
from apps.blocks.selectors.rounds import rounds_latest, rounds_won, wins_count
from apps.blocks.services.mining import mining_set
from apps.blocks.states import NotDrawn, RoundState
from apps.checks.results import Topic
from apps.checks.text import miner_name, named
from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.dashboard.charts import Strip, StripEntry, strip
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.html_time import time_html
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.miners.selectors import miner_get

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse
    from django_stubs_ext import StrOrPromise

    from apps.blocks.f3 import F3Participation
    from apps.blocks.luck import Luck
    from apps.blocks.models import F3Lease, Round
    from apps.miners.models import Miner
    from apps.users.principals import Principal

from apps.blocks.f3 import f3_read
from apps.dashboard.cards import Fact
from apps.dashboard.pages.blocks.charts import luck_course, reward_columns, vesting_area
from apps.dashboard.pages.blocks.states import STATES
from poolsite.filecoin.pledge import VESTING_DAYS

STRIP_EPOCHS: Final = 120
STRIPS_MAX: Final = 12
"""Miners with a strip on the page, those with most power."""
WINS_MAX: Final = 20
LUCK_SHOWN: Final = 30
"""Days."""


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

    label = say(
        "{wins}, {expected:.1f} expected; 50 % of such periods have {half_low} to {half_high}, 90 % "
        "{most_low} to {most_high}"
    ).format(
        wins=plural(luck.wins, "win"),
        expected=luck.expected,
        half_low=luck.half[0],
        half_high=luck.half[1],
        most_low=luck.most[0],
        most_high=luck.most[1],
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
    to_win: str
    """Mean time to the next win."""
    why_not: str
    """Why its rounds are not drawn, in words."""
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
    word: StrOrPromise
    reason: str
    reward: str
    took: str
    at: str


def round_entry(row: Round) -> StripEntry:
    """Lay out one round on the strip."""
    label = STATES[row.state]
    words = say("epoch {epoch}: {label}").format(epoch=row.epoch, label=label.word)
    if row.reason:
        words += f": {row.reason}"
    tone = "none" if row.state == RoundState.NOT_ELIGIBLE else label.tone
    return StripEntry(tone=tone, share=1.0, title=words)


def rounds_strip(rows: Sequence[Round], *, last: int) -> Strip:
    """Lay out the latest epochs of a miner; one without a row is told apart from one without a win."""
    found = {row.epoch: row for row in rows}
    epochs = range(max(last - STRIP_EPOCHS + 1, 0), last + 1)
    entries = [
        round_entry(found[epoch])
        if epoch in found
        else StripEntry("none", 0.0, say("epoch {epoch}: no record").format(epoch=epoch))
        for epoch in epochs
    ]
    won = sum(row.win_count > 0 for row in rows)
    return strip(
        entries,
        now=1.0,
        label=say("the last {entries} epochs: {wins}").format(entries=len(entries), wins=plural(won, "win")),
    )


def miner_blocks(
    miner: Miner, *, strip: Strip, luck: Luck, status: MiningStatus, data: PageData
) -> MinerBlocks:
    """Lay out one miner."""
    return MinerBlocks(
        key=str(miner.uuid),
        name=miner.name or miner.address,
        href=reverse("miner", args=[miner.address]),
        strip=strip,
        luck=luck_band(luck),
        to_win=formatting.time_left(status.to_win_s),
        why_not=status.reason,
        is_on=status.is_on,
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
            status=mining_status_of(
                miner,
                is_on=miner.pk in is_on,
                latest=next(iter(reversed(rows.get(miner.pk, ()))), None),
                is_unbegun=miner in data.unbegun,
                reward=data.reward,
                epoch_s=30.0 if data.network is None else data.network.epoch_s,
                height=data.head.height if data.head else None,
            ),
            data=data,
        )
        for miner in miners
    ]


def powerless_text(data: PageData) -> str:
    """Name the miners without power, of whose rounds there is no row."""
    names = [miner.name or str(miner) for miner in data.miners if not miner.qa_power]
    why = NotDrawn.NO_POWER.label
    return f"{named(names)}: {why}" if names else ""


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
        rest = say("No win in the last 24 hours.") if mining else say("No miner has power yet.")
        return Verdict("", rest)
    reward, locked = rewards_since(data.miners, since=since)
    brought, vests = map(formatting.amount_text, (reward, locked))
    lost = say("{wins} lost").format(wins=plural(counts.lost, "win")) if counts.lost else "none lost"
    rest = say("{brought} earned in 24 hours; {vests} of it vests over {span}.").format(
        brought=brought, vests=vests, span=data.vesting_text
    )
    return Verdict(
        say("{blocks} included, {lost}.").format(blocks=plural(counts.included, "block"), lost=lost), rest
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


def finality_facts(data: PageData) -> list[Fact]:
    """List who votes for each miner in F3; for the operator, who knows the nodes, also what each says."""
    shown, said = data.f3_leases[:STRIPS_MAX], f3_read()
    runs = not said or any(one.is_running for one in said.values())
    leases = [Fact(miner_name(lease.miner), lease_text(lease, data.at, runs=runs)) for lease in shown]
    if not data.viewer.is_operator:
        return leases
    names = {str(miner.actor_id): miner.name or miner.address for miner in data.miners}
    return [*leases, *(Fact(node, finality_text(one, names)) for node, one in said.items())]


def lease_text(lease: F3Lease, now: datetime, *, runs: bool = True) -> str:
    """Return one miner's lease in F3 in words; `runs`: some node is in F3 already."""
    until, instance = formatting.whole(lease.ends), formatting.whole(lease.instance)
    why = lease.reason
    if lease.runs_at(now):
        later = say("; renewal failed: {reason}").format(reason=why) if why else ""
        if why and lease.failing_since is None:
            later = say("; it will not be renewed: {reason}").format(reason=why)
        if not runs:
            return say("a node will vote for it until instance {until}, once it runs F3{later}").format(
                until=until, later=later
            )
        return say("a node votes for it until instance {until}, currently {instance}{later}").format(
            until=until, instance=instance, later=later
        )
    if why and lease.failing_since is None:
        return say("no lease is requested: {reason}").format(reason=why)
    if lease.is_in_doubt and lease.restored_until is not None:
        return say("waiting for instance {until} to end, currently {instance}: {reason}").format(
            until=formatting.whole(lease.restored_until), instance=instance, reason=why
        )
    if not lease.is_known_at(now):
        return say("unknown whether a node votes for it: {reason}").format(
            reason=why or say("no node was queried recently")
        )
    return say("no node votes for it: {reason}").format(reason=why or say("its lease has expired"))


def finality_text(said: F3Participation, names: dict[str, str]) -> str:
    """Put one node's part in F3 into words."""
    if not said.is_running:
        return said.reason or say("this node does not run F3")
    own = [names[str(actor_id)] for actor_id in said.miners if str(actor_id) in names]
    part = (
        say("participates for {own}").format(own=", ".join(own))
        if own
        else say("participates for none of these miners")
    )
    final = (
        ""
        if said.finalized is None
        else say("finalized through epoch {finalized}; ").format(finalized=formatting.whole(said.finalized))
    )
    return say("running, instance {instance}; {final}{part}").format(
        instance=said.instance, final=final, part=part
    )


def verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=verdict_of(context.data))


def miners_fragment(context: FragmentContext) -> Iterable[str]:
    yield fragment(
        "blocks/_miners.html", miners=miners_blocks(context.data), powerless=powerless_text(context.data)
    )


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
        title=say("Blocks"),
        section="blocks",
        page_key="blocks",
        data=data,
        verdict=verdict_of(data),
        miners=miners_blocks(data),
        powerless=powerless_text(data),
        wins=win_rows(data),
        finality=finality_facts(data),
        **course_of(data),
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


NAV: Final = NavItem("blocks", _("Blocks"), "blocks", place=(1, 4))
urlpatterns: Final = [
    path("blocks/", blocks, name="blocks"),
    path("blocks/<uuid:uuid>/mining/", mining, name="blocks-mining"),
]
LIVE: Final = {
    "blocks": LivePage({"rounds": (miners_fragment, wins_fragment, verdict), "f3": (finality_fragment,)})
}
