"""Tokens that are limited to methods, miners and signers: over JSON-RPC, REST, and on pages."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.core import clock
from apps.gateway.models import ProverConnection, SignerConnection, SignerKey
from apps.gateway.states import Purpose
from apps.messages.errors import ReceiverNotGranted
from apps.messages.services.push import message_push
from apps.users.models import AuditEntry, Token
from apps.users.services.grants import miner_grant, signer_grant
from apps.users.services.tokens import TokenLimits
from apps.wallets.errors import SenderNotGranted
from tests import factories, page_client, people
from tests.people import bearer, principal_by_token

pytestmark = pytest.mark.django_db


def limited(perm: str = "admin", **limits: Any) -> str:
    return people.token(perm, limits=TokenLimits(**limits))


def rpc(token: str, method: str, *params: Any) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = Client().post(
        "/rpc/v1", json.dumps(body), content_type="application/json", headers=bearer(token)
    )
    return json.loads(answer.content)


def get(token: str, path: str) -> Any:
    return Client().get(path, headers=bearer(token))


def test_a_token_calls_only_the_methods_that_its_patterns_name():
    token = limited(methods=["Gateway.List*", "rest.MinersView"])

    assert "error" not in rpc(token, "Gateway.ListWalletInfo")
    assert "does not allow" in rpc(token, "Gateway.Version")["error"]["message"]
    assert get(token, "/api/v1/miners").status_code == 200
    assert get(token, "/api/v1/sectors").status_code == 403


def test_a_token_sees_only_its_miners():
    for actor_id in (2001, 2002):
        factories.sector(factories.miner(actor_id), number=actor_id)
    token = limited(miners=[2001])

    assert [row["address"] for row in get(token, "/api/v1/miners").json()["results"]] == ["f02001"]
    assert [row["number"] for row in get(token, "/api/v1/sectors").json()["results"]] == [2001]
    assert get(token, "/api/v1/miners/f02002").status_code == 404
    text = rpc(token, "Gateway.ComputeProof", "f02002", [], "AA==", 1, 27)["error"]["message"]
    assert "may not use the miner" in text


def pushed(token: str, to: str, sender: str) -> Any:
    viewer = principal_by_token(token, now=clock.now())
    return message_push(principal=viewer, id="m", to=to, from_=sender, method=0)


def test_a_token_sends_only_to_its_miners_and_from_its_signers():
    factories.head(1000)
    mine, other = factories.wallet(factories.bls(1)), factories.wallet(factories.bls(2))
    token = limited(miners=[2001], signers=[mine.address])

    assert pushed(token, "f02001", mine.address).to == "f02001"
    with pytest.raises(ReceiverNotGranted):
        pushed(token, "f02002", mine.address)
    with pytest.raises(SenderNotGranted):
        pushed(token, "f02001", other.address)


def two_senders() -> tuple[str, str]:
    """Two senders of a tenant, each with a message: to the miner 1000 and to the miner 1001."""
    mine, other = factories.bls(1), factories.bls(2)
    for number, address in enumerate((mine, other)):
        factories.wallet(address)
        factories.sender(address)
        to = f"f0{1000 + number}"
        factories.message(f"m{number}", from_addr=address, to=to, state="FAILED", error="marked bad")
        factories.spend(address, to=to)
    return mine, other


@pytest.mark.parametrize("limits", [{"signers": [factories.bls(1)]}, {"miners": [1000]}])
def test_a_token_sees_the_messages_of_its_signers_and_miners_only(limits):
    two_senders()
    token = limited(**limits)

    assert [row["id"] for row in get(token, "/api/v1/messages").json()["results"]] == ["m0"]
    assert get(token, "/api/v1/messages/m1").status_code == 404
    assert rpc(token, "Message.GetMessageByUid", "m0")["result"]["ID"] == "m0"
    assert "error" in rpc(token, "Message.GetMessageByUid", "m1")
    assert "error" in rpc(token, "Message.MarkBadMessage", "m1")
    assert len(get(token, "/api/v1/gas/spend").json()["results"]) == 1


def test_a_token_changes_only_its_own_senders():
    mine, other = two_senders()
    token = limited(signers=[mine])

    assert [row["address"] for row in get(token, "/api/v1/senders").json()["results"]] == [mine]
    assert patch(token, f"/api/v1/senders/{other}", {"quota": 1}).status_code == 404
    for method, more in (("ForbiddenAddress", ()), ("SetSelectMsgNum", (1,)), ("RecoverFailedMsg", ())):
        assert "may not use the signer" in rpc(token, f"Message.{method}", other, *more)["error"]["message"]
    assert patch(token, f"/api/v1/senders/{mine}", {"quota": 1}).status_code == 200


@pytest.mark.parametrize(
    "limits", [{"signers": [factories.bls(1)]}, {"miners": [1000]}], ids=["key", "miner"]
)
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("Message.SetSharedParams", [{"ID": 1, "SelMsgNum": 7}]),
        ("Message.SaveNode", [{"Name": "x", "URL": "/ip4/127.0.0.1/tcp/1", "Token": "", "Type": 2}]),
        ("Message.ListNode", []),
        ("Gateway.RegisterReverse", ["host", "http://127.0.0.1:1"]),
        ("Filecoin.WalletExport", [factories.bls(2)]),
        ("Filecoin.AuthNew", [["admin"]]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_limited_token_of_the_operator_changes_nothing_of_the_whole_pool(method, params, limits):
    token = people.token("admin", of="pool", is_operator=True, limits=TokenLimits(**limits))

    assert "limited to certain miners" in rpc(token, method, *params)["error"]["message"]


def test_a_token_sees_the_connections_of_its_miners_and_signers_only():
    keys = [factories.bls(1), factories.bls(2)]
    seen: dict[str, Any] = {"tenant": people.tenant(), "created_at": clock.now(), "seen_at": clock.now()}
    for number, key in enumerate(keys):
        wallet = SignerConnection.objects.create(accounts=["alice"], **seen)
        SignerKey.objects.create(
            address=key, tenant=seen["tenant"], connection=wallet, verified_at=clock.now()
        )
        for purpose in Purpose:
            ProverConnection.objects.create(actor_id=1000 + number, purpose=purpose, **seen)
    token = limited(miners=[1000], signers=[keys[0]])

    [wallets] = rpc(token, "Gateway.ListWalletInfo")["result"]
    assert [one["Addrs"] for one in wallets["ConnectStates"]] == [[keys[0]]]
    assert rpc(token, "Gateway.ListConnectedMiners")["result"] == ["f01000"]
    assert "error" in rpc(token, "Gateway.ListMinerConnection", "f01001")
    [market] = rpc(token, "Gateway.ListMarketConnectionsState")["result"]
    assert market["Addr"] == "f01000"
    assert rpc(limited(miners=[1000]), "Gateway.ListWalletInfo")["result"] is None


def test_a_token_for_miners_changes_no_sender():
    mine, _ = two_senders()
    token = limited(miners=[1000])

    assert patch(token, f"/api/v1/senders/{mine}", {"quota": 1}).status_code == 403
    for method, more in (("ForbiddenAddress", ()), ("SetSelectMsgNum", (1,)), ("ClearUnFillMessage", ())):
        assert "limited to certain miners" in rpc(token, f"Message.{method}", mine, *more)["error"]["message"]


def patch(token: str, path: str, body: dict[str, Any]) -> Any:
    return Client().patch(path, body, content_type="application/json", headers=bearer(token))


@pytest.mark.parametrize("limits", [{"signers": [factories.bls(1)]}, {"miners": [1000]}])
def test_a_token_for_a_part_of_its_tenant_changes_nothing_of_the_whole(limits):
    token, sibling = limited(**limits), people.token("read")
    key = principal_by_token(sibling, now=clock.now()).token_id
    worker = factories.worker()
    asked: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("DELETE", f"/api/v1/tokens/{key}", {}),
        ("POST", "/api/v1/signer-approvals", {"signer": "bob", "approve": True}),
        ("POST", "/api/v1/gas/guards", {"max_fee": "1"}),
        ("POST", "/api/v1/alert-channels", {"name": "x", "kind": "WEBHOOK", "target": "https://x.example"}),
        ("PUT", "/api/v1/gas/auto-bump", {"enabled": True}),
        ("DELETE", f"/api/v1/workers/{worker.uuid}", {}),
        ("POST", f"/api/v1/workers/{worker.uuid}/commands", {"op": "drain"}),
    )

    for method, path, body in asked:
        data = json.dumps(body)
        answer = Client().generic(method, path, data, content_type="application/json", headers=bearer(token))
        assert (answer.status_code, "limited to certain miners or signers" in answer.content.decode()) == (
            403,
            True,
        ), path
    assert principal_by_token(sibling, now=clock.now()).perm == "read"


def test_a_partial_token_gives_up_no_other_miner_or_signer_of_its_tenant():
    tenant = people.tenant("alice")
    for actor_id in (1000, 1001):
        miner_grant(tenant=tenant, actor_id=actor_id)
    signer_grant(tenant=tenant, address=factories.bls(2))
    token = limited("write", miners=[1000])
    operators = people.token("admin", of="pool", is_operator=True, limits=TokenLimits(miners=[1000]))

    def post(text: str, path: str, body: dict[str, Any]) -> int:
        return Client().post(path, body, content_type="application/json", headers=bearer(text)).status_code

    assert post(token, "/user/miner/del", {"Miner": "f01001"}) == 403
    assert post(token, "/signer/del", {"Signer": factories.bls(2)}) == 403
    assert post(operators, "/user/miner/add", {"User": "alice", "Miner": "f01002", "OpenMining": True}) == 403
    assert post(operators, "/user/del", {"Name": "alice"}) == 403
    assert post(token, "/user/miner/del", {"Miner": "f01000"}) == 200


def test_a_token_signs_only_with_its_signers():
    mine, other = factories.wallet(factories.bls(1)), factories.wallet(factories.bls(2))
    token = limited(signers=[mine.address])

    answer = rpc(
        token, "Gateway.WalletSign", "alice", other.address, "AA==", {"Type": "message", "Extra": ""}
    )

    assert "may not use the signer" in answer["error"]["message"]
    assert [row["address"] for row in get(token, "/api/v1/wallets").json()["results"]] == [mine.address]


@pytest.mark.parametrize("limits", [{"methods": ["*"]}, {"miners": [1]}, {"signers": ["f01"]}])
def test_a_limited_token_makes_no_other_token(limits):
    token = limited(**limits)
    body = {"name": "free", "perm": "admin"}

    answer = Client().post("/api/v1/tokens", body, content_type="application/json", headers=bearer(token))

    assert answer.status_code == 403
    assert Token.objects.count() == 1


def signed_in(name: str, role: str) -> Client:
    people.person(name, role=role)
    return page_client.signed_in(name)


def test_a_token_is_made_on_the_page_and_shown_once():
    client = signed_in("adam", "TENANT_ADMIN")
    signer = factories.bls(1)
    form = {
        "name": "miner one",
        "part": "all",
        "perm": "sign",
        "life": "30",
        "miners": "f01000, t01001",
        "signers": signer,
    }

    made = client.post("/tokens/new/", {**form, "methods": "Gateway.*"})
    page = client.get(made["Location"]).content.decode()
    text = page.split('value="ey')[1].split('"')[0]

    row = principal_by_token(f"ey{text}", now=clock.now())
    assert (row.methods, row.miners, row.signers) == (("Gateway.*",), (1000, 1001), (signer,))
    assert Token.objects.filter(expires_at__lt=clock.now() + timedelta(days=31)).exists()
    assert client.get("/tokens/made/")["Location"] == "/tokens/"
    assert text not in json.dumps(list(AuditEntry.objects.values_list("after", flat=True)))


def test_miners_and_signers_of_a_token_are_ticked_from_a_list():
    client = signed_in("adam", "TENANT_ADMIN")
    miners = [factories.miner(of="alice", worker=factories.bls(9)).address for _ in range(2)]
    other = factories.miner(of="bob", worker=factories.bls(8)).address
    form = {"name": "two", "part": "all", "perm": "sign", "life": "30", "methods": ""}

    page = " ".join(client.get("/tokens/new/").content.decode().split())
    assert all(f'name="miners" value="{address}"' in page for address in miners)
    assert other not in page
    wrong = client.post("/tokens/new/", {**form, "perm": "king", "miners": [miners[1]]}).content.decode()
    wrong = " ".join(wrong.split())
    assert " checked" in wrong.split(f'name="miners" value="{miners[1]}"')[1].partition(">")[0]

    made = client.post("/tokens/new/", {**form, "miners": miners})

    text = client.get(made["Location"]).content.decode().split('value="ey')[1].split('"')[0]
    row = principal_by_token(f"ey{text}", now=clock.now())
    assert [f"f0{number}" for number in row.miners] == miners


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"part": ""},
        {"perm": "king"},
        {"life": "7000"},
        {"part": "x"},
        {"miners": "f1x"},
        {"signers": "no"},
    ],
)
def test_a_wrong_form_makes_nothing_and_says_why(wrong):
    client = signed_in("adam", "TENANT_ADMIN")

    answer = client.post("/tokens/new/", {"name": "x", "part": "all", "perm": "read", "life": "1", **wrong})

    assert answer.status_code == 422
    assert 'class="error"' in answer.content.decode()
    assert not Token.objects.exists()


@pytest.mark.parametrize("role", ["TENANT", "AUDITOR"])
def test_only_admins_make_and_revoke_tokens(role):
    token = people.token("read")
    client = signed_in("ann", role)
    key = principal_by_token(token, now=clock.now()).token_id

    assert client.get("/tokens/").status_code == 200
    assert client.get("/tokens/new/").status_code == 404
    assert client.post(f"/tokens/{key}/revoke/").status_code == 404


def test_a_revoked_token_stands_as_such_and_a_strangers_is_not_there():
    client = signed_in("adam", "TENANT_ADMIN")
    mine, strange = people.token("read"), people.token("read", of="bob")
    keys = [principal_by_token(one, now=clock.now()).token_id for one in (mine, strange)]

    assert client.post(f"/tokens/{keys[1]}/revoke/").status_code == 404
    assert client.post(f"/tokens/{keys[0]}/revoke/", {"sure": "yes"})["Location"] == "/tokens/"

    page = client.get("/tokens/").content.decode()
    assert re.search(r">\s*revoked\s*</span>", page)
    assert "bob-read" not in page


def test_the_page_says_when_and_from_where_a_token_was_used(django_capture_on_commit_callbacks):
    token = people.token("read")
    with django_capture_on_commit_callbacks(execute=True):
        get(token, "/api/v1/miners")

    page = signed_in("adam", "TENANT_ADMIN").get("/tokens/").content.decode()

    assert "127.0.0.1" in page
    assert "All have been used." in page
