"""Keys kept offline over REST: the file of an export, its signatures, and who may what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from apps.messages.states import MessageState
from apps.users.models import AuditEntry
from poolsite.filecoin.keys import KEY_SECP256K1, key_address, key_generate, key_sign
from tests import people
from tests.messaging import Pool, pool_world


@pytest.fixture
def pool(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    with pool_world(monkeypatch) as made:
        yield made


def rest(method: str, path: str, body: Any = None, *, token: str = "") -> Any:
    return Client().generic(
        method,
        f"/api/v1/{path}",
        "" if body is None else json.dumps(body),
        content_type="application/json",
        headers=people.bearer(token or people.token("sign")),
    )


def test_a_key_is_added_exported_signed_withdrawn_and_removed(pool: Pool) -> None:
    key = key_generate(KEY_SECP256K1)
    address, operator = str(key_address(key)), people.operator_token()
    pool.node.balances[address] = 100 * 10**18
    people.tenant("alice")
    named = {"address": address, "tenant": "alice", "label": "safe"}
    assert rest("POST", "offline-keys", named).status_code == 403, "only an operator names one"

    added = rest("POST", "offline-keys", named, token=operator)

    assert added.status_code == 201, added.content
    assert added.json() == {"address": address, "label": "safe", "waiting": 0, "exported": 0, "expired": 0}
    for name in ("one", "two"):
        body = {"id": name, "from": address, "to": address, "method": 0, "value": "1"}
        assert rest("POST", "messages", body).status_code == 201
    file = rest("POST", f"offline-keys/{address}/exports", {"gas_fee_cap": "1000000000"})
    assert file.status_code == 201, file.content
    one, two = file.json()["Messages"]
    assert (file.json()["Format"], file.json()["Left"]) == ("poolsite-offline/1", [])
    assert (one["Message"]["Nonce"], two["Message"]["Nonce"]) == (0, 1)
    assert (one["Message"]["GasFeeCap"], one["ExpiresAt"] > one["ExportedAt"]) == ("1000000000", True)
    assert rest("GET", f"offline-keys/{address}/exports").json()["Messages"] == [one, two]
    assert rest("GET", "offline-keys").json()[0]["exported"] == 2

    made = bytes(key_sign(key, bytes.fromhex(one["SignBytes"]))).hex()
    sent = rest("POST", "offline-signatures", {"messages": [{"CID": one["CID"], "Signature": made}]})

    assert sent.json() == {"imported": ["one"], "refused": []}
    assert (address, 0) in pool.node.pool
    kept = rest("DELETE", f"offline-keys/{address}", token=operator)
    assert (kept.status_code, "import or withdraw them first" in kept.json()["message"]) == (409, True)
    refused = rest("POST", "messages/two/mark-bad")
    assert (refused.status_code, refused.json()["field"]) == (400, "state")
    assert rest("POST", "messages/two/withdraw-export").json()["state"] == MessageState.FAILED
    assert rest("POST", "messages/one/withdraw-export").status_code == 409
    assert rest("DELETE", f"offline-keys/{address}", token=operator).status_code == 204
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert actions >= {"offline.key-add", "message.export", "message.sign-import", "offline.key-remove"}


def test_other_tenants_neither_see_nor_move_anything(pool: Pool) -> None:
    key = key_generate(KEY_SECP256K1)
    address = str(key_address(key))
    pool.node.balances[address] = 100 * 10**18
    people.tenant("alice")
    rest("POST", "offline-keys", {"address": address, "tenant": "alice"}, token=people.operator_token())
    body = {"id": "one", "from": address, "to": address, "method": 0, "value": "1"}
    assert rest("POST", "messages", body).status_code == 201
    stranger = people.token("sign", of="bob")

    assert rest("GET", "offline-keys", token=stranger).json() == []
    assert rest("POST", f"offline-keys/{address}/exports", {}, token=stranger).status_code == 404
    assert rest("POST", "messages", body, token=stranger).status_code == 403
    (one,) = rest("POST", f"offline-keys/{address}/exports", {}).json()["Messages"]
    assert rest("GET", f"offline-keys/{address}/exports", token=stranger).status_code == 404
    assert rest("POST", "messages/one/withdraw-export", token=stranger).status_code == 404
    made = {"CID": one["CID"], "Signature": bytes(key_sign(key, bytes.fromhex(one["SignBytes"]))).hex()}
    sent = rest("POST", "offline-signatures", {"messages": made}, token=stranger).json()
    assert sent["imported"] == []
    assert sent["refused"][0]["reason"] == "no message with this CID was exported"
