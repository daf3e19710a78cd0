"""Signing through the node interface: the tenant's own signers answer, for its own senders and miners."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from apps.api.rpc.services.node import proxy
from apps.chain.models import Node
from apps.chain.services.nodes import nodes_sync
from apps.chain.states import NodeCondition
from apps.users.services.grants import miner_grant, signer_grant
from apps.users.services.tokens import TokenLimits
from apps.wallets.models import SignRecord
from apps.wallets.services import sign
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.keys import key_address, key_sign
from poolsite.filecoin.message import Message, message_to_cbor, message_to_json, signed_message_from_json
from poolsite.filecoin.signature import signature_from_json, signature_verify
from tests import factories, people
from tests.fake_node import FakeNode, served
from tests.keys import fixed_key

pytestmark = pytest.mark.django_db

KEYS = {str(key_address(info)): info for info in (fixed_key("bls"), fixed_key("secp256k1"))}
BLS, SECP = KEYS


class NodeWithWallet(FakeNode):
    """A node whose own wallet signs anything."""

    def do_WalletSign(self, *_params: Any) -> Any:
        return "the node's"

    def do_WalletHas(self, _address: str) -> Any:
        return "the node's"

    def do_WalletList(self) -> Any:
        return ["the node's"]

    def do_MinerCreateBlock(self, template: Any) -> Any:
        return {"Header": {"Miner": template["Miner"]}}


@pytest.fixture(autouse=True)
def node() -> Iterator[FakeNode]:
    proxy.NODES.clear()
    node = NodeWithWallet()
    with served(node) as url:
        nodes_sync([url])
        Node.objects.update(condition=NodeCondition.HEALTHY)
        yield node
    proxy.NODES.clear()


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A hub whose signers answer at once; requests are kept."""
    asked: list[Any] = []

    def answer(requests: Any, *, timeout_s: float) -> list[Any]:
        asked.extend(requests)
        return [key_sign(KEYS[one.address], one.to_sign) for one in requests]

    monkeypatch.setattr(sign, "wallet_sign_all", answer)
    return asked


@pytest.fixture
def alice() -> str:
    for address in KEYS:
        signer_grant(tenant=people.tenant("alice"), address=address)
    return people.token("sign", of="alice")


def call(client: Any, method: str, *params: Any, token: str) -> Any:
    return ask(client, "node", method, *params, token=token)


def ask(client: Any, version: str, method: str, *params: Any, token: str) -> Any:
    name, path = {"node": ("Filecoin", "/rpc/v1"), "gateway": ("Gateway", "/rpc/v2")}[version]
    body = {"jsonrpc": "2.0", "id": 7, "method": f"{name}.{method}", "params": list(params)}
    sent = people.bearer(token)
    return client.post(path, json.dumps(body), content_type="application/json", headers=sent).json()


def message(sender: str = SECP) -> Message:
    fields: dict[str, Any] = {"value": 5, "gas_limit": 10, "gas_fee_cap": 3, "gas_premium": 1}
    return Message(to=address_parse("f01234"), from_=address_parse(sender), **fields)


@pytest.mark.parametrize("sender", [BLS, SECP])
def test_a_tenants_message_is_signed_by_its_signer(client, alice, hub, node, sender):
    one = message(sender)
    meta = {"Type": "message", "Extra": people.base64_text(message_to_cbor(one))}

    answer = call(client, "WalletSign", sender, people.base64_text(one.cid.data), meta, token=alice)

    signature_verify(signature_from_json(answer["result"]), one.from_, one.cid.data)
    assert (hub[0].accounts, hub[0].meta_type, hub[0].extra) == (["alice"], "message", message_to_cbor(one))
    assert "WalletSign" not in node.calls
    record = SignRecord.objects.get()
    assert (record.address, record.asked_by, record.error) == (sender, "node interface", "")


def test_the_form_of_lotus_without_a_purpose_reaches_the_signer(client, alice, hub):
    answer = call(client, "WalletSign", SECP, people.base64_text(b"bytes"), token=alice)

    signature_verify(signature_from_json(answer["result"]), address_parse(SECP), b"bytes")
    assert hub[0].meta_type == "unknown"


def test_a_message_is_signed_whole(client, alice):
    answer = call(client, "WalletSignMessage", SECP, message_to_json(message()), token=alice)

    signed = signed_message_from_json(answer["result"])
    signature_verify(signed.signature, signed.message.from_, signed.message.cid.data)
    assert signed.message == message()


def test_a_message_of_another_sender_is_not_signed(client, alice, hub):
    answer = call(client, "WalletSignMessage", BLS, message_to_json(message(SECP)), token=alice)

    assert "is from" in answer["error"]["message"]
    assert hub == []


