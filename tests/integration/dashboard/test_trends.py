"""Trends: every kind of thing has its charts, shows only its owner's, and says what is not known."""

from __future__ import annotations

import csv
from datetime import timedelta
from itertools import product
from typing import Final

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.core.clock import DAY, now
from apps.history.models import Reading
from apps.history.rules import begin_of
from apps.history.states import HOUR, Kind
from apps.messages.models import GasSpend
from apps.sectors.models import SealTarget
from poolsite.filecoin.amounts import FIL
from tests import factories
from tests.demo_data import Pool, busy_pool
from tests.history_rows import seeded, subjects
from tests.page_client import signed_in, text_of
from tests.people import operator_person, person

pytestmark = pytest.mark.django_db
MOST_QUERIES = 30


@pytest.fixture(scope="module")
def pool(module_rows: None) -> Pool:
    operator_person()
    person()
    return busy_pool("alice")


SPANS: Final = [
    *product(Kind, ("24h", "1y")),  # of rows by the hour and by the day
    *product([Kind.MINER], ("7d", "30d", "90d", "nonsense")),
]


@pytest.mark.parametrize(("kind", "span"), SPANS)
def test_each_kind_has_its_charts(pool, kind, span):
    seeded(pool)
    _subject, key = subjects(pool)[kind]

    answer = signed_in("ann").get(reverse("trends", args=[kind, key]), {"span": span})

    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'class="line"' in page or 'class="bars"' in page
    assert "<table" in page


@pytest.mark.parametrize("kind", list(Kind))
def test_charts_take_few_queries_however_much_there_is(pool, kind, pool_redis, monkeypatch):
    monkeypatch.setattr("apps.checks.report.cache.SHARED_S", 600)
    seeded(pool)
    _subject, key = subjects(pool)[kind]
    client, address = signed_in("ann"), reverse("trends", args=[kind, key])
    client.get(address)

    def asked(**headers: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address, headers=headers).status_code == 200
        return len(queries)

    assert asked() <= MOST_QUERIES
    assert asked(hx_request="true") <= 16, "only the charts, for another page"


@pytest.mark.parametrize("kind", [Kind.MINER, Kind.HOST, Kind.STORE, Kind.WALLET, Kind.SEALING])
def test_another_tenants_things_are_not_there(pool, kind):
    other = busy_pool("bob", key=50, actor_id=3001)
    seeded(other)
    _subject, key = subjects(other)[kind]

    for name in ("trends", "trends-csv"):
        address = reverse(name, args=[kind, key])
        assert signed_in("ann").get(address).status_code == 404
        assert signed_in("olga").get(address).status_code == 200


def test_sealing_of_all_miners_is_only_of_those_the_viewer_sees(pool):
    other = busy_pool("bob", key=50, actor_id=3001)
    seeded(pool)
    seeded(other)

    def newest(name: str) -> str:
        return text_of(signed_in(name).get(reverse("trends", args=["sealing", "all"]), {"span": "24h"}))

    assert "Sealed 2" in newest("ann")
    assert "Sealed 4" in newest("olga")


@pytest.mark.parametrize(
    ("kind", "key"), [("gas", "other"), ("nothing", "all"), ("host", "x"), ("miner", "x")]
)
def test_what_is_not_there_is_404(pool, kind, key):
    assert signed_in("olga").get(f"/trends/{kind}/{key}/").status_code == 404


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind != Kind.WALLET])
def test_a_young_pool_says_that_nothing_is_known_yet(pool, kind):
    _subject, key = subjects(pool)[kind]

    text = text_of(signed_in("olga").get(reverse("trends", args=[kind, key])))

    assert "measuring begins within ten minutes" in text
    assert "Nothing is known of this time." in text


def test_a_host_without_a_gpu_has_no_line_of_one(pool):
    at = begin_of(now(), HOUR)
    Reading.objects.create(
        kind=Kind.HOST,
        subject=pool.sealer.pk,
        step=HOUR,
        at=at,
        slot=at,
        figures={"cpu": [1, 0.5, 0.5, 0.5, 0.5]},
    )

    text = text_of(signed_in("olga").get(reverse("trends", args=["host", pool.sealer.uuid])))

    assert "Processors 50\u202f%" in text
    assert "GPUs" not in text
    assert "Memory –" in text


def test_a_target_stands_beside_what_was_sealed(pool):
    seeded(pool)
    SealTarget.objects.update_or_create(
        miner=pool.miner,
        defaults={
            "in_work": None,
            "day_bytes": 6 * pool.miner.sector_size,
            "since": now(),
            "look_at": now() + timedelta(days=1),
        },
    )

    text = text_of(signed_in("ann").get(reverse("trends", args=["sealing", "all"]), {"span": "90d"}))

    assert "Sealed 2 · Target 6" in text


def test_the_figures_as_csv_are_exact_and_gaps_are_empty(pool):
    seeded(pool)

    answer = signed_in("ann").get(reverse("trends-csv", args=["miner", pool.miner.address]), {"span": "24h"})
    rows = list(csv.DictReader(text_of(answer).splitlines()))

    assert len(rows) == 24
    assert rows[-1]["balance"] == str(7 * FIL)
    assert [row["balance"] for row in rows].count("") == 10


def test_pages_of_things_fetch_their_charts(pool):
    for name, key in (("miner", pool.miner.address), ("host", pool.sealer.uuid), ("store", pool.store.uuid)):
        text = text_of(signed_in("ann").get(reverse(name, args=[key])))
        assert f'hx-get="{reverse("trends", args=[name, key])}"' in text


def test_money_has_its_charts_once_there_are_days_to_compare(pool):
    address = reverse("money")
    pool.miner.days.exclude(day=now().date()).delete()
    GasSpend.objects.all().delete()
    assert "trend-money" not in text_of(signed_in("ann").get(address))

    factories.miner_day(pool.miner, day=now().date() - DAY, began_at=now() - DAY)

    text = text_of(signed_in("ann").get(address))
    assert "trend-money" in text
    assert "trend-net" in text
