"""How long the database takes for a trivial statement and its commit, and how long locks are waited for.

Samples of the last minutes lie in Redis.  A peak is no slow database: it counts as slow once each sample of
two minutes is over the limit, and until half of those of two minutes are below half of it.  The slower it is,
the later the next sample is taken: so many minutes may have few of them.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from redis.exceptions import RedisError

KEY: Final = "database-times"
SPAN_S: Final = 120.0
"""Time of which all samples have to be slow, or half of them quick."""
KEPT_S: Final = 3 * SPAN_S
"""Time for which samples are kept: the pool samples again once it has evaluated all with a slow database."""
SAMPLES_MIN: Final = 3
LOCKS_S: Final = 10.0
"""A lock that is waited for longer is as bad as a slow statement."""
COMMIT: Final = "select pg_logical_emit_message(true, 'poolsite', '')"
"""Writes a few bytes to the write-ahead log and no row: its commit waits for the disk as any other."""
LOCKS: Final = """
select coalesce(extract(epoch from max(clock_timestamp() - waitstart)), 0)::float8
from pg_locks where not granted
"""


@dataclass(frozen=True, slots=True)
class DatabaseTimes:
    """One sample."""

    at: float
    """Seconds since 1970."""
    statement_ms: float
    commit_ms: float
    """Milliseconds of a statement that writes, with its commit."""
    locks_s: float
    """Longest time for which a session waits for a lock now."""

    @property
    def ms(self) -> float:
        """Return the slower of both."""
        return max(self.statement_ms, self.commit_ms)

    def is_over(self, share: float = 1.0) -> bool:
        """Return whether it is over the limits, or over a share of them."""
        return self.ms > settings.DATABASE_SLOW_MS * share or self.locks_s > LOCKS_S * share


@dataclass(frozen=True, slots=True)
class SlowDatabase:
    """How slow the database is."""

    since: float
    """Seconds since 1970."""
    ms: float
    """Median of the last samples, as is the next one."""
    locks_s: float


def database_sample() -> None:
    """Measure the database and note it; without Redis, or while the database refuses, it is not noted."""
    try:
        with connection.cursor() as cursor:
            began = time.perf_counter()
            cursor.execute(LOCKS)
            (locks_s,) = cursor.fetchone()
            read = time.perf_counter()
            cursor.execute(COMMIT)
            ended = time.perf_counter()
    except DatabaseError:
        return
    sample_note(DatabaseTimes(time.time(), (read - began) * 1e3, (ended - read) * 1e3, locks_s))


def sample_note(sample: DatabaseTimes) -> None:
    """Keep a sample, and since when the database is slow."""
    try:
        stored = cache.get(KEY) or {}
        samples = [*_samples(stored, at=sample.at), sample]
        since = _slow_since(samples, since=stored.get("since"))
        cache.set(KEY, {"samples": [asdict(one) for one in samples], "since": since}, KEPT_S)
    except (RedisError, OSError):
        return


def database_slow() -> SlowDatabase | None:
    """Return how slow the database is; None if it is quick enough, or was not measured lately."""
    try:
        stored: dict[str, Any] = cache.get(KEY) or {}
    except (RedisError, OSError):
        return None
    samples, since = _samples(stored, at=time.time()), stored.get("since")
    if since is None or not samples:
        return None
    lately = _lately(samples)
    return SlowDatabase(since, median(one.ms for one in lately), median(one.locks_s for one in lately))


def _samples(stored: dict[str, Any], *, at: float) -> list[DatabaseTimes]:
    samples = [DatabaseTimes(**one) for one in stored.get("samples", ())]
    return [one for one in samples if 0 <= at - one.at <= KEPT_S]  # none of a clock ahead


def _lately(samples: list[DatabaseTimes]) -> list[DatabaseTimes]:
    """Return the samples of the last two minutes, and the one before, with which these begin."""
    begin = samples[-1].at - SPAN_S
    return [one for one in samples[:-1] if one.at <= begin][-1:] + [one for one in samples if one.at > begin]


def _slow_since(samples: list[DatabaseTimes], *, since: float | None) -> float | None:
    """Return since when the database is slow, as it was or as it begins or ends with the last sample."""
    lately = _lately(samples)
    if since is None:
        is_long = len(lately) >= SAMPLES_MIN and lately[-1].at - lately[0].at >= SPAN_S
        return lately[0].at if is_long and all(one.is_over() for one in lately) else None
    slow = sum(one.is_over(0.5) for one in lately)
    return since if slow * 2 > len(lately) else None