def test_a_stranger_gets_no_signature_and_no_node_is_asked(client, alice, hub, node):
    answer = call(client, "WalletSign", SECP, "AAAA", {"Type": ""}, token=people.token("sign", of="bob"))

    assert "is not a wallet of this account" in answer["error"]["message"]
    assert hub == []
    assert "WalletSign" not in node.calls
    assert SignRecord.objects.get().error != ""


def test_a_wrong_signature_is_never_passed_on(client, alice, monkeypatch):
    def answer(requests: Any, *, timeout_s: float) -> list[Any]:
        return [key_sign(KEYS[SECP], b"something else") for _ in requests]

    monkeypatch.setattr(sign, "wallet_sign_all", answer)

    refused = call(client, "WalletSign", SECP, "AAAA", {"Type": ""}, token=alice)

    assert "invalid signature" in refused["error"]["message"]


def test_a_level_below_sign_signs_nothing(client, alice, hub):
    refused = call(client, "WalletSign", SECP, "AAAA", {"Type": ""}, token=people.token("write", of="alice"))

    assert "missing permission" in refused["error"]["message"]
    assert hub == []


@pytest.mark.parametrize("params", [[], [SECP], [SECP, "AAAA", {}, 1], ["x", "AAAA", {}], [SECP, 5, {}]])
def test_parameters_that_cannot_be_read_are_said_to_be(client, alice, params):
    assert call(client, "WalletSign", *params, token=alice)["error"]["code"] in {-32602, -32700}


def test_what_can_be_signed_is_told(client, alice):
    assert call(client, "WalletHas", SECP, token=alice)["result"] is True
    assert call(client, "WalletHas", SECP, token=people.token("sign", of="bob"))["result"] is False


def test_wallet_list_has_the_tenants_addresses_and_no_others(client, alice):
    limited = people.token("write", of="alice", limits=TokenLimits(signers=(BLS,)))

    assert sorted(call(client, "WalletList", token=alice)["result"]) == sorted(KEYS)
    assert call(client, "WalletList", token=limited)["result"] == [BLS]
    assert call(client, "WalletList", token=people.token("sign", of="bob"))["result"] == []
    assert call(client, "WalletList", token=people.operator_token())["result"] == ["the node's"]


def test_an_operator_reaches_signers_for_granted_senders_and_else_the_node(client, alice, hub, node):
    operator = people.operator_token()

    granted = call(client, "WalletSign", SECP, people.base64_text(b"x"), {"Type": ""}, token=operator)
    of_node = call(client, "WalletSign", "f01000", people.base64_text(b"x"), {"Type": ""}, token=operator)

    signature_verify(signature_from_json(granted["result"]), address_parse(SECP), b"x")
    assert of_node["result"] == "the node's"
    assert call(client, "WalletHas", "f01000", token=operator)["result"] == "the node's"
    assert call(client, "WalletHas", SECP, token=operator)["result"] is True


def test_a_block_is_made_for_the_tenants_own_miner_only(client, alice, node):
    miner_grant(tenant=people.tenant("alice"), actor_id=2001)

    mine = call(client, "MinerCreateBlock", {"Miner": "f02001"}, token=alice)
    other = call(client, "MinerCreateBlock", {"Miner": "f01000"}, token=alice)
    nobody = call(client, "MinerCreateBlock", {}, token=alice)

    assert mine["result"]["Header"]["Miner"] == "f02001"
    assert "does not belong to this account" in other["error"]["message"]
    assert "names no miner" in nobody["error"]["message"]
    assert node.calls.count("MinerCreateBlock") == 1


def limited(**limits: Any) -> str:
    return people.token("admin", of="alice", limits=TokenLimits(**limits))


def asks_to_sign(one: Message, **overrides: Any) -> list[Any]:
    meta = {"Type": "message", "Extra": people.base64_text(message_to_cbor(one)), **overrides.pop("meta", {})}
    to_sign = overrides.pop("to_sign", one.cid.data)
    return [str(one.from_), people.base64_text(to_sign), meta]


@pytest.mark.parametrize("version", ["node", "gateway"])
def test_a_token_limited_to_signers_signs_with_no_other(client, alice, hub, version):
    token = limited(signers=[BLS])
    accounts = [["alice"]] if version == "gateway" else []
    [signer, *rest] = asks_to_sign(message())

    answer = ask(client, version, "WalletSign", signer, *accounts, *rest, token=token)

    assert "may not use the signer" in answer["error"]["message"]
    assert call(client, "WalletHas", SECP, token=token)["result"] is False
    whole = call(client, "WalletSignMessage", SECP, message_to_json(message()), token=token)
    assert "may not use the signer" in whole["error"]["message"]
    assert hub == []


