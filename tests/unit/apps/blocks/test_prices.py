"""What a FIL was worth: the sources that are read, what is refused of them, and days without a price."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from apps.blocks.models import DayPrice, PriceReading
from apps.blocks.selectors.prices import Worth, prices_on
from apps.blocks.services.prices import BadPrices, prices_parse, prices_read
from apps.core.day_ranges import DayRange
from poolsite.filecoin.amounts import FIL

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIRST, SECOND, THIRD = (date(2026, 11, day) for day in (1, 2, 3))
DAYS = DayRange(FIRST, THIRD)


@pytest.mark.parametrize(
    "text",
    [
        "day,USD\n2026-11-01,5.5\n2026-11-02,6\n",
        "2026-11-01,5.5\r\n\r\n2026-11-02,6",
        '{"2026-11-01": 5.5, "2026-11-02": "6"}',
        json.dumps({"prices": [[1793491200000, 5.5], [1793520000000, 5.9], [1793577600000, 6]]}),
    ],
)
def test_each_form_says_the_same_prices(text: str) -> None:
    assert prices_parse(text) == {FIRST: Decimal("5.5"), SECOND: 6}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>sign in</html>",
        "day,USD\n",
        "2026-11-01",
        "2026-13-01,5",
        "2026-11-01,-5",
        "2026-11-01,NaN",
        "2026-11-01,0",
        '{"prices": 7}',
        '{"prices": [[1e30, 5]]}',
        "{",
    ],
)
def test_what_has_no_prices_is_refused(text: str) -> None:
    with pytest.raises(BadPrices):
        prices_parse(text)


def test_a_file_is_read_and_a_later_one_corrects_it(settings: Any, tmp_path: Path) -> None:
    source = tmp_path / "prices.csv"
    settings.FIL_PRICES, settings.FIL_PRICES_CURRENCY = str(source), "EUR"
    source.write_text("2026-11-01,5\n2026-11-02,6\n")
    prices_read(now=NOW)
    source.write_text("2026-11-02,7\n")
    prices_read(now=NOW)

    assert prices_on(DAYS).by_day == {FIRST: 5, SECOND: 7}
    settings.FIL_PRICES_CURRENCY = "USD"
    assert prices_on(DAYS).by_day == {}, "no amount is worth the price of another currency"
    settings.FIL_PRICES = ""
    assert prices_on(DAYS).currency == ""


def test_a_source_that_is_away_leaves_the_prices_and_says_why(settings: Any, tmp_path: Path) -> None:
    DayPrice.objects.create(day=FIRST, currency="USD", price=5)
    settings.FIL_PRICES = str(tmp_path / "missing.csv")

    prices_read(now=NOW)

    row = PriceReading.objects.get()
    assert (row.tried_at, row.read_at) == (NOW, None)
    assert row.error
    assert prices_on(DAYS).by_day == {FIRST: 5}


@pytest.fixture
def url() -> Iterator[str]:
    """A server of this machine with prices."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if "gone" in self.path else 200)
            self.end_headers()
            self.wfile.write(b"2026-11-01,5\n")

        def log_message(self, *_args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/prices"
    server.shutdown()
    server.server_close()


def test_a_url_is_reached_by_the_checked_connection_alone(settings: Any, url: str) -> None:
    settings.FIL_PRICES = url
    prices_read(now=NOW)
    assert PriceReading.objects.get().error == "its host has no public address"
    assert prices_on(DAYS).by_day == {}

    settings.ALERT_URLS_PRIVATE = True
    prices_read(now=NOW)
    row = PriceReading.objects.get()
    assert (row.error, row.read_at) == ("", NOW)
    assert prices_on(DAYS).by_day == {FIRST: 5}

    settings.FIL_PRICES = f"{url}/gone"
    prices_read(now=NOW)
    assert PriceReading.objects.get().error == "HTTP status 404"


def test_a_host_that_no_resolver_takes_is_named_as_the_reason(settings: Any) -> None:
    settings.FIL_PRICES = f"https://{'a' * 64}.example/prices"

    prices_read(now=NOW)

    assert PriceReading.objects.get().error == "the host's name cannot be resolved"


def test_each_day_counts_at_its_own_price_and_one_without_is_named(settings: Any) -> None:
    settings.FIL_PRICES = "prices.csv"
    for day, price in ((FIRST, 5), (SECOND, 6)):
        DayPrice.objects.create(day=day, currency="USD", price=price)
    prices = prices_on(DAYS)

    assert prices.worth({FIRST: FIL, SECOND: -2 * FIL}) == Worth(Decimal(-7), ())
    assert prices.worth({FIRST: FIL, THIRD: FIL}) == Worth(Decimal(5), (THIRD,))
    assert prices.worth({THIRD: FIL}) == Worth(None, (THIRD,))
    assert prices.worth({THIRD: 0}) == Worth(Decimal(0), ())
