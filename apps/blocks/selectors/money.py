"""A miner's money by days: what blocks brought, what gas and the chain took, what came and went.

Each line spans from one recorded day to the next one, the last to the newest head.  What is known neither
from blocks nor from messages is the rest of the balance's change, so that every line adds up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from django.db.models import Q, QuerySet, Sum

from apps.blocks.models import Block
from apps.blocks.states import RoundState
from apps.chain.selectors.network import genesis_current
from apps.messages.models import GasSpend
from apps.messages.selectors.miner_money import money_moved
from apps.messages.selectors.spend import today_of
from apps.miners.models import Miner, MinerDay
from apps.miners.selectors.days import miner_days_since, with_days

SUMMED: Final = ("reward", "penalty", "blocks", "unknown_rewards", "received", "withdrawn", "gas")
"""Members of a line that are gathered."""

AMOUNTS: Final = (*SUMMED, "opening", "closing", "other", "other_cost")
"""Members of a line that add up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyLine:
    """What moved in a span of time; amounts in attoFIL."""

    begin: datetime
    day: date
    """UTC day on which it began."""
    end: datetime | None
    """None: it still runs."""
    opening: int
    """Balance as it began."""
    closing: int
    reward: int
    """With tips."""
    penalty: int
    """Of blocks."""
    blocks: int
    """Whose reward is known."""
    unknown_rewards: int
    """Blocks on the chain whose reward was not read yet, or that no node can compute: it is in `other`."""
    received: int
    withdrawn: int
    gas: int
    """Of messages that call the miner; their senders paid it, so it is not in the balance."""
    other: int
    """What else changed the balance: what the chain burnt, as fees and penalties, and others' transfers."""
    other_cost: int
    """`other` where it is below 0, as a cost: above 0 it came from elsewhere, and is no earning."""

    @property
    def net(self) -> int:
        """Earnings less costs."""
        return self.reward - self.penalty - self.gas - self.other_cost


def money_lines(miner: Miner, *, days: int, now: datetime) -> list[MoneyLine]:
    """Return a miner's lines of the last days, today included, newest first; none before its first day."""
    return money_by_miner([miner], days=days, now=now).get(miner.pk, [])


def money_by_miner(miners: Sequence[Miner], *, days: int, now: datetime) -> dict[int, list[MoneyLine]]:
    """Return the lines of several miners by their pk, newest first."""
    since = first_day(days=days, now=now)
    recorded = miner_days_since(miners, since=since)
    with_days = [miner for miner in miners if miner.pk in recorded]
    if not with_days:
        return {}
    spans = {miner.pk: Spans(miner, recorded[miner.pk]) for miner in with_days}
    _blocks_add(with_days, spans)
    _gas_add(with_days, spans, since=since)
    _moved_add(with_days, spans)
    return {pk: of_miner.lines()[::-1] for pk, of_miner in spans.items()}


def miners_with_money(miners: QuerySet[Miner], *, days: int, now: datetime) -> QuerySet[Miner]:
    """Return the miners that have a line in the last days."""
    return with_days(miners, since=first_day(days=days, now=now))


def first_day(*, days: int, now: datetime) -> date:
    """Return the first of the last days, today included."""
    return today_of(now) - timedelta(days=days - 1)


def lines_sum(lines: Sequence[MoneyLine]) -> MoneyLine:
    """Return one line over a miner's lines, of which the newest comes first; there must be one."""
    return replace(lines_total(lines), opening=lines[-1].opening, closing=lines[0].closing)


def lines_total(lines: Sequence[MoneyLine]) -> MoneyLine:
    """Return the total of several miners' lines; there must be one."""
    first = min(lines, key=lambda line: line.begin)
    return MoneyLine(
        begin=first.begin,
        day=first.day,
        end=lines[0].end,
        **{name: sum(int(getattr(line, name)) for line in lines) for name in AMOUNTS},
    )


class Spans:
    """The recorded days of a miner, to which sums are added by height or by day."""

    def __init__(self, miner: Miner, rows: Sequence[MinerDay]) -> None:
        self.miner = miner
        self.rows = rows
        self.heights = [row.height for row in rows]
        self.days = [row.day for row in rows]
        self.sums: list[Counter[str]] = [Counter() for _ in rows]
        for place, after in enumerate(rows[1:]):
            self.sums[place].update(received=int(after.received), withdrawn=int(after.withdrawn))

    def at_height(self, height: int) -> Counter[str]:
        """Return the sums of the span in which a height is; else sums that are not read."""
        is_inside = self.heights[0] <= height < self.miner.refreshed_height
        return self.sums[bisect_right(self.heights, height) - 1] if is_inside else Counter()

    def at_day(self, day: date) -> Counter[str]:
        """Return the sums of the span in which a day is; else sums that are not read."""
        return self.sums[bisect_right(self.days, day) - 1] if day >= self.days[0] else Counter()

    def lines(self) -> list[MoneyLine]:
        """Return a line for each span, oldest first."""
        closings = [*(int(row.balance) for row in self.rows[1:]), int(self.miner.balance)]
        ends = [*(row.began_at for row in self.rows[1:]), None]
        return [
            _line(row, closing=closing, end=end, sums=sums)
            for row, closing, end, sums in zip(self.rows, closings, ends, self.sums, strict=True)
        ]


def _line(row: MinerDay, *, closing: int, end: datetime | None, sums: Counter[str]) -> MoneyLine:
    known = sums["reward"] - sums["penalty"] + sums["received"] - sums["withdrawn"]
    other = closing - int(row.balance) - known
    return MoneyLine(
        begin=row.began_at,
        day=row.day,
        end=end,
        opening=int(row.balance),
        closing=closing,
        other=other,
        other_cost=max(-other, 0),
        **{name: sums[name] for name in SUMMED},
    )


def _blocks_add(miners: Sequence[Miner], spans: Mapping[int, Spans]) -> None:
    of_actor = {miner.actor_id: spans[miner.pk] for miner in miners}
    rows = Block.objects.filter(
        Q(round__state=RoundState.INCLUDED) | Q(round=None, reward__isnull=False),
        genesis=genesis_current(),
        actor_id__in=[actor_id for actor_id in of_actor if actor_id is not None],
        height__gte=min(one.heights[0] for one in spans.values()),
    )
    for actor_id, height, reward, penalty in rows.values_list("actor_id", "height", "reward", "penalty"):
        sums = of_actor[actor_id].at_height(height)
        if reward is None:
            sums.update(unknown_rewards=1)
        else:
            sums.update(blocks=1, reward=int(reward), penalty=int(penalty or 0))


def _gas_add(miners: Sequence[Miner], spans: Mapping[int, Spans], *, since: date) -> None:
    named = {name: spans[miner.pk] for miner in miners for name in miner.names}
    rows = GasSpend.objects.filter(to__in=named, day__gte=since, messages__gt=0).order_by()
    for name, day, cost in rows.values_list("to", "day").annotate(total=Sum("cost")):
        named[name].at_day(day).update(gas=int(cost))


def _moved_add(miners: Sequence[Miner], spans: Mapping[int, Spans]) -> None:
    """Add what moved since the last recorded day; nearly all miners have the same heights."""
    same: defaultdict[tuple[int, int], dict[str, Spans]] = defaultdict(dict)
    for miner in miners:
        begin = spans[miner.pk].heights[-1]
        same[begin, miner.refreshed_height].update(dict.fromkeys(miner.names, spans[miner.pk]))
    for (begin, end), named in same.items():
        for name, moved in money_moved(named.keys(), begin=begin, end=end).items():
            named[name].sums[-1].update(received=moved.received, withdrawn=moved.withdrawn)
