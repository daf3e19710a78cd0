"""Counting when sectors end: all rows of a miner are read, in a two hundredth of the time at most."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, F, Sum

from apps.chain.node.isolation import for_each_isolated
from apps.miners.models import Miner
from apps.miners.states import MinerState
from apps.sectors.models import Expirations, Sector
from apps.sectors.selectors.expirations import EPOCHS_OF_COUNT
from poolsite.wire.pipeline import SectorState

EVERY: Final = timedelta(minutes=1)
"""Least time between two counts of a miner."""
SHARE: Final = 200
"""A count that took long is made again only after so many times as long."""


def expirations_count(*, now: datetime) -> int:
    """Count the sectors of the miners whose last count is old enough; returns of how many miners."""
    known = dict(Expirations.objects.values_list("miner_id", "counted_at"))
    took = dict(Expirations.objects.values_list("miner_id", "took_ms"))
    due = [
        miner
        for miner in Miner.objects.filter(state=MinerState.ACTIVE).order_by("pk")
        if miner.pk not in known
        or known[miner.pk] + max(EVERY, SHARE * timedelta(milliseconds=took[miner.pk])) <= now
    ]
    for_each_isolated(due, lambda miner: _count(miner, now=now), event="expirations_not_counted")
    return len(due)


def _count(miner: Miner, *, now: datetime) -> None:
    started = time.monotonic()
    rows = Sector.objects.filter(miner=miner, state=SectorState.PROVING).exclude(expiration=None).order_by()
    stretches = rows.annotate(stretch=F("expiration") / EPOCHS_OF_COUNT).values("stretch")
    sums = stretches.annotate(count=Count("pk"), size=Sum("sector_size"), pledge=Sum("initial_pledge"))
    counts = [
        [row["stretch"], row["count"], int(row["size"]), str(int(row["pledge"]))]
        for row in sums.order_by("stretch")
    ]
    took_ms = int((time.monotonic() - started) * 1000)
    data = {"counts": counts, "counted_at": now, "took_ms": took_ms}
    Expirations.objects.update_or_create(miner=miner, defaults=data)
