"""What people who signed in are told on every page: maintenance that lasts or is near, notes to incidents."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from redis.exceptions import RedisError

from apps.checks.models import ComponentIncident, Maintenance
from apps.core.redis_clients import redis_client, text_shared

BANNER_AHEAD: Final = timedelta(days=1)
"""So long before it begins, maintenance is on every page."""
BANNERS_MAX: Final = 3
BANNERS_KEY: Final = "poolsite:status:banners"
SHARED_S: Final = 15
"""So long all pages show what one has read: a question each would be asked for nothing nearly always."""


@dataclass(frozen=True, slots=True)
class StatusBanner:
    """One sentence of the operator."""

    text: str
    components: tuple[str, ...]
    starts_at: float | None
    """Seconds since 1970; None of an incident."""
    ends_at: float | None


def status_banners(now: datetime) -> list[StatusBanner]:
    """Return what every page says now; without Redis each page reads it."""
    with suppress(RedisError, OSError):
        if (text := text_shared(BANNERS_KEY, kept_s=SHARED_S)) is not None:
            return [_banner(row) for row in json.loads(text)]
    banners = _banners_read(now)
    with suppress(RedisError, OSError):
        redis_client().set(BANNERS_KEY, json.dumps([asdict(one) for one in banners]), ex=SHARED_S)
    return banners


def _banners_read(now: datetime) -> list[StatusBanner]:
    incidents = ComponentIncident.objects.filter(ended_at=None).exclude(note="").order_by("-noted_at")
    found = [StatusBanner(row.note, (row.component,), None, None) for row in incidents[:BANNERS_MAX]]
    near = Maintenance.objects.filter(ends_at__gt=now, starts_at__lt=now + BANNER_AHEAD).order_by("starts_at")
    found += [
        StatusBanner(row.text, tuple(row.components), row.starts_at.timestamp(), row.ends_at.timestamp())
        for row in near[:BANNERS_MAX]
    ]
    return found[:BANNERS_MAX]


def _banner(row: dict[str, object]) -> StatusBanner:
    components = row["components"]
    parts = tuple(str(one) for one in components) if isinstance(components, list) else ()
    starts, ends = row["starts_at"], row["ends_at"]
    return StatusBanner(
        str(row["text"]),
        parts,
        float(str(starts)) if starts is not None else None,
        float(str(ends)) if ends is not None else None,
    )
