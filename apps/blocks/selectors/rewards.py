"""Reading the rewards of blocks on the chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Count, Sum
from django.db.models.functions import TruncDay

from apps.blocks.models import Block
from apps.blocks.states import RoundState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from apps.miners.models import Miner

VESTING_PERCENT: Final = 75
"""Of a reward: it vests over 180 days, a 180th each day.  Source: FIP-0004."""


def rewards_by_day(miners: Sequence[Miner], *, since: datetime) -> list[tuple[datetime, int]]:
    """Return the rewards of blocks on the chain by the day that they were won on."""
    rows = Block.objects.filter(
        round__miner__in=miners, round__state=RoundState.INCLUDED, round__at__gte=since, reward__isnull=False
    )
    by_day = rows.order_by().values_list(TruncDay("round__at")).annotate(sum=Sum("reward"))
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
