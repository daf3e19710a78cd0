"""What costs or creates something keeps its Idempotency-Key longer than the answer is kept: `docs/api.md`."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.core import clock
from apps.sectors.models import NumberReservation, PipelineRun, Pledge, Sector
from apps.users.models import IdempotentAnswer
from apps.users.services.idempotency import LIFETIME
from apps.users.tasks import users_expire
from tests import factories
from tests.open_transactions import is_transaction_open
from tests.people import bearer, token

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _chain(monkeypatch: pytest.MonkeyPatch) -> None:
    def numbers_allocated(*_: Any) -> list[range]:
        assert not is_transaction_open(), "a node is asked inside a transaction"
        return []

    for module in ("miner_pledge", "sector_numbers"):
        monkeypatch.setattr(f"apps.api.v1.{module}.numbers_allocated", numbers_allocated)


class Caller:
    """Whoever repeats requests under one key."""

    def __init__(self, client: Client, by: str) -> None:
        self.client, self.by = client, by

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        headers = {**bearer(self.by), "Idempotency-Key": "monday-1"}
        return self.client.post(f"/api/v1/{path}", body, content_type="application/json", headers=headers)

    def ask_twice(self, path: str, body: dict[str, Any]) -> list[Any]:
        """Ask, and once more when the stored answer is over."""
        first = self.ask(path, body)
        assert first.status_code == 201, first.content
        IdempotentAnswer.objects.update(created_at=clock.now() - LIFETIME * 1.01)
        users_expire()
        assert not IdempotentAnswer.objects.exists()
        again = self.ask(path, body)
        assert (again.status_code, again.headers.get("Idempotent-Replay")) == (201, None), again.content
        return [first.json(), again.json()]


def test_a_pledge_keeps_its_key(client: Client) -> None:
    factories.miner(actor_id=4242)
    caller = Caller(client, token("write"))

    first, again = caller.ask_twice("miners/f04242/sectors", {"count": 2})

    assert first["pledge"] == again["pledge"]
    assert (Pledge.objects.count(), Sector.objects.count()) == (1, 2)
    IdempotentAnswer.objects.all().delete()
    assert caller.ask("miners/f04242/sectors", {"count": 1}).json()["code"] == "key_reused"
    other = Caller(client, token("sign"))
    assert other.ask("miners/f04242/sectors", {"count": 2}).json()["pledge"] == first["pledge"]


@pytest.mark.parametrize("act", ["allocate", "reserve"])
def test_reserved_numbers_keep_their_key(client: Client, act: str) -> None:
    factories.miner(actor_id=4242)
    caller, path = Caller(client, token("sign")), f"miners/f04242/sector-numbers:{act}"
    name = {"allocate": "holder", "reserve": "name"}[act]

    first, again = caller.ask_twice(path, {name: "a", "count": 3})

    assert first == again
    assert NumberReservation.objects.count() == 1
    IdempotentAnswer.objects.all().delete()
    assert caller.ask(path, {name: "b", "count": 3}).json()["code"] == "key_reused"


def test_a_rebuild_keeps_its_key(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.sectors.services.runs.rebuild.rebuild_plan", lambda _sector: None)
    monkeypatch.setattr(
        "apps.sectors.services.runs.steps.hosts_of_run", lambda *_, **__: [factories.worker().pk]
    )
    sector = factories.sector(factories.miner(actor_id=4242), state="PROVING")

    first, again = Caller(client, token("sign")).ask_twice(f"sectors/{sector.uuid}/rebuild", {})

    assert first["uuid"] == again["uuid"]
    assert PipelineRun.objects.count() == 1
