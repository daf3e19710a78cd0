"""Reading the rewards of blocks on the chain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDay

from apps.blocks.models import Block
from apps.blocks.states import RoundState
from apps.chain.selectors.network import genesis_current
from apps.miners.models import Miner
from apps.miners.selectors.days import DaySpan

VESTING_PERCENT: Final = 75
"""Of a reward: it vests over 180 days, a 180th each day.  Source: FIP-0004."""


def rewards_by_day(miners: Sequence[Miner], *, since: datetime) -> list[tuple[datetime, int]]:
    """Return the rewards of blocks on the chain by the UTC day that they were won on."""
    rows = Block.objects.filter(
        round__miner__in=miners, round__state=RoundState.INCLUDED, round__at__gte=since, reward__isnull=False
    )
    by_day = rows.order_by().values_list(TruncDay("round__at", tzinfo=UTC)).annotate(sum=Sum("reward"))
    return sorted((day, int(reward)) for day, reward in by_day)


@dataclass(frozen=True, slots=True)
class Rewards:
    """What blocks on the chain brought."""

    brought: int
    """attoFIL, less penalties, of the blocks whose reward is known."""
    vesting: int
    """Of that, attoFIL."""
    known: int
    """Blocks whose reward is known."""
    unknown: int
    """Blocks whose reward was not read yet, or that no node can compute."""


def rewards_since(miners: Sequence[Miner], *, since: datetime) -> Rewards:
    """Return what blocks on the chain brought since a moment."""
    sums = Block.objects.filter(
        round__miner__in=miners, round__state=RoundState.INCLUDED, round__at__gte=since
    ).aggregate(earned=Sum("reward"), lost=Sum("penalty"), known=Count("reward"), blocks=Count("pk"))
    brought = (sums["earned"] or 0) - (sums["lost"] or 0)
    known = sums["known"]
    return Rewards(brought, brought * VESTING_PERCENT // 100, known, sums["blocks"] - known)


@dataclass(slots=True)
class SpanRewards:
    """What the blocks of a miner's span brought."""

    paid: int = 0
    """attoFIL, less penalties, of the blocks whose reward is known."""
    unknown: int = 0
    """Blocks that are on the chain, or may be, whose reward was not read yet."""


def rewards_by_span(spans: Sequence[DaySpan]) -> dict[int, SpanRewards]:
    """Return what blocks brought by the pk of the span's day; the spans may be of several miners."""
    found = {span.pk: SpanRewards() for span in spans}
    of_actor: defaultdict[int, list[DaySpan]] = defaultdict(list)
    for span in spans:
        of_actor[span.actor_id].append(span)
    rows = Block.objects.filter(
        Q(round__state__in=[RoundState.INCLUDED, RoundState.SUBMITTED, RoundState.WON])
        | Q(round=None, reward__isnull=False),
        genesis=genesis_current(),
        actor_id__in=of_actor.keys(),
        height__gte=min((span.begin for span in spans), default=0),
        height__lt=max((span.end for span in spans), default=0),
    )
    for actor_id, height, reward, penalty in rows.values_list("actor_id", "height", "reward", "penalty"):
        for span in of_actor[actor_id]:
            if span.begin <= height < span.end:
                if reward is None:
                    found[span.pk].unknown += 1
                else:
                    found[span.pk].paid += int(reward) - int(penalty or 0)
    return found
