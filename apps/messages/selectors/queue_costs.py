"""Reading what the gas of messages that wait will cost, learned from those that landed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Avg, Case, Count, F, Q, Sum, Value, When

from apps.core.fields import AddressField
from apps.messages.models import Message
from apps.messages.selectors.messages import messages_visible
from apps.messages.selectors.spend import spend_since
from apps.messages.states import MessageState
from apps.users.rules.principals import SYSTEM, Principal
from poolsite.filecoin.message import METHOD_SEND

LEARN_DAYS: Final = 7
"""Days of landings from which the gas of waiting messages is guessed."""
GAS_UNKNOWN: Final = 5_000_000
"""Guess for a message of a kind that never landed: between a transfer's and a small proof's."""
PREMIUM_USUAL: Final = 100_000
"""attoFIL; the least that a node's own estimate gives.  Source: venus messagepool MinGasPremium."""
LIMIT_PERCENT: Final = 125
"""The gas limit over the gas used; the tip is paid for the whole limit."""


@dataclass(frozen=True, slots=True)
class QueueCost:
    """What the messages of one kind that are on their way will probably cost."""

    kind: str
    method: int
    to: str
    """Empty for transfers."""
    waiting: int
    in_flight: int
    gas: int
    """Gas that they will probably use."""
    tips: int
    """attoFIL of tips, which do not depend on the base fee."""
    is_guess: bool
    """True if nothing of this kind has landed lately, so that its gas is not known."""

    def cost(self, base_fee: int) -> int:
        """Return attoFIL at a base fee."""
        return self.gas * base_fee + self.tips


RECEIVER: Final = Case(When(method=METHOD_SEND, then=Value("")), default=F("to"), output_field=AddressField())
"""Transfers have any number of receivers: they count as one kind."""


def queue_costs(viewer: Principal, *, now: datetime) -> list[QueueCost]:
    """Forecast what waits and what is in flight; dearest gas first.

    The gas of what has no limit yet is what its kind used lately.
    """
    rows = messages_visible(viewer).filter(state__in=[MessageState.UNFILLED, MessageState.FILLED])
    counts = rows.order_by().annotate(receiver=RECEIVER).values("kind", "method", "receiver")
    found = counts.annotate(
        waiting=Count("pk", filter=Q(state=MessageState.UNFILLED)),
        in_flight=Count("pk", filter=Q(state=MessageState.FILLED)),
        premium=Avg("gas_premium", filter=Q(state=MessageState.FILLED)),
    )
    averages = _gas_averages(viewer, now=now)
    costs = []
    for row in found:
        key = (row["kind"], row["method"])
        gas_each = averages.get(key)
        many = row["waiting"] + row["in_flight"]
        gas = (gas_each or GAS_UNKNOWN) * many
        premium = int(row["premium"] or PREMIUM_USUAL)
        costs.append(
            QueueCost(
                kind=row["kind"],
                method=row["method"],
                to=row["receiver"],
                waiting=row["waiting"],
                in_flight=row["in_flight"],
                gas=gas,
                tips=gas * LIMIT_PERCENT // 100 * premium,
                is_guess=gas_each is None,
            )
        )
    return sorted(costs, key=lambda cost: (-cost.gas, cost.kind, cost.method, cost.to))


def waiting_most(sender: str, *, fee_cap: int, now: datetime) -> int:
    """Return attoFIL that a sender's messages without a nonce may take: values, and gas at this fee cap.

    One that waits for approval takes it once it is approved.
    """
    rows = Message.objects.filter(from_addr=sender, state=MessageState.UNFILLED).order_by()
    found = rows.values("kind", "method").annotate(many=Count("pk"), sent=Sum("value"))
    averages = _gas_averages(SYSTEM, now=now) if found else {}
    total = 0
    for row in found:
        gas = averages.get((row["kind"], row["method"]), GAS_UNKNOWN) * LIMIT_PERCENT // 100
        total += int(row["sent"]) + row["many"] * gas * fee_cap
    return total


def _gas_averages(viewer: Principal, *, now: datetime) -> dict[tuple[str, int], int]:
    """Return the mean gas of each kind and method that landed lately."""
    rows = spend_since(viewer, days=LEARN_DAYS, now=now).values("kind", "method")
    found = rows.annotate(gas=Sum("gas_used"), many=Sum("messages"))
    return {(row["kind"], row["method"]): int(row["gas"]) // int(row["many"]) for row in found}
