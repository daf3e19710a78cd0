"""Signatures that must not pass."""

from __future__ import annotations

import dataclasses

import pytest

from poolsite.filecoin.address import bls_address, id_address
from poolsite.filecoin.keys import KeyInfo, key_address, key_generate, key_sign
from poolsite.filecoin.message import Message, SignedMessage
from poolsite.filecoin.signature import (
    BadSignature,
    Signature,
    bls_aggregate,
    bls_aggregate_verify,
    bls_verify,
    signature_verify,
)
from poolsite.filecoin.signing import message_sign, message_verify
from poolsite.filecoin.sigtypes import SIG_BLS, SIG_DELEGATED, SIG_SECP256K1

KEYS = {
    kind: key_generate(kind, random_bytes=lambda n: b"\x07" * n) for kind in ("bls", "secp256k1", "delegated")
}
OTHERS = {kind: key_generate(kind, random_bytes=lambda n: b"\x08" * n) for kind in KEYS}
PAYLOAD = b"forty-two bytes of anything, or fewer"


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_signed_bytes_verify(kind: str) -> None:
    signature_verify(key_sign(KEYS[kind], PAYLOAD), key_address(KEYS[kind]), PAYLOAD)


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_other_bytes_other_keys_and_damage_do_not(kind: str) -> None:
    signature, address = key_sign(KEYS[kind], PAYLOAD), key_address(KEYS[kind])

    with pytest.raises(BadSignature):
        signature_verify(signature, address, PAYLOAD + b"!")
    with pytest.raises(BadSignature):
        signature_verify(signature, key_address(OTHERS[kind]), PAYLOAD)
    for place in range(0, len(signature.data), 7):
        data = bytearray(signature.data)
        data[place] ^= 1
        with pytest.raises(BadSignature):
            signature_verify(dataclasses.replace(signature, data=bytes(data)), address, PAYLOAD)
    for length in (0, 1, len(signature.data) - 1):
        with pytest.raises(BadSignature):
            signature_verify(dataclasses.replace(signature, data=signature.data[:length]), address, PAYLOAD)


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_a_signature_of_another_type_does_not_verify(kind: str) -> None:
    address = key_address(KEYS[kind])
    for other in KEYS:
        if other != kind:
            with pytest.raises(BadSignature):
                signature_verify(key_sign(KEYS[other], PAYLOAD), address, PAYLOAD)
    with pytest.raises(BadSignature, match="unsupported type: 0"):
        signature_verify(Signature(0, b""), address, PAYLOAD)


def test_lotus_words_for_wrong_signatures() -> None:
    secp = key_address(KEYS["secp256k1"])

    with pytest.raises(BadSignature, match="must resolve ID addresses before using them"):
        signature_verify(Signature(SIG_SECP256K1, bytes(65)), id_address(100), PAYLOAD)
    with pytest.raises(BadSignature, match="bls signature incorrectly sized"):
        signature_verify(Signature(SIG_BLS, bytes(65)), secp, PAYLOAD)
    with pytest.raises(BadSignature, match="invalid compact signature"):
        signature_verify(Signature(SIG_SECP256K1, bytes(64)), secp, PAYLOAD)
    with pytest.raises(BadSignature, match="signature did not match"):
        signature_verify(key_sign(KEYS["secp256k1"], b"other"), secp, PAYLOAD)


def test_the_aggregate_of_a_block_covers_each_message_once() -> None:
    pairs = [(KEYS["bls"], b"one"), (OTHERS["bls"], b"two")]
    senders = [key_address(key) for key, _ in pairs]
    aggregate = bls_aggregate([key_sign(key, payload).data for key, payload in pairs])

    bls_aggregate_verify(aggregate, senders, [b"one", b"two"])
    for payloads in ([b"two", b"one"], [b"one", b"three"], [b"one"], []):
        with pytest.raises(BadSignature):
            bls_aggregate_verify(aggregate, senders[: len(payloads)], payloads)
    with pytest.raises(BadSignature):
        bls_aggregate_verify(aggregate, senders, [b"one"])


def test_the_empty_aggregate_is_infinity_only() -> None:
    bls_aggregate_verify(bls_aggregate([]), [], [])
    with pytest.raises(BadSignature):
        bls_aggregate_verify(key_sign(KEYS["bls"], b"x"), [], [])
    with pytest.raises(BadSignature):
        bls_aggregate_verify(bls_aggregate([]), [key_address(KEYS["bls"])], [b"x"])


def test_impossible_points_are_refused() -> None:
    with pytest.raises(BadSignature):
        bls_verify(b"\xc0" + bytes(47), PAYLOAD, b"\xc0" + bytes(95))
    with pytest.raises(BadSignature):
        bls_verify(b"\xff" * 48, PAYLOAD, bytes(96))
    with pytest.raises(BadSignature):
        signature_verify(Signature(SIG_BLS, b"\xff" * 96), key_address(KEYS["bls"]), PAYLOAD)
    with pytest.raises(BadSignature):
        bls_aggregate([b"\xff" * 96])
    assert bls_address(b"\xc0" + bytes(47)).protocol == 3


def test_a_message_from_an_id_verifies_by_its_key() -> None:
    key = KEYS["secp256k1"]
    message = Message(to=id_address(1), from_=id_address(100), gas_limit=1)
    signed = SignedMessage(message, key_sign(key, message.cid.data))

    message_verify(signed, chain_id=314, key=key_address(key))
    with pytest.raises(BadSignature):
        message_verify(signed, chain_id=314)


def test_delegated_signatures_bind_the_chain() -> None:
    key = KEYS["delegated"]
    message = Message(to=id_address(1000), from_=key_address(key), method=3844450837, gas_limit=1)
    signed = message_sign(key, message, chain_id=314)

    assert signed.signature.type == SIG_DELEGATED
    message_verify(signed, chain_id=314)
    with pytest.raises(BadSignature):
        message_verify(signed, chain_id=314159)


def test_a_delegated_sender_must_send_ethereum_transactions() -> None:
    key = KEYS["delegated"]
    message = Message(to=id_address(1000), from_=key_address(key), method=16, gas_limit=1)
    signed = SignedMessage(message, Signature(SIG_DELEGATED, bytes(65)))

    with pytest.raises(BadSignature, match="invalid methodnum 16"):
        message_verify(signed, chain_id=314)


def test_no_key_shows_its_secret() -> None:
    key = KeyInfo("secp256k1", b"\x41" * 32)

    assert "A" * 8 not in repr(key)
    assert "41" * 8 not in repr(key)
