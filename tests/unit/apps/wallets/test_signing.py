from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from apps.gateway.errors import SignerAway, SignerRefused
from apps.users.services.grants import signer_grant
from apps.wallets.errors import SenderNotGranted
from apps.wallets.models import SignRecord
from apps.wallets.services import sign
from apps.wallets.services.sign import message_sign, messages_sign
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.keys import key_address, key_sign
from poolsite.filecoin.message import Message, SignedMessage, message_from_cbor
from poolsite.filecoin.signature import signature_verify
from tests import people
from tests.keys import fixed_key

pytestmark = pytest.mark.django_db

KEYS = {str(key_address(info)): info for info in (fixed_key("bls"), fixed_key("secp256k1"))}
BLS, SECP = KEYS


def message(sender: str = SECP, nonce: int = 0) -> Message:
    fields: dict[str, Any] = {"value": 5, "gas_limit": 10, "gas_fee_cap": 3, "gas_premium": 1, "nonce": nonce}
    return Message(to=address_parse("f01234"), from_=address_parse(sender), **fields)


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
def alice() -> int:
    tenant = people.tenant("alice")
    for address in KEYS:
        signer_grant(tenant=tenant, address=address)
    return tenant.pk


@pytest.mark.parametrize("sender", [BLS, SECP])
def test_a_message_comes_back_signed_by_its_sender(alice, hub, sender):
    signed = message_sign(message(sender), tenant_id=alice)

    signature_verify(signed.signature, address_parse(sender), signed.message.cid.data)
    assert message_from_cbor(hub[0].extra) == message(sender)
    assert (hub[0].accounts, hub[0].meta_type) == (["alice"], "message")


def test_each_signature_is_recorded(alice):
    messages_sign([message(nonce=1), message(BLS, nonce=2)], tenant_id=alice, asked_by="test")

    rows = list(SignRecord.objects.order_by("pk"))
    assert [(row.address, row.error, row.asked_by, row.tenant_id) for row in rows] == [
        (SECP, "", "test", alice),
        (BLS, "", "test", alice),
    ]
    assert rows[0].cid == str(message(nonce=1).cid)


def test_a_record_holds_the_whole_receiver(alice):
    message_sign(replace(message(), to=address_parse(BLS)), tenant_id=alice)

    assert SignRecord.objects.get().what == f"message: method 0 to {BLS}"


def test_a_strangers_address_is_not_asked_for(alice, hub):
    stranger = people.tenant("bob").pk

    [answer] = messages_sign([message()], tenant_id=stranger)

    assert isinstance(answer, SenderNotGranted)
    assert hub == []
    assert SignRecord.objects.get().error != ""


def test_the_pool_itself_may_use_every_granted_address(alice, hub):
    message_sign(message(), tenant_id=None)

    assert hub[0].accounts == ["alice"]


def test_one_refusal_does_not_spoil_the_others(alice, monkeypatch):
    def answer(requests: Any, *, timeout_s: float) -> list[Any]:
        good = key_sign(KEYS[SECP], requests[0].to_sign)
        return [good, SignerRefused("no rule allows it"), SignerAway(SECP)]

    monkeypatch.setattr(sign, "wallet_sign_all", answer)

    answers = messages_sign([message(nonce=n) for n in range(3)], tenant_id=alice)

    assert [type(one) for one in answers] == [SignedMessage, SignerRefused, SignerAway]
    assert [row.error for row in SignRecord.objects.order_by("pk")][1] == "no rule allows it"


def test_a_wrong_signature_is_never_passed_on(alice, monkeypatch):
    def answer(requests: Any, *, timeout_s: float) -> list[Any]:
        return [key_sign(KEYS[SECP], b"something else")]

    monkeypatch.setattr(sign, "wallet_sign_all", answer)

    with pytest.raises(SignerRefused, match="the signer returned an invalid signature"):
        message_sign(message(), tenant_id=alice)