@pytest.mark.parametrize("version", ["node", "gateway"])
@pytest.mark.parametrize(
    "forged",
    [
        {},
        {"to_sign": b"x" * 38},
        {"meta": {"Type": "unknown"}},
        {"meta": {"Extra": ""}},
    ],
    ids=["another receiver", "other bytes", "bytes without meaning", "no message"],
)
def test_a_token_limited_to_miners_has_nothing_else_signed(client, alice, hub, version, forged):
    """Not even by a signer that looks at nothing: bytes and message are compared here."""
    accounts = [["alice"]] if version == "gateway" else []
    one = message() if not forged else replace(message(), to=address_parse("f01000"))
    [signer, *rest] = asks_to_sign(one, **forged)

    answer = ask(client, version, "WalletSign", signer, *accounts, *rest, token=limited(miners=[1000]))

    assert answer["error"]["message"].partition("the token ")[2].startswith(("is limited to", "may not "))
    assert hub == []


def test_a_token_limited_to_miners_has_messages_to_them_signed(client, alice, hub):
    one = replace(message(), to=address_parse("f01000"))
    token = limited(miners=[1000])

    assert "result" in call(client, "WalletSign", *asks_to_sign(one), token=token)
    assert "result" in call(client, "WalletSignMessage", SECP, message_to_json(one), token=token)
    refused = call(client, "WalletSignMessage", SECP, message_to_json(message()), token=token)
    assert "may not send messages to f01234" in refused["error"]["message"]


def test_a_token_limited_to_miners_makes_no_block_of_another(client, alice, node):
    for actor_id in (1000, 1001):
        miner_grant(tenant=people.tenant("alice"), actor_id=actor_id)
    token = limited(miners=[1000])

    assert "result" in call(client, "MinerCreateBlock", {"Miner": "f01000"}, token=token)
    refused = call(client, "MinerCreateBlock", {"Miner": "f01001"}, token=token)
    assert "may not use the miner" in refused["error"]["message"]


@pytest.mark.parametrize("of", ["alice", None])
@pytest.mark.parametrize("by", ["alice", "operator"])
def test_no_program_has_signed_what_needs_approval(client, alice, hub, of, by):
    factories.approval_rule(of=of, above=4)
    one, small = message(), replace(message(), value=AttoFil(4))
    caller = alice if by == "alice" else people.operator_token()

    for text in (
        call(client, "WalletSign", *asks_to_sign(one), token=caller),
        call(client, "WalletSignMessage", SECP, message_to_json(one), token=caller),
        call(client, "WalletSign", *asks_to_sign(small, meta={"Extra": ""}), token=caller),
        call(client, "WalletSign", *asks_to_sign(one, meta={"Type": "unknown"}), token=caller),
        call(client, "WalletSign", SECP, people.base64_text(one.cid.data), token=caller),
        call(
            client, "WalletSign", SECP, people.base64_text(one.cid.data), asks_to_sign(small)[2], token=caller
        ),
    ):
        assert "an approval rule names this message" in text["error"]["message"], text
    assert hub == []

    assert "result" in call(client, "WalletSign", *asks_to_sign(small), token=caller)
    assert "result" in call(client, "WalletSignMessage", SECP, message_to_json(small), token=caller)
    assert "result" in call(client, "WalletSign", SECP, people.base64_text(b"a text"), token=caller)


@pytest.mark.django_db(transaction=True)
def test_the_gateway_has_nothing_signed_that_needs_approval(client, alice):
    factories.approval_rule(of="alice", above=4)
    admin, one = people.token("admin", of="alice"), message()
    sender, to_sign, meta = asks_to_sign(one)

    answer = ask(client, "gateway", "WalletSign", sender, ["alice"], to_sign, meta, token=admin)

    assert "an approval rule names this message" in answer["error"]["message"]


def test_a_rule_of_another_tenant_holds_up_no_signature(client, alice, hub):
    factories.approval_rule(of="bob", above=4)
    signer_grant(tenant=people.tenant("bob"), address=SECP)  # they share the address

    assert "result" in call(client, "WalletSign", *asks_to_sign(message()), token=alice)
    assert "result" in call(client, "WalletSignMessage", SECP, message_to_json(message()), token=alice)
    text = call(client, "WalletSign", *asks_to_sign(message()), token=people.operator_token())
    assert "an approval rule names this message" in text["error"]["message"]
