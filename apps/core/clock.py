"""The time, in one place: services get it as `now=`, outermost callers ask here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

YEARS: Final = (1970, 9998)
"""First and last year of a time that somebody names: a day more, or another zone, must still be a date."""
MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 86_400
DAY: Final = timedelta(days=1)


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(tz=UTC)
