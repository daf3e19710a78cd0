"""A miner's money by days: what blocks brought, what gas and the chain took, what came and went.

Each line spans from one recorded day to the next one, the last to the newest head.  What is known neither
from blocks nor from messages is the rest of the balance's change, so that every line adds up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import Final, NamedTuple

from django.db.models import Q, QuerySet, Sum

from apps.blocks.models import Block
from apps.blocks.states import RoundState
from apps.chain.selectors.network import genesis_current
from apps.core.clock import DAY_S
from apps.core.day_ranges import DayRange
from apps.market.selectors.earnings import deals_earned
from apps.messages.selectors.miner_money import money_moved
from apps.messages.selectors.spend import spend_on
from apps.miners.models import Miner
from apps.miners.selectors.days import DayHeld, miner_days_since, with_days
from apps.miners.selectors.multisig_money import multisig_moves
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from poolsite.filecoin.sizes import TIB

SECOND: Final = timedelta(seconds=1)

AMOUNTS: Final = (
    *("reward", "penalty", "blocks", "unknown_rewards", "deals", "received", "withdrawn", "gas"),
    *("opening", "closing", "other", "other_cost"),
)
"""Members of a line that add up."""
AMOUNTS_OF: Final = attrgetter(*AMOUNTS)


class MoneyLine(NamedTuple):
    """What moved in a span of time; amounts in attoFIL."""

    begin: datetime
    day: date
    """UTC day on which it began."""
    end: datetime | None
    """None: it still runs."""
    qa_power: int | None
    """Bytes as it began; None: unknown, or of several miners or days."""
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
    deals: int
    """Clients' fees of active deals, epoch by epoch, settled or not: they come to the market balance."""
    received: int
    withdrawn: int
    gas: int
    """Of the viewer's messages that call the miner; senders paid it, so it is not in the balance."""
    other: int
    """What else changed the balance: what the chain burnt, as fees and penalties, and others' transfers."""
    other_cost: int
    """`other` where it is below 0, as a cost: above 0 it came from elsewhere, and is no earning."""

    @property
    def cost(self) -> int:
        """Return what it cost."""
        return self.penalty + self.gas + self.other_cost

    @property
    def net(self) -> int:
        """Earnings less costs."""
        return self.reward + self.deals - self.cost


class GasPart(NamedTuple):
    """Gas that one tenant's messages to one address cost in a day."""

    tenant_id: int | None
    """None: of the pool's own messages."""
    to: str
    """Empty for transfers."""
    day: date
    cost: int
    """attoFIL."""


@dataclass(frozen=True, slots=True)
class MinerMoney:
    """A miner's lines of some days, and what of their gas is in none of them."""

    lines: list[MoneyLine]
    """Newest first."""
    gas_by_day: Mapping[date, int]
    """Gas in attoFIL of messages that call the miner, by day, for days before the first line."""

    @property
    def gas_unrecorded(self) -> int:
        """Return the gas that is in no line."""
        return sum(self.gas_by_day.values())

    @property
    def gas(self) -> int:
        """Return the gas of all the days."""
        return self.gas_unrecorded + sum(line.gas for line in self.lines)

    @property
    def net_by_day(self) -> Counter[date]:
        """Return what each day brought, less what it cost."""
        found: Counter[date] = Counter({line.day: line.net for line in self.lines})
        found.subtract(self.gas_by_day)
        return found


def gas_parts(viewer: Principal, days: DayRange, *, tenant: Tenant | None = None) -> list[GasPart]:
    """Return what the gas of the viewer's messages cost, of one tenant or of all: all that *Gas* shows."""
    rows = spend_on(viewer, days)
    if tenant is not None:
        rows = rows.filter(tenant=tenant)
    found = rows.order_by("day").values_list("tenant", "to", "day").annotate(total=Sum("cost"))
    return [GasPart(tenant_id, to, day, int(cost)) for tenant_id, to, day, cost in found]


def money_by_miner(
    miners: Sequence[Miner], *, days: DayRange, gas: Iterable[GasPart]
) -> dict[int, MinerMoney]:
    """Return the money of several miners by their pk, of those that have a line or gas in these days."""
    recorded = miner_days_since(miners, since=days.first)
    with_days = [miner for miner in miners if miner.pk in recorded]
    spans = {miner.pk: Spans(miner, recorded[miner.pk]) for miner in with_days}
    if with_days:
        _blocks_add(with_days, spans)
        _moved_add(with_days, spans)
        _multisig_moves_add(with_days, spans)
        _deals_add(with_days, spans)
    unrecorded = _gas_add(miners, spans, gas=gas)
    return {
        miner.pk: MinerMoney(
            [line for line in spans[miner.pk].lines()[::-1] if line.day <= days.last]
            if miner.pk in spans
            else [],
            unrecorded.get(miner.pk, {}),
        )
        for miner in miners
        if miner.pk in spans or miner.pk in unrecorded
    }


def money_of(miner: Miner, *, viewer: Principal, days: DayRange) -> MinerMoney:
    """Return one miner's money, with the gas that the viewer sees."""
    found = money_by_miner([miner], days=days, gas=gas_parts(viewer, days))
    return found.get(miner.pk, MinerMoney([], {}))


def miners_with_money(miners: QuerySet[Miner], *, days: DayRange) -> QuerySet[Miner]:
    """Return the miners that have a line in some days."""
    return with_days(miners, since=days.first, until=days.last)


def lines_sum(lines: Sequence[MoneyLine]) -> MoneyLine:
    """Return one line over a miner's lines, of which the newest comes first; there must be one."""
    return lines_total(lines)._replace(opening=lines[-1].opening, closing=lines[0].closing)


