"""Reading each miner's luck: how many wins it had against what its share of the power let expect.

Wins are Poisson distributed around the sum of the rounds' expected wins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import takewhile
from typing import Any, Final

from django.conf import settings
from django.core.cache import cache
from django.db.models import Q, Sum
from redis.exceptions import RedisError

from apps.blocks.models import MiningDay, Round
from apps.blocks.selectors.rounds import UNDRAWN
from apps.miners.models import Miner

LUCK_DAYS: Final = (1, 7, 30)
"""Spans of luck, in days: a short one shows a drought early, a long one a small lack."""
BANDS: Final = (0.05, 0.25, 0.75, 0.95)
"""Shares of all spans between whose numbers of wins nine of ten spans are, and half of them."""
FAR: Final = 10
"""Standard deviations below what is expected at which the probability of all fewer wins is below 1e-20."""
LUCK_SHARED_S: Final = 60
LUCK_KEY: Final = "blocks-luck-2"
"""Numbered by the form of what it stores: what an older release stored is not read."""


@dataclass(frozen=True, slots=True)
class Luck:
    """Wins of a span with the band that they are expected in."""

    wins: int
    expected: float
    half: tuple[int, int]
    """Half of all such spans have so many wins."""
    most: tuple[int, int]
    """Nine of ten have."""
    tail: float
    """Probability of no more wins than these."""

    @property
    def share(self) -> float | None:
        """Return wins per expected win; None where nothing was to be expected."""
        return self.wins / self.expected if self.expected > 0 else None


def luck_of(wins: int, expected: float) -> Luck:
    """Return the luck of a span."""
    most_low, half_low, half_high, most_high = quantiles(expected, *BANDS)
    return Luck(
        wins=wins,
        expected=expected,
        half=(half_low, half_high),
        most=(most_low, most_high),
        tail=cumulative(wins, expected),
    )


def epochs_to_win(expected: float) -> float | None:
    """Return the mean number of epochs to the next win at so many expected wins an epoch; None for none."""
    return -1 / math.expm1(-expected) if expected > 0 else None


def term(count: int, expected: float) -> float:
    """Return the probability of exactly so many wins; by logarithms, since the factors overflow."""
    if expected <= 0:
        return 1.0 if count == 0 else 0.0
    return math.exp(count * math.log(expected) - expected - math.lgamma(count + 1))


def terms(expected: float) -> Iterator[tuple[int, float]]:
    """Yield counts of wins, rising, with the probability of each; those far below are left out, as nothing.

    Each is the one before times a factor, which takes a tenth of the time of logarithms.
    """
    count = max(int(expected - FAR * math.sqrt(expected)), 0)
    share = term(count, expected)
    while True:
        yield count, share
        count += 1
        share *= expected / count


def cumulative(count: int, expected: float) -> float:
    """Return the probability of so many wins or less."""
    return min(sum(share for _, share in takewhile(lambda one: one[0] <= count, terms(expected))), 1.0)


def quantiles(expected: float, *shares: float) -> list[int]:
    """Return the least numbers of wins that these shares of all spans, in order, do not exceed."""
    rising, found = terms(expected), []
    count, total = next(rising)
    limit = expected + 40 * math.sqrt(expected) + 40
    for share in shares:
        while total < share and count < limit:
            count, more = next(rising)
            total += more
        found.append(count)
    return found


def luck_since(days: int, *, now: datetime) -> datetime:
    """Return when a span of luck begins.

    A day's sum cannot be divided: where rounds are no longer stored one by one, it is midnight (UTC).
    """
    since = now - timedelta(days=days)
    if since >= now - timedelta(hours=settings.BLOCK_ROUNDS_KEPT_H):
        return since
    return datetime.combine(since.date(), time(), tzinfo=UTC)


def lucks(miners: Iterable[Miner], *, now: datetime, days: Sequence[int]) -> dict[int, dict[int, Luck]]:
    """Return each miner's luck in the last days, by its key and their number."""
    keys = [miner.pk for miner in miners]
    wins: dict[tuple[int, int], int] = {}
    expected: dict[tuple[int, int], float] = {}
    first = {count: luck_since(count, now=now) for count in days}
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
            if datetime.combine(day["day"], time(), tzinfo=UTC) >= since:
                key = day["miner_id"], count
                expected[key] = expected.get(key, 0.0) + day["expected"]
    return {
        key: {count: luck_of(wins.get((key, count), 0), expected.get((key, count), 0.0)) for count in days}
        for key in keys
    }


def lucks_shared(miners: Iterable[Miner], *, now: datetime) -> dict[int, dict[int, Luck]]:
    """Return the luck of `LUCK_DAYS`, at most a minute old: a pool has half a million rounds a day."""
    rows = list(miners)
    names = {row.pk: f"{LUCK_KEY}-{row.pk}" for row in rows}
    found: dict[str, dict[int, Luck]] = {}
    # Without Redis each page computes it anew.
    with suppress(RedisError, OSError):
        found = cache.get_many(list(names.values()))
    missing = [row for row in rows if names[row.pk] not in found]
    read = lucks(missing, now=now, days=LUCK_DAYS) if missing else {}
    with suppress(RedisError, OSError):
        cache.set_many({names[key]: luck for key, luck in read.items()}, LUCK_SHARED_S)
    return {row.pk: read[row.pk] if row.pk in read else found[names[row.pk]] for row in rows}
