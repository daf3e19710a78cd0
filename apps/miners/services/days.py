"""Writing down what each miner holds as a UTC day begins, so that a day's money can be accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from functools import reduce
from typing import Final

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.isolation import for_each_isolated
from apps.chain.node.parallel import map_parallel
from apps.chain.selectors.heads import head_at, head_since
from apps.chain.selectors.network import network_current
from apps.core.day_ranges import today_of
from apps.messages.selectors.miner_money import MovedMoney, money_moved
from apps.messages.selectors.tracking import tracked_height
from apps.miners.models import Miner, MinerDay
from apps.miners.onchain.miner_facts import MinerFacts, miner_facts
from apps.miners.selectors.days import miner_days_newest

SETTLED_EPOCHS: Final = 20
"""So far below the head a day's first tipset must be: reorganisations hardly reach so deep."""

CLOCK_BEHIND_S: Final = 3600
"""A chain whose settled tipset is older than this is behind, or was: what is settled is minutes old."""

HELD: Final = ("balance", "available", "pledge", "deposits", "locked", "fee_debt", "qa_power")
"""What a day has of what the chain says of a miner."""


def miner_days_record(miners: Sequence[Miner], *, client: ChainClient, now: datetime) -> None:
    """Write the running day's beginning of the miners that lack it, once its tipset is settled.

    A miner without any day begins where the chain is settled now.
    """
    day = today_of(now)
    newest = miner_days_newest(miners)
    settled = head_at(tracked_height() - SETTLED_EPOCHS)
    if settled is None:
        return
    above = min((row.height for row in newest.values()), default=settled.height)
    first = day_tipset_find(day, above=above, settled=settled, now=now)
    begins: dict[int, Head] = {}
    for miner in miners:
        before = newest.get(miner.pk)
        if before is None and (miner.created_height or 0) < settled.height:
            begins[miner.pk] = settled
        elif before is not None and first is not None and before.day < day and before.height < first.height:
            begins[miner.pk] = first
    due = [miner for miner in miners if miner.pk in begins]
    answers = map_parallel(lambda miner: miner_facts(client, miner.address, begins[miner.pk].key), due)
    found = dict(zip((miner.pk for miner in due), answers, strict=True))

    def store(miner: Miner) -> None:
        facts = found[miner.pk]
        if isinstance(facts, Exception):
            raise facts
        day_store(miner, day=day, begin=begins[miner.pk], facts=facts, before=newest.get(miner.pk))

    for_each_isolated(due, store, event="miner_day_not_recorded")


def day_tipset_find(day: date, *, above: int, settled: Head, now: datetime) -> Head | None:
    """Return a day's first tipset; None until there is a settled one.

    A devnet that was paused has a clock that is behind, though its epochs pass as usual: there it is the
    settled one.  While nodes catch up, many epochs come at once, and the day's first is still to come.
    """
    first = head_since(datetime.combine(day, time.min, UTC), above=above)
    if first is not None:
        return first if first.height <= settled.height else None
    is_behind = now.timestamp() - settled.timestamp > CLOCK_BEHIND_S
    arrived_s = (now - settled.arrived_at).total_seconds()
    return settled if is_behind and arrived_s > SETTLED_EPOCHS * network_current().epoch_s / 2 else None


def day_store(miner: Miner, *, day: date, begin: Head, facts: MinerFacts, before: MinerDay | None) -> None:
    """Write one day's beginning; a second time changes nothing."""
    moved = MovedMoney()
    if before is not None:
        by_name = money_moved(miner.names, begin=before.height, end=begin.height)
        moved = reduce(MovedMoney.plus, by_name.values(), moved)
    MinerDay.objects.get_or_create(
        miner=miner,
        day=day,
        defaults={
            "began_at": datetime.fromtimestamp(begin.timestamp, tz=UTC),
            "height": begin.height,
            "received": moved.received,
            "withdrawn": moved.withdrawn,
            **{name: getattr(facts, name) for name in HELD},
        },
    )
