"""Adding miners by REST: nobody else waits meanwhile, and a repeated request adds no second one."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client

from apps.api.v1 import miners as view
from apps.messages.models import Message
from apps.miners.models import Miner
from apps.miners.services import importing
from apps.users.models import IdempotentAnswer
from tests import factories, people

KEY = {"Idempotency-Key": "first"}


class Node:
    """A node whose chain has one miner; it resolves every address."""

    def state_miner_info(self, _address: str) -> dict[str, int]:
        return {"SectorSize": 2048, "WindowPoStProofType": 10}

    def state_get_actor(self, _address: str) -> dict[str, Any]:
        return {}

    def call(self, method: str, *_: object) -> Any:
        return str(10**18) if method == "StateMinerCreationDeposit" else {"Live": 0}


def add(body: dict[str, Any], *, by: str) -> Any:
    headers = {**people.bearer(by), **KEY}
    return Client().post("/api/v1/miners", body, content_type="application/json", headers=headers)


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_node_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.head(1000)
    is_open: list[bool] = []
    monkeypatch.setattr(view, "chain_client", Node)
    monkeypatch.setattr(
        importing, "miners_refresh", lambda *_, **__: is_open.append(connection.in_atomic_block)
    )

    answer = add({"name": "m", "address": "f01004"}, by=people.operator_token())

    assert (answer.status_code, is_open) == (201, [False]), answer.content


@pytest.mark.django_db
def test_creation_whose_answer_was_lost_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.head(1000)
    monkeypatch.setattr(view, "chain_client", Node)
    owner, alice = factories.wallet().address, people.token("sign")
    body = {"name": "m", "owner": owner, "worker": owner, "sector_size": 2048}

    answers = [add(body, by=alice)]
    IdempotentAnswer.objects.all().delete()
    answers.append(add(body, by=alice))

    assert [answer.status_code for answer in answers] == [201, 201]
    assert Miner.objects.count() == Message.objects.count() == 1


@pytest.mark.django_db
def test_two_tokens_of_a_tenant_may_use_the_same_key(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.head(1000)
    monkeypatch.setattr(view, "chain_client", Node)
    owner = factories.wallet().address
    body = {"name": "m", "owner": owner, "worker": owner, "sector_size": 2048}

    answers = [add(body, by=people.token("sign")) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201], answers[1].content
    assert Miner.objects.count() == 2
