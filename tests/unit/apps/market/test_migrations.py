"""Migrations of miners' markets from older versions."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apps.market.models import MinerMarket
from apps.miners.models import Miner
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("named", "serving"), [("f02001,t02002,f09", [2001, 2002]), ("", [])])
def test_miners_that_the_environment_named_go_on_to_serve_their_data(
    monkeypatch: pytest.MonkeyPatch, named: str, serving: list[int]
) -> None:
    monkeypatch.setenv("PIECE_RETRIEVAL_MINERS", named)
    for number in (2001, 2002, 2003):
        factories.miner(number)
    executor = MigrationExecutor(connection)
    executor.migrate([("market", "0008_serves_data")])
    old: Any = executor.loader.project_state([("market", "0008_serves_data")]).apps
    old.get_model("market", "MinerMarket").objects.create(
        miner_id=Miner.objects.get(actor_id=2001).pk, is_open=True, price=5
    )

    MigrationExecutor(connection).migrate([("market", "0009_serves_data_as_before")])
    call_command("migrate", verbosity=0, skip_checks=True)

    rows = MinerMarket.objects.filter(serves_data=True).order_by("miner__actor_id")
    assert list(rows.values_list("miner__actor_id", flat=True)) == serving
    kept = MinerMarket.objects.get(miner__actor_id=2001)
    assert (kept.is_open, int(kept.price)) == (True, 5)
