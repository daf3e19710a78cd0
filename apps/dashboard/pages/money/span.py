"""Which UTC days of money a page or a file shows: the last ones, or those of a period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from apps.blocks.selectors.money import money_by_miner
from apps.dashboard.day_spans import day_facets, day_read, days_read
from apps.messages.selectors.spend import today_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.http import HttpRequest

    from apps.blocks.selectors.money import MoneyLine
    from apps.dashboard.pagination import Facet
    from apps.miners.models import Miner

DAYS: Final = (1, 7, 30, 90, 365)
DAYS_USUAL: Final = 30


@dataclass(frozen=True, slots=True)
class MoneySpan:
    """The days that are asked for."""

    days: int
    """How many the page looks back if no period is asked for, today included."""
    since: date | None
    """First day of a period; None: the first that is recorded."""
    until: date | None
    """Last one; None: today."""

    @classmethod
    def of(cls, request: HttpRequest) -> MoneySpan:
        """Read them from an address."""
        return cls(
            days_read(request, choices=DAYS, usual=DAYS_USUAL),
            day_read(request.GET.get("since", "")),
            day_read(request.GET.get("until", "")),
        )

    @property
    def is_period(self) -> bool:
        """Whether they are those of a period."""
        return self.since is not None or self.until is not None

    @property
    def query(self) -> dict[str, str]:
        """Return what an address says of them."""
        if not self.is_period:
            return {"days": str(self.days)}
        return {
            name: day.isoformat() for name in ("since", "until") if (day := getattr(self, name)) is not None
        }

    def reaches(self, now: datetime) -> bool:
        """Return whether the newest day is among them."""
        return self.until is None or self.until >= today_of(now)

    def facets(self, here: str) -> list[Facet]:
        """Return the choice of last days; none is chosen where it is a period."""
        return day_facets(here, choices=DAYS, days=0 if self.is_period else self.days)

    def lines(self, miners: Sequence[Miner], *, now: datetime) -> dict[int, list[MoneyLine]]:
        """Return the lines of miners that have some, by their pk, the newest first."""
        first, days = self.since or date.min, self.days
        if self.is_period:
            days = (today_of(now) - first).days + 1
        found = money_by_miner(miners, days=days, now=now)
        if self.until is None:
            return found
        shown = {pk: [line for line in lines if line.day <= self.until] for pk, lines in found.items()}
        return {pk: lines for pk, lines in shown.items() if lines}
