"""Money on the pages and over REST: sums by miner, one miner's days, CSV, and whose they are."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.blocks.models import DayPrice
from apps.core.clock import now
from apps.miners.models import Miner, MinerDay, RewardEstimate
from poolsite.filecoin.amounts import FIL
from poolsite.wire.pipeline import SectorState
from tests import factories, people
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def miner() -> Miner:
    """Alice's miner, whose second day runs; on the first it was sent 6 FIL and burnt 2."""
    factories.head(3000)
    miner = factories.miner(2001, name="north", balance=103 * FIL, refreshed_height=3000)
    midnight = datetime.combine(now().date(), time.min, UTC)
    factories.miner_day(miner, began_at=midnight - timedelta(days=1), height=1000, balance=100 * FIL)
    factories.miner_day(miner, began_at=midnight, height=2000, balance=104 * FIL, received=6 * FIL)
    factories.spend(factories.bls(1), to="f02001", method=5, cost=FIL // 2)
    people.person("ann")
    people.person("bill", of="bob")
    return miner


def rest(path: str, **query: Any) -> Any:
    return Client().get(f"/api/v1/{path}", query, headers=people.bearer(people.token("read")))


def test_the_page_adds_up_each_miner_and_leads_to_its_days(miner: Miner) -> None:
    client = signed_in("ann")

    page = text_of(client.get(reverse("money")))
    days = client.get(reverse("miner-money", args=["f02001"]), {"days": "7"})

    assert "north" in page
    assert "-3.5000" in page, "2 and 1 burnt, and half a FIL of gas"
    assert reverse("miner-money", args=["f02001"]) in client.get(reverse("money")).content.decode()
    text = text_of(days)
    for part in (
        "Money of north",
        now().date().isoformat(),
        "00:00 UTC to now",
        "00:00 to 00:00 UTC",
        "6.0000",
    ):
        assert part in text, part


def test_the_page_says_when_nothing_is_recorded_yet() -> None:
    people.person("ann")
    factories.miner(2001)
    client = signed_in("ann")

    for path in (reverse("money"), reverse("miner-money", args=["f02001"])):
        assert "Nothing recorded yet" in text_of(client.get(path))


def test_the_days_come_as_csv_in_attofil(miner: Miner) -> None:
    answer = signed_in("ann").get(reverse("money-csv"), {"miner": "f02001"})
    today, yesterday = csv.DictReader(io.StringIO(b"".join(answer).decode()))

    assert (today["miner"], today["end"], today["gas_atto"]) == ("f02001", "", str(FIL // 2))
    assert (yesterday["received_atto"], yesterday["other_atto"]) == (str(6 * FIL), str(-2 * FIL))
    assert yesterday["net_atto"] == str(-2 * FIL)


def test_rest_has_the_same_days_and_sums(miner: Miner) -> None:
    [total] = rest("money", days=7).json()["results"]
    today, yesterday = rest("miners/f02001/money").json()["results"]

    assert (total["miner"], total["opening"], total["closing"]) == ("f02001", str(100 * FIL), str(103 * FIL))
    assert (total["received"], total["other"]) == (str(6 * FIL), str(-3 * FIL))
    assert (today["other"], yesterday["other"]) == (str(-FIL), str(-2 * FIL))
    assert (today["end"], yesterday["end"]) == (None, today["begin"])
    assert [row["day"] for row in rest("miners/f02001/money", days=1).json()["results"]] == [today["day"]]


def test_days_that_are_no_number_are_refused_by_name(miner: Miner) -> None:
    for days in ("0", "all", "-1"):
        answer = rest("money", days=days)
        assert (answer.status_code, answer.json()["field"]) == (400, "days")


def test_fiat_stands_beside_fil_and_a_day_without_a_price_is_named(miner: Miner, settings: Any) -> None:
    settings.FIL_PRICES = "prices.csv"
    yesterday, client = (now() - timedelta(days=1)).date(), signed_in("ann")
    DayPrice.objects.create(day=yesterday, currency="USD", price=5)

    page = text_of(client.get(reverse("money")))
    days = text_of(client.get(reverse("miner-money", args=["f02001"])))

    assert "-10.00 USD, without 1 day" in page, "2 FIL of yesterday; today has no price"
    assert f"No price in USD for: {now().date().isoformat()}" in page
    assert "Prices have not been read yet." in page
    assert "-10.00 USD" in days
    assert "no price in USD" in days
    assert rest("money/sums").json()["worth"] == {
        "currency": "USD",
        "value": "-10.00",
        "unpriced": [now().date().isoformat()],
    }
    settings.FIL_PRICES = ""
    assert "USD" not in text_of(client.get(reverse("money")))


def test_power_costs_and_live_sectors_owe_what_is_known_of_them(miner: Miner) -> None:
    client = signed_in("ann")
    page = text_of(client.get(reverse("money")))
    assert "not known: no day with power is recorded" in page
    assert "not known: no node has answered yet" in page
    assert rest("money/sums").json()["live_sectors"] is None

    MinerDay.objects.filter(height=1000).update(qa_power=2 << 40)
    estimates = ("reward_position", "reward_velocity", "power_position", "power_velocity")
    RewardEstimate.objects.create(
        pk=1, height=3000, circulating=10**9 * FIL, **dict.fromkeys(estimates, 1 << 130)
    )
    factories.sector(
        miner, state=SectorState.PROVING, activation=2999, expiration=3000 + 2880, initial_pledge=FIL
    )
    found = rest("money/sums").json()

    assert int(found["cost_of_tib_day"]) == FIL, "2 FIL of a day for 2 TiB"
    assert found["live_sectors"]["sectors"] == 1
    assert int(found["live_sectors"]["termination"]) >= FIL // 50
    assert found["live_sectors"]["daily_fees"] == found["live_sectors"]["fees_to_end"]
    page = text_of(client.get(reverse("money")))
    assert "1.0000 FIL" in page
    assert "until all have expired" in page


def test_another_tenant_sees_nothing_of_it(miner: Miner) -> None:
    client = signed_in("bill")

    assert "north" not in text_of(client.get(reverse("money")))
    for path in (reverse("miner-money", args=["f02001"]), f"{reverse('money-csv')}?miner=f02001"):
        assert client.get(path).status_code == 404
    headers = people.bearer(people.token("read", of="bob"))
    assert Client().get("/api/v1/miners/f02001/money", headers=headers).status_code == 404
    assert Client().get("/api/v1/money", headers=headers).json()["results"] == []


def test_money_of_a_period_ends_with_its_last_day(miner: Miner) -> None:
    client, yesterday = signed_in("ann"), (now() - timedelta(days=1)).date().isoformat()
    period = {"since": yesterday, "until": yesterday}

    page = text_of(client.get(reverse("money"), period))
    days = text_of(client.get(reverse("miner-money", args=["f02001"]), {"until": yesterday}))
    (line,) = csv.DictReader(io.StringIO(b"".join(client.get(reverse("money-csv"), period)).decode()))

    assert "-2.0000" in page
    assert "until epoch" not in page
    assert f"?since={yesterday}&amp;until={yesterday}" in page
    assert now().date().isoformat() not in days[days.index("<tbody>") :]
    assert (line["day"], line["net_atto"]) == (yesterday, str(-2 * FIL))
    empty = text_of(client.get(reverse("money"), {"until": "2020-01-01"}))
    assert "No recorded day in this period" in empty
