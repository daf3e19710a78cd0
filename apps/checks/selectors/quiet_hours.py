"""Whether a channel is in its quiet hours, and which alerts wait in them."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from apps.checks.models import AlertChannel
from apps.core.local_time import zone_named


def quiet_until(channel: AlertChannel, *, now: datetime) -> datetime | None:
    """Return when the quiet hours end in which a channel is now; None: it is in none."""
    if not channel.quiet_from:
        return None
    here = now.astimezone(zone_named(channel.quiet_zone))
    begins, ends = time.fromisoformat(channel.quiet_from), time.fromisoformat(channel.quiet_to)
    at = here.time().replace(tzinfo=None)
    is_quiet = begins <= at < ends if begins < ends else at >= begins or at < ends
    if not is_quiet:
        return None
    day = here.date() if at < ends else here.date() + timedelta(days=1)
    return datetime.combine(day, ends, tzinfo=here.tzinfo)


def waits_quietly(channel: AlertChannel, *, is_critical: bool) -> bool:
    """Return whether what is critical, or what is not, waits in a channel's quiet hours."""
    return bool(channel.quiet_from) and (not is_critical or channel.quiet_critical)
