"""Reading rounds and blocks: a miner's rounds, wins, lost wins, rounds that nobody drew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from django.db.models import Count, Q, QuerySet, Sum

from apps.blocks.models import Block, Round
from apps.blocks.states import LOSSES, RoundState
from apps.core.errors import NotFound
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason, coded_read
from apps.miners.models import Miner
from apps.miners.selectors.miners import miners_visible
from apps.users.rules.principals import Principal

UNDRAWN: Final = Q(win_count=0) & ~Q(state=RoundState.NO_WIN)
"""Rounds of which nobody knows whether they would have been won."""


@dataclass(frozen=True, slots=True)
class WinCounts:
    """Wins of a span by what became of them; the others are still on their way."""

    all: int
    included: int
    lost: int


def rounds_of(miner: Miner, *, first: int | None = None, last: int | None = None) -> QuerySet[Round]:
    """Return a miner's rounds, newest first, between two epochs."""
    rows = Round.objects.filter(miner=miner).order_by("-epoch")
    if first is not None:
        rows = rows.filter(epoch__gte=first)
    return rows if last is None else rows.filter(epoch__lte=last)


def blocks_of(miners: Sequence[Miner]) -> QuerySet[Block]:
    """Return the blocks that were made for these miners, newest first."""
    rows = Block.objects.select_related("round__miner__tenant").filter(round__miner__in=miners)
    return rows.order_by("-height", "-pk")


@dataclass(frozen=True, slots=True)
class Undrawn:
    """Rounds of one miner of which nobody knows whether they would have been won."""

    miner_id: int
    rounds: int
    expected: float
    last: Round


def rounds_undrawn(miners: Sequence[Miner], *, since: datetime) -> list[Undrawn]:
    """Return the miners that could not be drawn, those with most expected wins first."""
    rows = Round.objects.filter(miner__in=miners, win_count=0, at__gte=since, state__in=LOSSES)
    found: dict[int, list[Round]] = {}
    for row in rows.order_by("epoch").defer("steps"):
        found.setdefault(row.miner_id, []).append(row)
    undrawn = [Undrawn(key, len(of), sum(row.expected for row in of), of[-1]) for key, of in found.items()]
    return sorted(undrawn, key=lambda one: (-one.expected, -one.rounds))


def round_get(viewer: Principal, uuid: str) -> Round:
    """Return one round of a miner that the viewer may see.  Raises NotFound."""
    rows = Round.objects.select_related("miner", "block").filter(miner__in=miners_visible(viewer))
    row = rows.filter(uuid=uuid).first()
    if row is None:
        raise NotFound(gettext("there is no such round"))
    return row


class LatestRound(NamedTuple):
    """The part of a round that strips show, which have some hundreds."""

    epoch: int
    state: str
    win_count: int
    expected: float
    why_not: str
    reason: Reason | str


def rounds_latest(miners: Sequence[Miner], *, epochs: int) -> dict[int, list[LatestRound]]:
    """Return the rounds of the newest epochs by the miner's key, oldest first."""
    own = Round.objects.filter(miner__in=miners)
    last = own.order_by("-at").values_list("epoch", flat=True).first()
    found: dict[int, list[LatestRound]] = {}
    if last is not None:
        rows = own.filter(epoch__gt=last - epochs).order_by("epoch")
        fields = rows.values_list(
            *("miner_id", "epoch", "state", "win_count", "expected", "why_not", "reason", "reason_coded")
        )
        for miner, epoch, state, wins, expected, why_not, reason, code in fields:
            row = LatestRound(epoch, state, wins, expected, why_not, coded_read(reason, code))
            found.setdefault(miner, []).append(row)
    return found


def rounds_won(miners: Sequence[Miner]) -> QuerySet[Round]:
    """Return the wins of these miners, newest first."""
    rows = Round.objects.select_related("miner", "block").filter(miner__in=miners, win_count__gt=0)
    return rows.order_by("-epoch", "-pk")


def wins_lost(miners: Sequence[Miner], *, since: datetime) -> list[Round]:
    """Return the wins that brought no block since a moment, newest first."""
    return list(rounds_won(miners).filter(at__gte=since, state__in=[*LOSSES, RoundState.ORPHANED]))


def wins_count(miners: Sequence[Miner], *, since: datetime) -> WinCounts:
    """Count the wins since a moment by what became of them."""
    is_lost = Q(state__in=[*LOSSES, RoundState.ORPHANED])
    counts = (
        rounds_won(miners)
        .filter(at__gte=since)
        .aggregate(
            all=Count("pk"),
            included=Count("pk", filter=Q(state=RoundState.INCLUDED)),
            lost=Count("pk", filter=is_lost),
        )
    )
    return WinCounts(**counts)


def wins_by_outcome(miners: Sequence[Miner], *, since: datetime) -> dict[str, int]:
    """Return the number of wins since a moment by each outcome of a win; a block may hold several."""
    rows = rounds_won(miners).filter(at__gte=since).select_related(None).order_by()
    found = dict(rows.values_list("state").annotate(wins=Sum("win_count")))
    outcomes = [one for one in RoundState if one not in (RoundState.NOT_ELIGIBLE, RoundState.NO_WIN)]
    return {one.value: found.get(one.value, 0) for one in outcomes}


def signing_margin_s(miners: Sequence[Miner], *, since: datetime) -> float | None:
    """Return the least time that a block signed since a moment had left; None without any."""
    rows = rounds_won(miners).filter(at__gte=since, block__signed__isnull=False)
    rows = rows.select_related(None).order_by()
    return min(
        (
            (budget_ms - start - length) / 1000
            for budget_ms, steps in rows.values_list("budget_ms", "steps")
            for name, start, length in steps
            if name == "sign"
        ),
        default=None,
    )
