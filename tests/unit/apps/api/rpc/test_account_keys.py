"""`StateAccountKey` of the caller's own wallets, which the pool answers while no node does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from apps.wallets.models import Wallet
from tests import factories, people

pytestmark = pytest.mark.django_db


def ask(*params: Any, token: str = "") -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": "Filecoin.StateAccountKey", "params": params}
    answer = Client().post(
        "/rpc/v1",
        json.dumps(body),
        content_type="application/json",
        headers=people.bearer(token or people.token("read")),
    )
    return json.loads(answer.content)


def test_keys_and_ids_of_own_wallets_need_no_node() -> None:
    key = factories.bls(1)
    factories.wallet(key, of="alice", actor_id=1007)

    assert ask(key, [])["result"] == key
    assert ask(factories.secp(2), None)["result"] == factories.secp(2), "as lotus: a key stands for itself"
    assert ask("f01007", [])["result"] == ask("t01007", None)["result"] == key
    assert ask("f01007", [], token=people.operator_token())["result"] == key


def test_all_else_is_asked_of_the_node() -> None:
    factories.wallet(factories.bls(1), of="alice", actor_id=1007)
    stranger = people.token("read", of="bob")
    cid = {"/": "bafy2bzacecnamqgqmifpluoeldx7zzglxcljo6oja4vrmtj7432rphldpdmm2"}

    for params in (["f01008", []], ["f01007", [cid]], ["f2nowhere", []], []):
        assert "error" in ask(*params), params
    assert "error" in ask("f01007", [], token=stranger)
    Wallet.objects.update(checked_at=None)
    assert "error" in ask("f01007", []), "after a reorganisation the number may be a stranger's"
