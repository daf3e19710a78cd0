"""A tenant's rate limits and what is left of them."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext

from apps.core import formatting
from apps.core.languages import colon_text
from apps.users.selectors.rate_limits import RateUsed


@dataclass(frozen=True, slots=True)
class RateRow:
    """How much of a service a tenant may use, and how much of that it did."""

    key: str
    what: str
    rate: str
    left: str
    pct: int
    tone: str
    empty_in: str


def span_text(seconds: float) -> str:
    """`1 s`, `1 min`, `24 h`."""
    for size, name in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {name}"
    return gettext("{seconds:g} s").format(seconds=seconds)


def rate_row(used: RateUsed) -> RateRow:
    """Lay out one rate."""
    row, usage = used.row, used.usage
    named = colon_text(row.service or gettext("every service"), row.api) if row.api else row.service
    rate = gettext("{capacity} in {reset_ns}").format(
        capacity=formatting.whole(row.capacity), reset_ns=span_text(row.reset_ns / 10**9)
    )
    return RateRow(
        key=str(row.uuid),
        what=named or gettext("everything"),
        rate=rate if row.capacity else gettext("no limit"),
        left=gettext("{left} left").format(left=formatting.whole(usage.left))
        if usage is not None
        else formatting.NOTHING,
        pct=round(100 * usage.used / usage.capacity) if usage is not None else 0,
        tone="bad" if usage is not None and usage.is_over else "run",
        empty_in=formatting.time_left(usage.reset_s) if usage is not None and usage.used else "",
    )
