"""How many bytes each network address retrieved of a miner, by day, in Redis.

What is lost with Redis is a week's figures and a day's limits: nobody is refused while it is away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from redis.exceptions import RedisError

from apps.core.errors import NotReachable
from apps.core.marked_texts import gettext
from apps.core.redis_clients import redis_client

DAYS: Final = 7
"""Days that are kept, with today."""
ADDRESSES_MAX: Final = 10_000
"""Network addresses that are kept for a miner and day; those with the fewest bytes go first."""
READ_MAX: Final = 1_000
"""Addresses of each day that a list reads."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Bytes of a miner's data that one network address retrieved."""

    address: str
    day_bytes: int
    """Since midnight UTC."""
    week_bytes: int
    """In `DAYS` days, with today."""


def retrieved_add(miner: str, *, network: str, count: int, now: datetime) -> None:
    """Count bytes that were sent."""
    key = _key(miner, now.date())
    try:
        with redis_client().pipeline(transaction=False) as pipe:
            pipe.zincrby(key, count, network)
            pipe.zremrangebyrank(key, 0, -ADDRESSES_MAX - 1)
            pipe.expire(key, timedelta(days=DAYS + 1))
            pipe.execute()
    except (RedisError, OSError):
        return


def limit_wait_read(miner: str, *, network: str, limit: int, now: datetime) -> int:
    """Return after how many seconds an address may retrieve again; 0: now.

    `limit`: bytes of a day; 0: none.
    """
    if not limit:
        return 0
    try:
        sent = redis_client().zscore(_key(miner, now.date()), network) or 0
    except (RedisError, OSError):
        return 0
    if float(sent) < limit:
        return 0
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
    return max(int((midnight - now).total_seconds()), 1)


def retrieved_list(miner: str, *, now: datetime, most: int) -> list[Retrieved]:
    """Return who retrieved the most in `DAYS` days, most bytes first.  Raises NotReachable."""
    try:
        return _list(miner, now=now, most=most)
    except (RedisError, OSError):
        raise NotReachable(gettext("Redis does not answer")) from None


def _list(miner: str, *, now: datetime, most: int) -> list[Retrieved]:
    with redis_client().pipeline(transaction=False) as pipe:
        for day in _days(now.date()):
            pipe.zrevrange(_key(miner, day), 0, READ_MAX - 1, withscores=True)
        days = pipe.execute()
    week: Counter[str] = Counter()
    for rows in days:
        week.update({network: int(sent) for network, sent in rows})
    networks = sorted(week, key=lambda network: (-week[network], network))[:most]
    today = redis_client().zmscore(_key(miner, now.date()), networks) if networks else []
    return [
        Retrieved(network, int(sent or 0), week[network])
        for network, sent in zip(networks, today, strict=True)
    ]


def _days(today: date) -> Iterator[date]:
    return (today - timedelta(days=back) for back in range(DAYS))


def _key(miner: str, day: date) -> str:
    return f"retrieved:{miner}:{day.isoformat()}"
