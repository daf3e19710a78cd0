"""Signatures are verified once, and never less than once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from poolsite.devnet import signatures as module
from poolsite.devnet.signatures import Signatures
from poolsite.filecoin.address import id_address
from poolsite.filecoin.message import Message, SignedMessage
from poolsite.filecoin.signature import BadSignature, Signature, bls_aggregate
from poolsite.filecoin.signing import message_sign, message_verify
from poolsite.filecoin.sigtypes import SIG_BLS
from tests.unit.devnet.people import Person, person

CHAIN_ID = 31415926
ANN, BOB, EVE = person("ann", "bls"), person("bob", "bls"), person("eve")


def message_of(who: Person, nonce: int = 0) -> SignedMessage:
    message = Message(to=id_address(1000), from_=who.address, nonce=nonce, gas_limit=1)
    return message_sign(who.key, message, chain_id=CHAIN_ID)


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[SignedMessage]:
    """The messages that were verified in full."""
    seen: list[SignedMessage] = []

    def counted(signed: SignedMessage, **fields: Any) -> None:
        seen.append(signed)
        message_verify(signed, **fields)

    monkeypatch.setattr(module, "message_verify", counted)
    return seen


@pytest.mark.parametrize("who", [ANN, EVE], ids=["bls", "secp256k1"])
def test_a_message_is_verified_once(verified, who):
    memory, signed = Signatures(CHAIN_ID), message_of(who)

    for _ in range(3):
        memory.verify(signed, who.address)

    assert verified == [signed]


def test_another_signature_or_sender_of_a_known_message_is_verified(verified):
    memory, signed = Signatures(CHAIN_ID), message_of(ANN)
    memory.verify(signed, ANN.address)
    forged = replace(signed, signature=message_of(ANN, nonce=1).signature)

    with pytest.raises(BadSignature):
        memory.verify(forged, ANN.address)
    with pytest.raises(BadSignature):
        memory.verify(signed, BOB.address)
    with pytest.raises(BadSignature):
        memory.verify(forged, ANN.address)
    assert len(verified) == 4


@pytest.mark.parametrize("is_known", [True, False])
def test_an_aggregate_is_the_sum_of_its_messages(is_known):
    memory = Signatures(CHAIN_ID)
    messages = [message_of(ANN), message_of(BOB), message_of(ANN, nonce=1)]
    senders = [signed.message.from_ for signed in messages]
    if is_known:
        for signed, sender in zip(messages, senders, strict=True):
            memory.verify(signed, sender)
    sums = [one.signature.data for one in messages]

    memory.verify_aggregate(bls_aggregate(sums), messages, senders)
    memory.verify_aggregate(bls_aggregate([]), [], [])
    for wrong in (bls_aggregate(sums[:2]), bls_aggregate([]), Signature(SIG_BLS, bytes(96))):
        with pytest.raises(BadSignature):
            memory.verify_aggregate(wrong, messages, senders)


def test_signatures_that_cancel_out_do_not_pass_for_verified():
    """Two wrong signatures whose sum is right: the sum alone proves nothing of the single ones."""
    memory, one, two = Signatures(CHAIN_ID), message_of(ANN), message_of(BOB)
    swapped = [replace(one, signature=two.signature), replace(two, signature=one.signature)]
    aggregate = bls_aggregate([one.signature.data, two.signature.data])

    memory.verify_aggregate(aggregate, swapped, [ANN.address, BOB.address])  # the whole is a valid one

    for signed in swapped:
        with pytest.raises(BadSignature):
            memory.verify(signed, signed.message.from_)


def test_a_message_twice_in_a_block_is_refused_even_if_known():
    memory, signed = Signatures(CHAIN_ID), message_of(ANN)
    memory.verify(signed, ANN.address)
    aggregate = bls_aggregate([signed.signature.data] * 2)

    with pytest.raises(BadSignature):
        memory.verify_aggregate(aggregate, [signed, signed], [ANN.address] * 2)


def test_what_was_not_used_for_long_is_forgotten(verified, monkeypatch):
    monkeypatch.setattr(module, "SIGNATURES_CACHED", 2)
    memory, messages = Signatures(CHAIN_ID), [message_of(EVE, nonce) for nonce in range(3)]

    for signed in (*messages, messages[0]):
        memory.verify(signed, EVE.address)

    assert len(verified) == 4
