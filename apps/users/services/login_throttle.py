"""Slowing down failing sign-ins, by name and by address, and reading who failed lately."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import Q

from apps.users.errors import LoginThrottled
from apps.users.models import LoginAttempt
from apps.users.rules.principals import Principal
from apps.users.selectors.people import people_visible

WINDOW: Final = timedelta(hours=1)
"""Older failures are forgiven."""
FREE_TRIES: Final[dict[str, int]] = {"both": 4, "username": 20, "source": 60}
"""Failures that cost nothing: of a name at one place, of a name from anywhere, of a place with any name."""
FIRST_WAIT_S, LAST_WAIT_S = 1, 300
"""The first wait; it doubles with each further failure up to the last."""
SECOND_FREE_TRIES: Final = 5
"""Wrong codes of a person without a delay: somebody with the password guesses one code of a million."""
SECOND_WAIT_S, SECOND_LAST_WAIT_S = 60, 3600
"""The same for codes: at most a dozen can be tried in an hour, from all addresses together."""
NAME_WAIT_S: Final = 30
"""The last wait of a name that is tried from anywhere: strangers cause it, its person has to live with it."""
RETENTION: Final = timedelta(days=30)
FAILURES_READ: Final = 1000
"""Of more tries in an hour than these, a page shows the newest."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Tries of one name at one place that came to nothing within the last hour."""

    username: str
    """As it was typed; there need not be such a person."""
    source: str
    count: int
    last_at: datetime
    is_slowed: bool
    """Whether the next try has to wait."""


def recent_login_failures_list(viewer: Principal, *, now: datetime) -> list[Failures]:
    """Return who was tried for lately, the last first: to a tenant's admin the names of its people only."""
    rows = LoginAttempt.objects.filter(is_good=False, at__gt=now - WINDOW).order_by("-at")
    if not viewer.is_operator:
        rows = rows.filter(username__in=people_visible(viewer).values("username"))
    groups: dict[tuple[str, str], list[datetime]] = {}
    for username, source, at in rows.values_list("username", "source", "at")[:FAILURES_READ]:
        groups.setdefault((username, source), []).append(at)
    return [
        Failures(username, source, len(times), times[0], len(times) > FREE_TRIES["both"])
        for (username, source), times in groups.items()
    ]


@transaction.atomic
def login_attempt_begin(
    *, username: str, source: str, now: datetime, is_second: bool = False
) -> LoginAttempt:
    """Write a try down as a failure, which its success takes back, and forget old ones.

    `is_second`: a code is tried, by somebody who has the password or a session.

    Tries of a name and of a place come here one after the other.  Raises LoginThrottled.
    """
    with connection.cursor() as cursor:
        for word in (f"login of {username}", f"login from {source[:64]}"):
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [word])
    wait_s = _login_delay_s(username=username, source=source, now=now, is_second=is_second)
    if wait_s:
        raise LoginThrottled(wait_s)
    LoginAttempt.objects.filter(at__lt=now - RETENTION).delete()
    return LoginAttempt.objects.create(
        at=now, username=username, source=source[:64], is_good=False, is_second=is_second
    )


def _login_delay_s(*, username: str, source: str, now: datetime, is_second: bool) -> int:
    """Return the seconds that this name at this place has to wait; 0 if it need not.

    Where the person came in lately only their own failures there slow them, not those of strangers with
    their name elsewhere or with other names at that address: anybody could keep them out.  A passkey that
    names its owner is tried without a name: only its place is slowed, or one place would slow everybody.
    """
    by_source, by_name = {"source": source[:64]}, {"username": username}
    by_both = by_name | by_source
    where: list[dict[str, str]] = [by_both]
    is_known = LoginAttempt.objects.filter(**by_both, is_good=True, at__gt=now - RETENTION).exists()
    waits = [_wait_s(by_both, free=FREE_TRIES["both"], now=now)]
    if not (username and is_known):
        waits.append(_wait_s(by_source, free=FREE_TRIES["source"], now=now))
        if username:
            waits.append(_wait_s(by_name, free=FREE_TRIES["username"], now=now, most_s=NAME_WAIT_S))
            where.append(by_name)
    if is_second:
        slow: dict[str, int] = {"first_s": SECOND_WAIT_S, "most_s": SECOND_LAST_WAIT_S}
        waits += [_wait_s(one, free=SECOND_FREE_TRIES, now=now, only_second=True, **slow) for one in where]
    return max(waits)


def _wait_s(
    where: dict[str, str],
    *,
    free: int,
    now: datetime,
    first_s: int = FIRST_WAIT_S,
    most_s: int = LAST_WAIT_S,
    only_second: bool = False,
) -> int:
    """Return the seconds that one group has to wait: failures since its last good login count.

    Those further ahead than `WINDOW` were written by a clock that was wrong.
    """
    recent = LoginAttempt.objects.filter(**where, at__gt=now - WINDOW, at__lt=now + WINDOW)
    if only_second:
        recent = recent.filter(Q(is_second=True) | Q(is_good=True))
    recent = recent.order_by("-at", "-pk")
    failures = []
    for at, is_good in recent.values_list("at", "is_good")[: free + 20]:
        if is_good:
            break
        failures.append(at)
    if len(failures) <= free:
        return 0
    pause = min(first_s * 2 ** (len(failures) - free - 1), most_s)
    left = (failures[0] + timedelta(seconds=pause) - now).total_seconds()
    return max(int(left) + 1, 0) if left > 0 else 0
