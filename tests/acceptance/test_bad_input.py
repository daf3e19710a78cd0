"""Input that no honest caller sends, over REST, JSON-RPC and reports: refused by name, nothing written.

In one process with the database of the tests; test_bad_input_outside sends all of it to a running pool too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from apps.wallets.models import Wallet
from tests import factories
from tests.acceptance.bad_requests import BODIES, REPORTS, RPC_CASES, SENDING, WHO_CALLS, Case
from tests.acceptance.fingerprint import fingerprint
from tests.acceptance.scene import Scene, names_make, tokens_make

pytestmark = pytest.mark.django_db


def rows(sql: str) -> list[tuple[Any, ...]]:
    """Run one statement in the tests' database."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


@pytest.fixture
def scene(client: Client) -> Iterator[Scene]:
    """Alice's sector was claimed twice, so that the first lease is over; Bob has a miner and a wallet."""
    scene = Scene(partial(asked, client), names_make(), tokens_make())
    with factories.node_served():
        scene.work_begin()
        yield scene


def asked(client: Client, method: str, path: str, body: str, headers: dict[str, str]) -> Any:
    """Ask in this process."""
    if method == "GET":
        return client.get(path, headers=headers)
    return client.generic(method, path, body, content_type="application/json", headers=headers)


@pytest.mark.parametrize("bad", [*WHO_CALLS, *BODIES, *SENDING, *REPORTS], ids=lambda bad: bad.what)
def test_it_is_refused_by_name_and_changes_nothing(scene: Scene, bad: Case) -> None:
    before = fingerprint(rows)

    answer = scene.send(bad)

    assert answer.status_code == bad.status, answer.content
    body = answer.json()
    assert (body["code"], body["field"]) == (bad.code, bad.field), body
    assert bad.words in body["message"], body
    assert set(body) == {"code", "message", "field"}
    assert fingerprint(rows) == before


@pytest.mark.parametrize("row", RPC_CASES, ids=lambda row: row[0])
def test_json_rpc_refuses_it_as_go_does_and_changes_nothing(scene: Scene, row: Any) -> None:
    _, who, ask, status, code, words = row
    if not isinstance(ask, str):
        ask = json.dumps({"jsonrpc": "2.0", "id": 1, "method": ask[0], "params": scene.fill(ask[1])})
    before = fingerprint(rows)

    answer = scene.ask("POST", "/rpc/v0", ask, scene.headers(who))

    assert answer.status_code == status, answer.content
    error = answer.json()["error"]
    assert error["code"] == code, error
    assert words in error["message"], error
    assert fingerprint(rows) == before


def test_the_fingerprint_sees_one_changed_letter(scene: Scene) -> None:
    before = fingerprint(rows)

    Wallet.objects.filter(address=scene.names["wallet"]).update(label="x")

    after = fingerprint(rows)
    assert {table for table in after if after[table] != before[table]} == {"wallets_wallet"}
