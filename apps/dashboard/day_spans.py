"""How many days a page looks back: read from its address, and the choice of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.http import urlencode
from django.utils.translation import gettext

from apps.dashboard.pagination import Facet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest


def days_read(request: HttpRequest, *, choices: Sequence[int], usual: int) -> int:
    """Return the days that are asked for, or how many it usually is."""
    text = request.GET.get("days", "")
    return int(text) if text in {str(days) for days in choices} else usual


def day_facets(here: str, *, choices: Sequence[int], days: int, **others: str) -> list[Facet]:
    """Return the choice of days with their addresses; other parts of the address go along."""
    return [
        Facet(
            key=str(count),
            label=gettext("today (UTC)") if count == 1 else gettext("{count} days").format(count=count),
            href=f"{here}?{urlencode({**others, 'days': str(count)})}",
            on=count == days,
        )
        for count in choices
    ]
