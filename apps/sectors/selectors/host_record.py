"""What a host has done lately: sectors a day, and what failed; and whether somebody looks at its log."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from redis.exceptions import RedisError

from apps.core.redis_clients import redis_client
from apps.sectors.models import JobEvent, Worker
from poolsite.wire.pipeline import Stage

DAYS: Final = 7
COUNTED_MAX: Final = 10_000
"""Sectors that are counted; a host seals fewer in a week."""
FAILURES_SHOWN: Final = 10
LOG_WATCHED_S: Final = 30
"""How long a host sends its log after somebody looked at it."""


@dataclass(frozen=True, slots=True)
class HostRecord:
    """What a host did in the last days."""

    sectors: int
    """Sectors that it finished in `days`."""
    days: float
    failures: tuple[JobEvent, ...]
    """The newest first."""

    @property
    def per_day(self) -> float | None:
        """Return sectors a day; None of a host that is younger than a day."""
        return self.sectors / self.days if self.days >= 1 else None


def host_record(worker: Worker, *, now: datetime) -> HostRecord:
    """Return what a host did lately; a new host is measured over its own age."""
    since = max(now - timedelta(days=DAYS), worker.created_at)
    mine = JobEvent.objects.filter(worker=worker).order_by("-pk")
    done = mine.filter(event=Stage.FINALIZE, at__gte=since)[:COUNTED_MAX].count()
    failures = mine.filter(is_error=True).select_related("job__sector", "job__miner")[:FAILURES_SHOWN]
    days = max((now - since) / timedelta(days=1), 0.0)
    return HostRecord(done, days, tuple(failures))


def log_watch(worker: Worker) -> None:
    """Request a host's log for a while, since somebody looks at it; without Redis it does not come."""
    with suppress(RedisError, OSError):
        redis_client().set(f"poolsite:host-log:{worker.uuid}", "1", ex=LOG_WATCHED_S)


def log_is_watched(worker: Worker) -> bool:
    """Return whether somebody looks at a host's log."""
    # A host that is not asked for its log still works; the page is all that lacks it.
    with suppress(RedisError, OSError):
        return bool(redis_client().exists(f"poolsite:host-log:{worker.uuid}"))
    return False
