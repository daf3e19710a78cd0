"""What was measured, over REST: exact figures, gaps left out, and whose they are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.core.clock import DAY, now
from apps.history.models import Reading
from apps.history.rules import begin_of
from apps.history.states import HOUR, Kind
from poolsite.filecoin.amounts import FIL
from tests import factories, people

pytestmark = pytest.mark.django_db
HELD = 123_456_789 * FIL + 1


def rest(path: str, *, of: str = "alice", **query: Any) -> Any:
    return Client().get(f"/api/v1/{path}", query, headers=people.bearer(people.token("read", of=of)))


def reading(kind: Kind, subject: int, ago: timedelta, **figures: float) -> None:
    at = begin_of(now(), HOUR) - ago
    stored = {name: [2, 2 * value, value, value, value] for name, value in figures.items()}
    Reading.objects.create(kind=kind, subject=subject, step=HOUR, at=at, slot=at, figures=stored)


def test_figures_are_exact_and_what_is_not_known_is_absent():
    miner = factories.miner(2001)
    reading(Kind.MINER, miner.pk, 2 * HOUR, balance=HELD, qa_power=5)
    reading(Kind.MINER, miner.pk, timedelta(), qa_power=5)

    found = rest("miners/f02001/history", metric="balance").json()

    known = [point["figures"] for point in found["points"] if point["figures"]]
    assert known == [{"balance": {"value": str(HELD), "low": str(HELD), "high": str(HELD)}}]
    assert found["units"] == {"balance": "attoFIL"}
    assert found["step_s"] == 3600


def test_hosts_stores_wallets_gas_and_sealing_have_a_history():
    miner, worker, wallet = factories.miner(2001), factories.worker(), factories.wallet()
    store = factories.store(worker)
    reading(Kind.HOST, worker.pk, timedelta(), cpu=0.5)
    reading(Kind.STORE, store.pk, timedelta(), used=7)
    reading(Kind.WALLET, wallet.pk, timedelta(), balance=7)
    reading(Kind.GAS, 0, timedelta(), base_fee=7)
    reading(Kind.SEALING, miner.pk, timedelta(), sealed=7)

    for path, name, value in (
        (f"workers/{worker.uuid}/history", "cpu", "0.5"),
        (f"stores/{store.uuid}/history", "used", "7"),
        (f"wallets/{wallet.address}/history", "balance", "7"),
        ("gas/history", "base_fee", "7"),
        ("sealing/history", "sealed", "14"),
    ):
        assert rest(path).json()["points"][-1]["figures"][name]["value"] == value


def test_another_tenants_are_not_there_and_not_summed():
    miner, worker, wallet = factories.miner(2001), factories.worker(), factories.wallet()
    store = factories.store(worker)
    reading(Kind.SEALING, miner.pk, timedelta(), sealed=7)
    factories.miner(3001, of="bob")

    for path in (
        "miners/f02001/history",
        f"workers/{worker.uuid}/history",
        f"stores/{store.uuid}/history",
        f"wallets/{wallet.address}/history",
    ):
        assert rest(path, of="bob").status_code == 404
    assert not any(point["figures"] for point in rest("sealing/history", of="bob").json()["points"])
    assert rest("sealing/history", of="bob", miner="f02001").status_code == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"metric": "nothing"}, "metric"),
        ({"step": "3h"}, "step"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-02T00:00:00Z", "to": "2026-11-01T00:00:00Z"}, "from"),
        ({"from": "2020-01-01T00:00:00Z"}, "from"),
        ({"form": "1"}, "form"),
    ],
)
def test_a_refusal_names_the_parameter(query, field):
    factories.miner(2001)

    answer = rest("miners/f02001/history", **query)

    assert answer.status_code == 400
    assert answer.json()["field"] == field


def test_times_before_hours_are_kept_come_in_days():
    factories.miner(2001)
    begin = now() - 40 * DAY

    found = rest("miners/f02001/history", **{"from": begin.isoformat()}).json()

    assert found["step_s"] == 86_400
    assert len(found["points"]) == 41
