"""Reading whose second factor somebody tries to guess, with the right password or in a session."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import QuerySet

from apps.users.models import LoginAttempt
from apps.users.rules.principals import Principal
from apps.users.selectors.people import people_visible

SHOWN: Final = timedelta(days=1)
"""How long wrong codes are shown."""
SUSPICIOUS: Final = 5
"""Wrong codes in that time from which a person is listed: who has the app rarely mistypes so often."""
READ_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class GuessedFactor:
    """Wrong codes of one person."""

    username: str
    count: int
    sources: tuple[str, ...]
    """Addresses that the codes came from, the latest first."""


def wrong_codes(since: datetime) -> QuerySet[LoginAttempt]:
    """Return the wrong codes since a moment."""
    return LoginAttempt.objects.filter(is_second=True, is_good=False, at__gt=since)


def factors_guessed(viewer: Principal, *, now: datetime) -> list[GuessedFactor]:
    """Return the people that the viewer sees for whom many codes were wrong lately."""
    rows = wrong_codes(now - SHOWN).filter(username__in=people_visible(viewer).values("username"))
    groups: dict[str, list[str]] = {}
    for username, source in rows.order_by("-at").values_list("username", "source")[:READ_MAX]:
        groups.setdefault(username, []).append(source)
    return [
        GuessedFactor(name, len(sources), tuple(dict.fromkeys(sources)))
        for name, sources in groups.items()
        if len(sources) >= SUSPICIOUS
    ]
