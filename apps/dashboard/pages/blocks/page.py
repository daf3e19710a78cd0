"""Blocks: each miner's rounds as a strip, luck and rewards over time, the wins with what became of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.blocks.selectors.mining_course import mining_course
from apps.blocks.selectors.rewards import rewards_by_day, rewards_since
from apps.blocks.selectors.rounds import wins_count
from apps.blocks.services.mining import mining_set
from apps.checks.findings.results import Topic
from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.dashboard.cards import Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.blocks.charts import luck_course, reward_columns, vesting_area
from apps.dashboard.pages.blocks.finality import finality_facts
from apps.dashboard.pages.blocks.miner_rows import miners_blocks, powerless_text
from apps.dashboard.pages.blocks.wins import win_rows
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.miners.selectors.miners import miner_get
from poolsite.filecoin.pledge import VESTING_DAYS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpRequest, HttpResponse

    from apps.users.rules.principals import Principal


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
        title=gettext("Blocks"),
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
    "blocks": LivePage(
        {"rounds": (miners_fragment, wins_fragment, verdict), "f3": (finality_fragment,)}, findings=verdict
    )
}
