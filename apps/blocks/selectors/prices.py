"""What amounts were worth, at each day's own price; of a day without one that is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.conf import settings

from apps.blocks.models import DayPrice, PriceReading
from apps.core.day_ranges import DayRange
from poolsite.filecoin.amounts import FIL


@dataclass(frozen=True, slots=True)
class Worth:
    """What amounts of some days were worth."""

    value: Decimal | None
    """In the currency; None where no day of them has a price."""
    unpriced: tuple[date, ...]
    """Days with an amount that have no price: they are not in the value."""


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of some days."""

    currency: str
    """Empty: the operator has set no source of prices."""
    by_day: Mapping[date, Decimal]

    def worth(self, amounts: Mapping[date, int]) -> Worth:
        """Return what attoFIL of some days were worth, each at its day's price."""
        moved = {day: amount for day, amount in amounts.items() if amount}
        parts = [amount * self.by_day[day] / FIL for day, amount in moved.items() if day in self.by_day]
        unpriced = tuple(sorted(day for day in moved if day not in self.by_day))
        return Worth(sum(parts, Decimal(0)) if parts or not unpriced else None, unpriced)


def prices_on(days: DayRange) -> Prices:
    """Return the prices of some days, in the currency that is set; none where no source is."""
    if not settings.FIL_PRICES:
        return Prices("", {})
    currency = settings.FIL_PRICES_CURRENCY
    rows = DayPrice.objects.filter(currency=currency, day__gte=days.first, day__lte=days.last)
    return Prices(currency, dict(rows.values_list("day", "price")))


def price_reading() -> PriceReading | None:
    """Return how the last reading of prices went; None before the first."""
    return PriceReading.objects.first()
