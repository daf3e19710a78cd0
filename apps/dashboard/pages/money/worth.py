"""What amounts on *Money* were worth in the operator's currency, and what is not known of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from django.utils.translation import gettext

from apps.blocks.selectors.prices import Prices, price_reading
from apps.core.formatting import NARROW, plural
from apps.core.languages import list_text
from apps.core.local_time import moment_text
from apps.core.reasons import shown_text

CENT: Final = Decimal("0.01")
DAYS_NAMED: Final = 5
"""Days without a price that a page names; of more it says how many there are."""


def value_text(value: Decimal, currency: str) -> str:
    """Return an amount of the currency: `1 234.50 USD`; a tiny one keeps its first digits."""
    is_tiny = value and abs(value) < CENT
    number = f"{Decimal(f'{value:.2g}'):f}" if is_tiny else f"{value:,.2f}"
    return f"{number} {currency}".replace(",", NARROW)


def worth_text(prices: Prices, amounts: Mapping[date, int]) -> str:
    """Return what amounts of some days were worth; empty where no source of prices is set."""
    if not prices.currency:
        return ""
    worth = prices.worth(amounts)
    if worth.value is None:
        return gettext("no price in {currency}").format(currency=prices.currency)
    text = value_text(worth.value, prices.currency)
    if not worth.unpriced:
        return text
    return gettext("{value}, without {days}").format(value=text, days=plural(len(worth.unpriced), "day"))


def unpriced_text(prices: Prices, days: Collection[date]) -> str:
    """Return which days have no price, and why prices could not be read; empty where nothing is missing."""
    if not prices.currency:
        return ""
    missing = sorted(day for day in days if day not in prices.by_day)
    if not missing:
        return ""
    named = [day.isoformat() for day in missing[:DAYS_NAMED]]
    if more := len(missing) - len(named):
        named.append(gettext("{days} more").format(days=plural(more, "day")))
    text = gettext("No price in {currency} for: {days}. Amounts in {currency} leave these days out.").format(
        currency=prices.currency, days=list_text(named)
    )
    reading = price_reading()
    if reading is None:
        return f"{text} {gettext('Prices have not been read yet.')}"
    if reading.error and reading.tried_at is not None:
        why = gettext("They could not be read at {at}: {error}.").format(
            at=moment_text(reading.tried_at), error=shown_text(reading.error)
        )
        return f"{text} {why}"
    return text
