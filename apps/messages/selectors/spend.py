"""Reading what gas has cost, by day, sender, kind or receiver."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Min, QuerySet, Sum

from apps.core.day_ranges import DayRange, last_days, today_of
from apps.messages.models import GasSpend
from apps.users.rules.principals import Principal
from poolsite.filecoin.address import id_address


def spend_visible(viewer: Principal) -> QuerySet[GasSpend]:
    """Return what landed messages cost: an operator sees all tenants', a tenant its own."""
    rows = GasSpend.objects.filter(messages__gt=0)
    if viewer.signers:
        rows = rows.filter(from_addr__in=viewer.signers)
    if viewer.miners:
        rows = rows.filter(to__in=[str(id_address(actor_id)) for actor_id in viewer.miners])
    return rows if viewer.is_operator else rows.filter(tenant=viewer.own_id)


def spend_on(viewer: Principal, days: DayRange) -> QuerySet[GasSpend]:
    """Return the spending of some days."""
    return spend_visible(viewer).filter(day__gte=days.first, day__lte=days.last)


def spend_since(viewer: Principal, *, days: int, now: datetime) -> QuerySet[GasSpend]:
    """Return the spending of the last `days` days, today included."""
    return spend_on(viewer, last_days(days, now=now))


PACE_DAYS_LEAST: Final = 2
"""Days of gas costs from which a balance's end is forecast."""

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


def spend_summed(viewer: Principal, *, by: str, days: DayRange) -> list[SpendSum]:
    """Add up the spending of some days; days newest first, all else dearest first."""
    names = SUMMED_BY[by]
    rows = spend_on(viewer, days).order_by().values_list(*names)
    found = rows.annotate(many=Sum("messages"), gas=Sum("gas_used"), total=Sum("cost"))
    order = ("-day",) if by == "day" else ("-total", *names)
    return [
        SpendSum(tuple(row[:-3]), int(row[-3]), int(row[-2]), int(row[-1])) for row in found.order_by(*order)
    ]


def spend_by_sender(viewer: Principal, *, days: int, now: datetime) -> dict[str, int]:
    """Return what each sender's gas cost in the last days, of the viewer's own messages."""
    rows = spend_since(viewer, days=days, now=now).values("from_addr")
    return {row["from_addr"]: int(row["total"]) for row in rows.annotate(total=Sum("cost"))}


def spend_pace(
    addresses: Collection[str] | QuerySet[Any, Any], *, days: int, now: datetime
) -> dict[str, tuple[int, int]]:
    """Return what the gas of these addresses cost in the last days, and of how many days that is.

    Whoever sent it: tenants that share an address share its balance.  The days are those from its first
    spending in them to today; one day, which is not over, says nothing of the next (`PACE_DAYS_LEAST`).
    """
    today = today_of(now)
    rows = GasSpend.objects.filter(
        messages__gt=0, day__gt=today - timedelta(days=days), from_addr__in=addresses
    )
    found = rows.order_by().values("from_addr").annotate(total=Sum("cost"), first=Min("day"))
    return {row["from_addr"]: (int(row["total"]), (today - row["first"]).days + 1) for row in found}
