"""Reading what a FIL was worth on each day from the operator's file or URL."""

from __future__ import annotations

import csv
import json
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import transaction

from apps.blocks.models import DayPrice, PriceReading
from apps.blocks.reasons import PRICES_STATUS, PRICES_TOO_LARGE, PRICES_UNREADABLE
from apps.chain.node.public_hosts import HostNotPublic, PublicConnections
from apps.core.connection_faults import fault_reason
from apps.core.reasons import as_reason

log = structlog.get_logger(__name__)

CONNECT_S: Final = 5.0
ANSWER_S: Final = 20.0
BYTES_MAX: Final = 4 << 20
"""Maximum size of a price file or an answer; fifty years of days take a tenth of it."""
PRICE_MAX: Final = Decimal(10) ** 11
PLACES: Final = Decimal("1e-12")
FAULTS: Final = (
    *(ValueError, TypeError, AttributeError, LookupError, OSError),
    *(InvalidOperation, OverflowError, RecursionError, csv.Error),
)
"""Errors of reading a text that is something else."""


class BadPrices(ValueError):
    """The file or the answer has no prices that can be read."""


def prices_read(*, now: datetime) -> None:
    """Read the prices of all days and store them; nothing where no source is set.

    A day that the source no longer names keeps its price.  A failure is stored for the page, prices stay.
    """
    if not settings.FIL_PRICES:
        return
    error, found = "", dict[date, Decimal]()
    try:
        found = prices_parse(_source_read(settings.FIL_PRICES))
    except (BadPrices, HostNotPublic) as fault:
        error = as_reason(fault.args[0])
    except (OSError, HTTPException, UnicodeError) as fault:
        error = fault_reason(fault)
    if error:
        log.warning("prices_not_read", reason=error[:200])
    _store(found, error=error, now=now)


@transaction.atomic
def _store(found: dict[date, Decimal], *, error: str, now: datetime) -> None:
    values: dict[str, Any] = {"tried_at": now, "error": error} | ({} if error else {"read_at": now})
    PriceReading.objects.update_or_create(pk=1, defaults=values)
    currency = settings.FIL_PRICES_CURRENCY
    rows = [DayPrice(day=day, currency=currency, price=price) for day, price in found.items()]
    DayPrice.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["day", "currency"], update_fields=["price"]
    )


def _source_read(source: str) -> str:
    """Return the text of a file, or of a URL by the checked connection: it reaches public hosts alone.

    Raises OSError, HTTPException, UnicodeError, BadPrices.
    """
    if not source.startswith(("http://", "https://")):
        with Path(source).open("rb") as file:
            data = file.read(BYTES_MAX + 1)
        if len(data) > BYTES_MAX:
            raise BadPrices(PRICES_TOO_LARGE(limit=BYTES_MAX))
        return data.decode(errors="replace")
    headers = {"User-Agent": "Poolsite", "Accept": "text/csv, application/json", "Connection": "close"}
    connections = PublicConnections(source, headers, answer_max=BYTES_MAX)
    try:
        status, body = connections.request("GET", None, connect_s=CONNECT_S, answer_s=ANSWER_S)
    finally:
        connections.close()
    if status != 200:
        raise BadPrices(PRICES_STATUS(status=status))
    return body.decode(errors="replace")


def prices_parse(text: str) -> dict[date, Decimal]:
    """Return prices by UTC day.  Raises BadPrices.

    Lines of `2026-11-28,5.43`; or JSON: an object of days and prices, or `{"prices": [[milliseconds, price],
    …]}` as market_chart of CoinGecko has it, of which a day's first price counts.
    """
    try:
        found = _of_json(json.loads(text)) if text.lstrip().startswith("{") else _of_lines(text)
    except FAULTS as error:
        raise BadPrices(PRICES_UNREADABLE()) from error
    if not found:
        raise BadPrices(PRICES_UNREADABLE())
    return found


def _of_lines(text: str) -> dict[date, Decimal]:
    rows = [row for row in csv.reader(text.splitlines()) if row and any(cell.strip() for cell in row)]
    if rows and not rows[0][0].strip()[:4].isdigit():
        rows = rows[1:]
    return {date.fromisoformat(row[0].strip()): _price(row[1]) for row in rows}


def _of_json(value: Any) -> dict[date, Decimal]:
    if "prices" not in value:
        return {date.fromisoformat(day): _price(price) for day, price in value.items()}
    found: dict[date, Decimal] = {}
    for at, price in sorted(value["prices"]):
        found.setdefault(datetime.fromtimestamp(at / 1000, tz=UTC).date(), _price(price))
    return found


def _price(value: Any) -> Decimal:
    """Read one price, above 0.  Raises ValueError, InvalidOperation."""
    price = Decimal(str(value).strip())
    if not price.is_finite() or not 0 < price < PRICE_MAX:
        raise ValueError(str(value))
    return price.quantize(PLACES)