def lines_total(lines: Sequence[MoneyLine]) -> MoneyLine:
    """Return the total of several miners' lines; there must be one."""
    first = min(lines, key=lambda line: line.begin)
    totals = map(sum, zip(*map(AMOUNTS_OF, lines), strict=True))
    return MoneyLine(
        begin=first.begin,
        day=first.day,
        end=lines[0].end,
        qa_power=None,
        **dict(zip(AMOUNTS, totals, strict=True)),
    )


def cost_per_power(lines: Iterable[MoneyLine], *, now: datetime) -> int | None:
    """Return what a TiB of QA power cost in a day, in attoFIL, of the lines whose power is known.

    None where none of them had any.
    """
    known = [line for line in lines if line.qa_power]
    power = sum((line.qa_power or 0) * (((line.end or now) - line.begin) // SECOND) for line in known)
    return sum(line.cost for line in known) * DAY_S * TIB // power if power > 0 else None


@dataclass(slots=True)
class Sums:
    """Members of a line that are gathered."""

    reward: int = 0
    penalty: int = 0
    blocks: int = 0
    unknown_rewards: int = 0
    deals: int = 0
    received: int = 0
    withdrawn: int = 0
    gas: int = 0


class Spans:
    """The recorded days of a miner, to which sums are added by height or by day."""

    def __init__(self, miner: Miner, rows: Sequence[DayHeld]) -> None:
        self.miner = miner
        self.rows = rows
        self.heights = [row.height for row in rows]
        self.days = [row.day for row in rows]
        self.sums = [Sums(received=after.received, withdrawn=after.withdrawn) for after in rows[1:]]
        self.sums.append(Sums())

    def at_height(self, height: int) -> Sums:
        """Return the sums of the span in which a height is; else sums that are not read."""
        is_inside = self.heights[0] <= height < self.miner.refreshed_height
        return self.sums[bisect_right(self.heights, height) - 1] if is_inside else Sums()

    def at_day(self, day: date) -> Sums:
        """Return the sums of the span in which a day is; else sums that are not read."""
        return self.sums[bisect_right(self.days, day) - 1] if day >= self.days[0] else Sums()

    def lines(self) -> list[MoneyLine]:
        """Return a line for each span, oldest first."""
        closings = [*(row.balance for row in self.rows[1:]), int(self.miner.balance)]
        ends = [*(row.began_at for row in self.rows[1:]), None]
        return [
            _line(row, closing=closing, end=end, sums=sums)
            for row, closing, end, sums in zip(self.rows, closings, ends, self.sums, strict=True)
        ]


def _line(row: DayHeld, *, closing: int, end: datetime | None, sums: Sums) -> MoneyLine:
    known = sums.reward - sums.penalty + sums.received - sums.withdrawn
    other = closing - row.balance - known
    return MoneyLine(
        begin=row.began_at,
        day=row.day,
        end=end,
        qa_power=row.qa_power,
        opening=row.balance,
        closing=closing,
        other=other,
        other_cost=max(-other, 0),
        reward=sums.reward,
        penalty=sums.penalty,
        blocks=sums.blocks,
        unknown_rewards=sums.unknown_rewards,
        deals=sums.deals,
        received=sums.received,
        withdrawn=sums.withdrawn,
        gas=sums.gas,
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
            sums.unknown_rewards += 1
        else:
            sums.blocks += 1
            sums.reward += reward
            sums.penalty += penalty or 0


def _deals_add(miners: Sequence[Miner], spans: Mapping[int, Spans]) -> None:
    ends = {one.pk: [*spans[one.pk].heights, one.refreshed_height] for one in miners}
    for pk, amounts in deals_earned(ends).items():
        for sums, amount in zip(spans[pk].sums, amounts, strict=True):
            sums.deals += amount


def _gas_add(
    miners: Sequence[Miner], spans: Mapping[int, Spans], *, gas: Iterable[GasPart]
) -> defaultdict[int, Counter[date]]:
    """Add gas to the spans of its days; return what lies before them, by the miner's pk and day."""
    named = {name: miner.pk for miner in miners for name in miner.names}
    unrecorded: defaultdict[int, Counter[date]] = defaultdict(Counter)
    for part in gas:
        pk = named.get(part.to)
        if pk is None:
            continue
        if pk in spans and part.day >= spans[pk].days[0]:
            spans[pk].at_day(part.day).gas += part.cost
        else:
            unrecorded[pk][part.day] += part.cost
    return unrecorded


def _moved_add(miners: Sequence[Miner], spans: Mapping[int, Spans]) -> None:
    """Add what moved since the last recorded day; nearly all miners have the same heights."""
    same: defaultdict[tuple[int, int], dict[str, Spans]] = defaultdict(dict)
    for miner in miners:
        begin = spans[miner.pk].heights[-1]
        same[begin, miner.refreshed_height].update(dict.fromkeys(miner.names, spans[miner.pk]))
    for (begin, end), named in same.items():
        for name, moved in money_moved(named.keys(), begin=begin, end=end).items():
            sums = named[name].sums[-1]
            sums.received += moved.received
            sums.withdrawn += moved.withdrawn


def _multisig_moves_add(miners: Sequence[Miner], spans: Mapping[int, Spans]) -> None:
    """Add what multisigs moved, whenever: a recorded day has what messages to the miner itself moved."""
    named = {name: spans[miner.pk] for miner in miners for name in miner.names}
    for move in multisig_moves(named.keys(), since=min(one.heights[0] for one in spans.values())):
        sums = named[move.miner].at_height(move.height)
        sums.received += move.moved.received
        sums.withdrawn += move.moved.withdrawn
