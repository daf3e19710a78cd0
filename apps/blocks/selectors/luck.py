"""Reading each miner's luck: wins against expected wins in the last days."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.core.cache import cache
from django.db.models import Q, Sum
from redis.exceptions import RedisError

from apps.blocks.luck import Luck, luck_of
from apps.blocks.models import MiningDay, Round
from apps.blocks.selectors.rounds import UNDRAWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from apps.miners.models import Miner

LUCK_DAYS: Final = (1, 7, 30)
"""Spans of luck, in days: a short one shows a drought early, a long one a small lack."""
LUCK_SHARED_S: Final = 60


def lucks(miners: Iterable[Miner], *, now: datetime, days: Sequence[int]) -> dict[int, dict[int, Luck]]:
    """Return each miner's luck in the last days, by its key and their number."""
    keys = [miner.pk for miner in miners]
    wins: dict[tuple[int, int], int] = {}
    expected: dict[tuple[int, int], float] = {}
    first = {count: now - timedelta(days=count) for count in days}
    of_rounds = Round.objects.filter(miner__in=keys, at__gte=min(first.values())).order_by()
    sums = {f"wins_{count}": Sum("win_count", filter=Q(at__gte=since)) for count, since in first.items()} | {
        f"drawn_{count}": Sum("expected", filter=Q(at__gte=since) & ~UNDRAWN)
        for count, since in first.items()
    }
    rows: Iterable[Any] = of_rounds.values("miner_id").annotate(**sums)
    for row in rows:
        for count in days:
            wins[row["miner_id"], count] = row[f"wins_{count}"] or 0
            expected[row["miner_id"], count] = row[f"drawn_{count}"] or 0.0
    of_days = MiningDay.objects.filter(miner__in=keys, day__gte=min(first.values()).date())
    for day in of_days.values("miner_id", "day", "expected"):
        for count, since in first.items():
            if day["day"] >= since.date():
                key = day["miner_id"], count
                expected[key] = expected.get(key, 0.0) + day["expected"]
    return {
        key: {count: luck_of(wins.get((key, count), 0), expected.get((key, count), 0.0)) for count in days}
        for key in keys
    }


def lucks_shared(miners: Iterable[Miner], *, now: datetime) -> dict[int, dict[int, Luck]]:
    """Return the luck of `LUCK_DAYS`, at most a minute old: a pool has half a million rounds a day."""
    rows = list(miners)
    names = {row.pk: f"blocks-luck-{row.pk}" for row in rows}
    found: dict[str, dict[int, Luck]] = {}
    with suppress(RedisError, OSError):
        found = cache.get_many(list(names.values()))
    missing = [row for row in rows if names[row.pk] not in found]
    read = lucks(missing, now=now, days=LUCK_DAYS) if missing else {}
    with suppress(RedisError, OSError):
        cache.set_many({names[key]: luck for key, luck in read.items()}, LUCK_SHARED_S)
    return {row.pk: read[row.pk] if row.pk in read else found[names[row.pk]] for row in rows}
