"""lotus-miner's reservations of sector numbers over JSON-RPC."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from apps.users.models import AuditEntry
from apps.users.services.tokens import TokenLimits
from tests import factories, people

pytestmark = pytest.mark.django_db


def asked(client: Client, token: str, method: str, *params: Any) -> dict[str, Any]:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": f"Filecoin.SectorNum{method}", "params": params})
    headers = people.bearer(token)
    found: dict[str, Any] = client.post(
        "/rpc/v0", body, content_type="application/json", headers=headers
    ).json()
    return found


def test_numbers_are_reserved_listed_and_freed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = [range(2, 4)]
    where = "apps.api.rpc.services.sector_numbers"
    monkeypatch.setattr(f"{where}.numbers_allocated", lambda _client, _address: taken)
    monkeypatch.setattr(f"{where}.chain_client", lambda: None)
    miner = factories.miner(2001)
    factories.sector(miner, number=0)
    token = people.token("admin", of="alice")

    assert asked(client, token, "ReserveCount", "market", 3)["result"] == [1, 1, 2, 2]
    assert "error" not in asked(client, token, "Reserve", "other", [10, 5], False)
    assert "already" in asked(client, token, "Reserve", "other", [30, 5])["error"]["message"]
    assert "taken" in asked(client, token, "Reserve", "third", [12, 5], True)["error"]["message"]
    assert asked(client, token, "Reservations")["result"] == {"market": [1, 1, 2, 2], "other": [10, 5]}
    meta = asked(client, token, "AssignerMeta")["result"]
    assert meta == {"Reserved": [1, 1, 2, 2, 4, 5], "Allocated": [2, 2], "InUse": [0, 1], "Next": 6}
    for _ in range(2):
        asked(client, token, "Free", "market")
    assert asked(client, token, "Reservations")["result"] == {"other": [10, 5]}
    assert asked(client, token, "ReserveCount", "again", 1)["result"] == [6, 1], "freed ones are gone"
    assert AuditEntry.objects.filter(action__startswith="sector.numbers-").count() == 4


def test_a_token_of_several_miners_names_none(client: Client) -> None:
    factories.miner(2001)
    factories.miner(2002)
    factories.miner(2003, of="bob")
    wide = people.token("admin", of="alice")
    narrow = people.token("admin", of="alice", limits=TokenLimits(miners=(2002,)))
    reader = people.token("read", of="bob")

    assert "2 miners" in asked(client, wide, "Reservations")["error"]["message"]
    assert asked(client, narrow, "Reservations")["result"] == {}
    assert asked(client, reader, "Reservations")["result"] == {}
    assert "missing permission" in asked(client, reader, "Free", "x")["error"]["message"]
    assert asked(client, narrow, "Reserve", "x", ["bad"])["error"]["code"] == -32700
