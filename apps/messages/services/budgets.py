"""What a round of selection may still spend of the guards' days."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from apps.messages.models import GasGuard
from apps.messages.selectors.gas_guards import guards_spent

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


@dataclass(slots=True)
class Budgets:
    """What a round of selection may still spend, and what it plans to."""

    base_fee: int
    now: datetime
    rooms: dict[int, int] = field(default_factory=dict)
    """attoFIL left of each guard's day, before what is planned."""
    planned: dict[int, int] = field(default_factory=dict)

    def room(self, guards: Iterable[GasGuard]) -> int | None:
        """Return what is left of the tightest of these budgets; None without any."""
        left = []
        for guard in guards:
            if guard.pk not in self.rooms:
                spent = guards_spent([guard], base_fee=self.base_fee, now=self.now)[guard.pk]
                self.rooms[guard.pk] = int(guard.daily_budget) - spent
            left.append(self.rooms[guard.pk] - self.planned.get(guard.pk, 0))
        return min(left, default=None)

    def plan(self, guards: Iterable[GasGuard], cost: int) -> None:
        """Count a chosen message."""
        for guard in guards:
            self.planned[guard.pk] = self.planned.get(guard.pk, 0) + cost

    def still_fit(self) -> bool:
        """Look again under a lock: other senders may have spent of the same day meanwhile.

        Must run in the transaction that stores what is planned.
        """
        if not self.planned:
            return True
        rows = list(GasGuard.objects.select_for_update().filter(pk__in=list(self.planned)).order_by("pk"))
        spent = guards_spent(rows, base_fee=self.base_fee, now=self.now)
        return all(
            spent[row.pk] + self.planned[row.pk] <= row.daily_budget for row in rows if row.daily_budget
        )
