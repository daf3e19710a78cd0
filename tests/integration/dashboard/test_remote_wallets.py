"""Wallets that the pool connects to, on the page Gateway and over REST: who sees and does what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.core import clock
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from apps.wallets.models import RemoteWallet
from apps.wallets.models import RemoteWallet as Row
from apps.wallets.services.remote_wallets import remote_wallet_add, remote_wallet_note
from tests import factories, people
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db
URL = "/api/v1/remote-wallets"
GIVEN = {"name": "cold", "url": "/ip4/10.0.0.7/tcp/1777/http", "token": "s3cret-t0ken"}


def wallet(of: str = "alice", name: str = "cold") -> Row:
    return remote_wallet_add(
        principal=SYSTEM, tenant=people.tenant(of), name=name, url="http://10.0.0.7:1", token="s3cret"
    )


def test_a_wallet_is_connected_switched_off_on_and_removed_on_the_page() -> None:
    people.operator_person()
    people.tenant("alice")
    client = signed_in("olga")

    client.post("/gateway/connect/", {**GIVEN, "tenant": "alice"})

    row = RemoteWallet.objects.get()
    assert (row.tenant.name, row.url, row.is_private) == ("alice", "http://10.0.0.7:1777/rpc/v0", True)
    assert "connecting" in text_of(client.get("/gateway/"))
    assert "s3cret" not in client.get("/gateway/").content.decode()
    for op, is_enabled in (("off", False), ("on", True)):
        client.post(f"/gateway/wallets/{row.uuid}/{op}/")
        row.refresh_from_db()
        assert row.is_enabled == is_enabled
    client.post(f"/gateway/wallets/{row.uuid}/remove/")
    assert not RemoteWallet.objects.exists()
    actions = AuditEntry.objects.filter(action__startswith="remote-wallet.").values_list("action", flat=True)
    assert list(actions.order_by("pk")) == [
        "remote-wallet.add",
        *["remote-wallet.set"] * 2,
        "remote-wallet.remove",
    ]


def test_what_ails_a_wallet_and_which_keys_sign_by_it_are_shown() -> None:
    people.operator_person()
    row, connection = wallet(), factories.signer_connection(factories.bls(1), of="alice")
    remote_wallet_note(
        pk=row.pk, connection=str(connection.pk), error="no answer", has_answered=False, now=clock.now()
    )

    text = text_of(signed_in("olga").get("/gateway/"))

    assert "no answer" in text
    assert factories.bls(1)[:6] in text


def test_tenants_see_their_own_and_those_without_the_level_change_none() -> None:
    people.person("ann", role="TENANT")
    row = wallet()
    wallet("bob", "strange")
    client = signed_in("ann")

    text = text_of(client.get("/gateway/"))

    assert ("cold" in text, "strange" in text, "Connect a wallet" in text) == (True, False, False)
    assert client.get("/gateway/connect/").status_code == 404
    assert client.post(f"/gateway/wallets/{row.uuid}/off/").status_code == 404


def send(client: Any, method: str, path: str, bearer: str, **body: Any) -> Any:
    data = json.dumps(body) if body else ""
    headers = people.bearer(bearer)
    return client.generic(method, path, data, content_type="application/json", headers=headers)


def test_rest_adds_lists_changes_and_removes(client: Any) -> None:
    token, stranger = people.token("admin", of="alice"), people.token("admin", of="bob")
    public = {**GIVEN, "url": "https://wallet.example"}

    added = send(client, "POST", URL, token, **public)

    assert added.status_code == 201
    assert added.json() | {"uuid": ""} == {
        "uuid": "",
        "name": "cold",
        "tenant": "alice",
        "url": "https://wallet.example/rpc/v0",
        "is_enabled": True,
        "keys": [],
        "answered_at": None,
        "error": "",
        "error_code": "",
    }
    place = f"{URL}/{added.json()['uuid']}"
    assert [row["name"] for row in send(client, "GET", URL, token).json()] == ["cold"]
    assert send(client, "GET", URL, stranger).json() == []
    assert send(client, "PATCH", place, stranger, is_enabled=False).status_code == 404
    assert send(client, "PATCH", place, token, is_enabled=False).json()["is_enabled"] is False
    assert send(client, "POST", URL, token, **public).status_code == 409
    refused = send(client, "POST", URL, token, **GIVEN | {"name": "near"})
    assert (refused.status_code, refused.json()["field"]) == (400, "url")
    assert send(client, "DELETE", place, stranger).status_code == 404
    assert send(client, "DELETE", place, token).status_code == 204
    assert not RemoteWallet.objects.exists()
