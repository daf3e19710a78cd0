"""Wallets over the messager's methods of v1.0.5, which `venus-messager wallet` calls."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from apps.users.models import AuditEntry
from apps.users.rules.encryption import text_decrypt
from apps.wallets.models import RemoteWallet
from tests import factories, people

pytestmark = pytest.mark.django_db

GIVEN = {
    "id": "6a1fbe4c-0d3a-4c86-9d4b-5d3f0b0b6f0e",
    "name": "cold",
    "url": "/ip4/1.2.3.4/tcp/1777/http",
    "token": "s3cret",
    "state": 1,
    "isDeleted": -1,
    "createAt": "2021-06-01T00:00:00Z",
    "updateAt": "0001-01-01T00:00:00Z",
}
"""What the old command line sends."""


def ask(method: str, *params: Any, token: str = "") -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": f"Message.{method}", "params": params}
    answer = Client().post(
        "/rpc/v0",
        json.dumps(body),
        content_type="application/json",
        headers=people.bearer(token or people.token("admin")),
    )
    return json.loads(answer.content)


def result(method: str, *params: Any, token: str = "") -> Any:
    answer = ask(method, *params, token=token)
    assert "error" not in answer, answer
    return answer["result"]


def words(method: str, *params: Any, token: str = "") -> str:
    return str(ask(method, *params, token=token)["error"]["message"])


def serving(name: str, address: str) -> None:
    """Let a wallet's key sign for the pool."""
    connection = factories.signer_connection(address, of="alice")
    RemoteWallet.objects.filter(name=name).update(connection=connection.pk)


def test_a_wallet_is_saved_found_listed_and_deleted() -> None:
    id_ = result("SaveWallet", GIVEN)

    row = RemoteWallet.objects.get()
    assert (id_, row.tenant.name, text_decrypt(row.token)) == (str(row.uuid), "alice", "s3cret")
    (listed,) = result("ListWallet")
    assert list(listed) == list(GIVEN), "the members of types.Wallet"
    assert {name: listed[name] for name in ("id", "name", "token", "state", "isDeleted")} == {
        "id": id_,
        "name": "cold",
        "token": "",
        "state": 1,
        "isDeleted": -1,
    }
    assert result("GetWalletByName", "cold") == result("GetWalletByID", id_) == listed
    assert (result("HasWallet", "cold"), result("HasWallet", "warm")) == (True, False)
    assert words("SaveWallet", GIVEN) == "record exist"
    RemoteWallet.objects.update(is_enabled=False)
    assert result("GetWalletByName", "cold")["state"] == 4
    assert result("DeleteWallet", "cold") == "cold"
    assert words("GetWalletByName", "cold") == "record not found"
    assert words("DeleteWallet", "cold") == "record not found"
    assert words("GetWalletByID", id_) == "record not found"
    actions = AuditEntry.objects.filter(action__startswith="remote-wallet.").values_list("action", flat=True)
    assert sorted(actions) == ["remote-wallet.add", "remote-wallet.remove"]


def test_its_addresses_are_those_that_sign_for_the_pool() -> None:
    id_, key = result("SaveWallet", GIVEN), factories.bls(1)
    factories.wallet(key, of="alice")
    sender = factories.sender(key)
    assert result("ListRemoteWalletAddress", "cold") == []
    serving("cold", key)

    assert result("ListRemoteWalletAddress", "cold") == [key]
    assert (
        result("HasWalletAddress", "cold", key),
        result("HasWalletAddress", "cold", factories.bls(2)),
    ) == (
        True,
        False,
    )
    (listed,) = result("ListWalletAddress")
    assert list(listed) == [
        *("id", "walletID", "addrID", "addressState", "selMsgNum", "isDeleted", "createAt", "updateAt")
    ]
    assert (listed["walletID"], listed["addrID"]) == (id_, str(sender.uuid))
    assert (listed["addressState"], listed["selMsgNum"]) == (1, sender.quota)
    assert result("GetWalletAddress", "cold", key) == listed
    assert words("GetWalletAddress", "cold", factories.bls(2)) == "record not found"


def test_others_and_lower_levels_see_and_change_nothing() -> None:
    id_ = result("SaveWallet", GIVEN)
    stranger = people.token("admin", of="bob")

    assert (result("ListWallet", token=stranger), result("HasWallet", "cold", token=stranger)) == ([], False)
    for method, wanted in (("GetWalletByName", "cold"), ("GetWalletByID", id_), ("DeleteWallet", "cold")):
        assert words(method, wanted, token=stranger) == "record not found"
    assert result("ListWalletAddress", token=stranger) == []
    for method, params in (("SaveWallet", [GIVEN]), ("ListWallet", []), ("DeleteWallet", ["cold"])):
        assert "need 'admin'" in words(method, *params, token=people.token("sign"))
    assert "no public address" in words("SaveWallet", {**GIVEN, "name": "in", "url": "http://10.0.0.1:1"})
    assert RemoteWallet.objects.count() == 1


def test_an_operator_sees_all_and_names_its_own_first() -> None:
    result("SaveWallet", GIVEN)
    result("SaveWallet", GIVEN, token=people.token("admin", of="bob"))
    operator = people.operator_token()

    assert len(result("ListWallet", token=operator)) == 2
    assert "several tenants have a wallet of this name" in words("GetWalletByName", "cold", token=operator)
    result("SaveWallet", GIVEN, token=operator)
    own = result("GetWalletByName", "cold", token=operator)
    assert RemoteWallet.objects.get(uuid=own["id"]).tenant.name not in ("alice", "bob")
