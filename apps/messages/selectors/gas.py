"""What gas has cost, what the queue will cost, and which guards hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Avg, Case, Count, ExpressionWrapper, F, Q, Sum, Value, When
from django.db.models.functions import Least
from django.utils.translation import gettext

from apps.core.errors import NotFound
from apps.core.fields import AddressField, AttoFilField
from apps.messages.models import ActorRules, AutoBumpRule, ExtraNode, GasGuard, GasSpend, Message
from apps.messages.selectors.receivers import receiver_kinds
from apps.messages.states import MessageState
from poolsite.filecoin.address import id_address
from poolsite.filecoin.message import METHOD_SEND

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date, datetime
    from uuid import UUID

    from django.db.models import QuerySet

    from apps.users.principals import Principal

LEARN_DAYS: Final = 7
"""Days of landings from which the gas of waiting messages is guessed."""
GAS_UNKNOWN: Final = 5_000_000
"""Guess for a message of a kind that never landed: between a transfer's and a small proof's."""
PREMIUM_USUAL: Final = 100_000
"""attoFIL; the least that a node's own estimate gives.  Source: venus messagepool MinGasPremium."""
LIMIT_PERCENT: Final = 125
"""The gas limit over the gas used; the tip is paid for the whole limit."""


def spend_visible(viewer: Principal) -> QuerySet[GasSpend]:
    """Return what landed messages cost: an operator sees all tenants', a tenant its own."""
    rows = GasSpend.objects.filter(messages__gt=0)
    if viewer.signers:
        rows = rows.filter(from_addr__in=viewer.signers)
    if viewer.miners:
        rows = rows.filter(to__in=[str(id_address(actor_id)) for actor_id in viewer.miners])
    return rows if viewer.is_operator else rows.filter(tenant=viewer.own_id)


def actor_rules_all() -> QuerySet[ActorRules]:
    """Return the fee rules for methods of actors, the oldest first."""
    return ActorRules.objects.order_by("created_at")


def extra_nodes() -> QuerySet[ExtraNode]:
    """Return the nodes that messages are published to beside the pool's own, the oldest first."""
    return ExtraNode.objects.order_by("created_at")


def today_of(now: datetime) -> date:
    """Return the day on which spending at `now` is written down."""
    return now.astimezone(UTC).date()


def spend_since(viewer: Principal, *, days: int, now: datetime) -> QuerySet[GasSpend]:
    """Return the spending of the last `days` days, today included."""
    return spend_visible(viewer).filter(day__gt=today_of(now) - timedelta(days=days))


SUMMED_BY: Final[dict[str, tuple[str, ...]]] = {
    "method": ("to", "method", "kind"),
    "tenant": ("tenant__name",),
    "sender": ("from_addr",),
    "day": ("day",),
}
"""What spending can be added up by, with the columns that tell its parts apart."""


@dataclass(frozen=True, slots=True)
class SpendSum:
    """What the messages with the same `key`, the columns of `SUMMED_BY`, have cost."""

    key: tuple[Any, ...]
    messages: int
    gas_used: int
    cost: int


def spend_summed(viewer: Principal, *, by: str, days: int, now: datetime) -> list[SpendSum]:
    """Add up the spending of the last days; days newest first, all else dearest first."""
    names = SUMMED_BY[by]
    rows = spend_since(viewer, days=days, now=now).order_by().values_list(*names)
    found = rows.annotate(many=Sum("messages"), gas=Sum("gas_used"), total=Sum("cost"))
    order = ("-day",) if by == "day" else ("-total", *names)
    return [
        SpendSum(tuple(row[:-3]), int(row[-3]), int(row[-2]), int(row[-1])) for row in found.order_by(*order)
    ]


def spend_by_sender(viewer: Principal, *, days: int, now: datetime) -> dict[str, tuple[int, int]]:
    """Return what each sender's gas cost in the last days, and on how many days it spent anything."""
    rows = spend_since(viewer, days=days, now=now).values("from_addr")
    found = rows.annotate(total=Sum("cost"), spent_days=Count("day", distinct=True))
    return {row["from_addr"]: (int(row["total"]), row["spent_days"]) for row in found}


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
    rows = Message.objects.filter(state__in=[MessageState.UNFILLED, MessageState.FILLED])
    if not viewer.is_operator:
        rows = rows.filter(tenant=viewer.own_id)
    counts = rows.annotate(receiver=RECEIVER).values("kind", "method", "receiver")
    found = counts.annotate(
        waiting=Count("pk", filter=Q(state=MessageState.UNFILLED)),
        in_flight=Count("pk", filter=Q(state=MessageState.FILLED)),
        premium=Avg("gas_premium", filter=Q(state=MessageState.FILLED)),
    )
    learnt = _gas_averages(viewer, now=now)
    costs = []
    for row in found:
        key = (row["kind"], row["method"])
        gas_each = learnt.get(key)
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


def _gas_averages(viewer: Principal, *, now: datetime) -> dict[tuple[str, int], int]:
    """Return the mean gas of each kind and method that landed lately."""
    rows = spend_since(viewer, days=LEARN_DAYS, now=now).values("kind", "method")
    found = rows.annotate(gas=Sum("gas_used"), many=Sum("messages"))
    return {(row["kind"], row["method"]): int(row["gas"]) // int(row["many"]) for row in found}


def guards_visible(viewer: Principal) -> QuerySet[GasGuard]:
    """Return the guards that hold for the viewer's messages: the pool's and its own; an operator sees all."""
    rows = GasGuard.objects.select_related("tenant").order_by("pk")
    return rows if viewer.is_operator else rows.filter(Q(tenant=None) | Q(tenant=viewer.own_id))


def guard_get(viewer: Principal, uuid: UUID | str) -> GasGuard:
    """Return one guard.  Raises NotFound for a stranger's too."""
    row = guards_visible(viewer).filter(uuid=uuid).first()
    if row is None:
        raise NotFound(gettext("there is no such guard"), field="uuid")
    return row


def auto_bump_rules(viewer: Principal) -> QuerySet[AutoBumpRule]:
    """Return the tenants' rules for proofs near their deadline."""
    rows = AutoBumpRule.objects.select_related("tenant").order_by("tenant__name")
    return rows if viewer.is_operator else rows.filter(tenant=viewer.own_id)


def guards_spent(guards: Collection[GasGuard], *, base_fee: int, now: datetime) -> dict[int, int]:
    """Return attoFIL of each guard's day by its pk: what landed, and what is in flight at this base fee.

    A message in flight counts with its whole limit, as it may cost that.
    """
    parts = ("tenant_id", "kind", "method", "to")
    landed = GasSpend.objects.filter(day=today_of(now)).order_by().values_list(*parts)
    paid = ExpressionWrapper(F("gas_premium") + Value(base_fee), output_field=AttoFilField())
    cost = ExpressionWrapper(F("gas_limit") * Least(F("gas_fee_cap"), paid), output_field=AttoFilField())
    flying = Message.objects.filter(state=MessageState.FILLED).order_by().values_list(*parts)
    rows = [*landed.annotate(total=Sum("cost")), *flying.annotate(total=Sum(cost))]
    kinds = receiver_kinds({row[3] for row in rows}) if any(guard.actor for guard in guards) else {}
    return {
        guard.pk: sum(
            int(total)
            for tenant_id, kind, method, to, total in rows
            if guard.tenant_id in (None, tenant_id)
            and guard.kind in ("", kind)
            and guard.method in (None, method)
            and guard.actor in ("", kinds.get(to, guard.actor if to else ""))
        )
        for guard in guards
    }
