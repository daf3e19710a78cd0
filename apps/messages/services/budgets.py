"""What a round of selection may still spend of the guards' days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from apps.core.marked_texts import gettext
from apps.messages.errors import FeeTooLow
from apps.messages.models import GasGuard, Message
from apps.messages.rules.guard_choice import guard_choose
from apps.messages.selectors.gas_guards import guards_spent
from apps.messages.selectors.receivers import receiver_kinds
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.message import Message as ChainMessage


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

    def cost_now(self, message: ChainMessage) -> int:
        """Return what a message's whole gas costs at the present base fee: what budgets count."""
        price = min(message.gas_fee_cap, self.base_fee + message.gas_premium)
        return int(message.gas_limit * price)

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


def replacement_plan(message: Message, *, new: ChainMessage, budgets: Budgets) -> None:
    """Count what a message in flight would cost beyond what it costs now.  Raises FeeTooLow."""
    more = budgets.cost_now(new) - budgets.cost_now(message.chain_message())
    guards = list(GasGuard.objects.filter(daily_budget__gt=0)) if more > 0 else []
    kind = receiver_kinds([message.to]).get(message.to, "") if guards else ""
    binding = guard_choose(message, guards=guards, receiver=kind).budgets
    left = budgets.room(binding)
    if left is not None and more > left:
        raise FeeTooLow(
            gettext(
                "replacing it costs {more} more at the present base fee, and the daily budget of a gas guard "
                "has {left} left"
            ).format(more=fil_format(more), left=fil_format(max(left, 0))),
            field="max_fee",
        )
    budgets.plan(binding, more)
