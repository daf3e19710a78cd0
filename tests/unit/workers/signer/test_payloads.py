from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from poolsite.filecoin import cbor
from poolsite.filecoin.address import Address, address_parse
from poolsite.filecoin.ethereum import signing_bytes
from poolsite.filecoin.keys import key_address, key_from_json, key_sign
from poolsite.filecoin.message import message_from_cbor, message_to_cbor
from poolsite.filecoin.signature import signature_from_json, signature_verify
from workers.signer.errors import NotUnderstood
from workers.signer.message_payloads import message_readings
from workers.signer.payloads import payload_decode
from workers.signer.sign_request import SignRequest

GOLDEN = json.loads((Path(__file__).parents[3] / "golden" / "gateway" / "wallet_vectors.json").read_text())
KEYS = {row["type"]: key_from_json(row["key_info"]) for row in GOLDEN["keys"]}
MESSAGE = bytes.fromhex(GOLDEN["message"]["cbor_hex"])
CID = bytes.fromhex(GOLDEN["message"]["cid_bytes_hex"])
SECP = key_address(KEYS["secp256k1"])
BLS = key_address(KEYS["bls"])


def read(
    meta_type: str, to_sign: bytes, extra: bytes = b"", *, address: Address = SECP, sign_bytes: bytes = b""
) -> SignRequest:
    return payload_decode(
        address=address, to_sign=to_sign, meta_type=meta_type, extra=extra, sign_bytes=sign_bytes
    )


@pytest.mark.parametrize("row", GOLDEN["keys"], ids=lambda row: row["type"])
def test_the_old_wallets_keys_have_their_addresses_and_verify(row):
    info = key_from_json(row["key_info"])
    signature = signature_from_json(row["sign_hello_unknown"])

    assert str(key_address(info)) == row["address"]
    assert str(address_parse("f" + row["stored_address"])) == row["address"]
    signature_verify(signature, key_address(info), b"hello")


def test_a_message_of_the_old_wallet_is_read():
    request = read("message", CID, MESSAGE)

    assert (request.readings, str(request.to), request.value, request.payload) == (
        ("Send",),
        "f01234",
        1,
        CID,
    )
    assert request.cid == GOLDEN["message"]["cid"]
    signature_verify(signature_from_json(GOLDEN["message"]["signature"]), SECP, request.payload)


def test_randomness_is_drawn_before_it_is_signed():
    row = GOLDEN["drawrandomparam"]

    request = read("drawrandomparam", bytes.fromhex(row["to_sign_hex"]), address=BLS)

    assert request.payload.hex() == row["signed_bytes_hex"]
    assert key_sign(KEYS["bls"], request.payload) == signature_from_json(row["bls_signature"])


def test_a_key_is_proved_on_both_sides_bytes():
    row = GOLDEN["verifyaddress"]
    gateway, wallet = bytes.fromhex(row["gateway_random_hex"]), bytes.fromhex(row["wallet_sign_bytes_hex"])

    request = read("verifyaddress", bytes.fromhex(row["to_sign_hex"]), gateway, sign_bytes=wallet)

    assert request.payload.hex() == row["to_sign_hex"]


def test_a_key_is_not_proved_on_other_bytes():
    with pytest.raises(NotUnderstood, match="sign data not match"):
        read("verifyaddress", b"x" * 32, b"y" * 32, sign_bytes=b"z" * 32)


def test_a_key_is_proved_to_a_pool_that_calls_in():
    challenge = b"y" * 32

    request = read("verifyaddress", hashlib.sha256(challenge).digest(), challenge, sign_bytes=b"z" * 32)

    assert request.payload == hashlib.sha256(challenge).digest()
    for few in (b"", b"y" * 31):
        with pytest.raises(NotUnderstood, match="sign data not match"):
            read("verifyaddress", hashlib.sha256(few).digest(), few, sign_bytes=b"z" * 32)


def test_bytes_beside_a_harmless_message_are_refused():
    with pytest.raises(NotUnderstood, match="not those of the message"):
        read("message", b"\x01\x71\xa0\xe4\x02\x20" + b"\x66" * 32, MESSAGE)


def test_a_message_of_another_sender_is_refused():
    with pytest.raises(NotUnderstood, match=r"signer\(f3.*\) is not msg sender\(f1"):
        read("message", CID, MESSAGE, address=BLS)


def test_a_message_without_its_bytes_is_refused():
    with pytest.raises(NotUnderstood, match="msg type must contain extra data"):
        read("message", CID)


@pytest.mark.parametrize("length", range(1, len(MESSAGE)))
def test_a_cut_message_is_refused(length):
    with pytest.raises(NotUnderstood):
        read("message", CID, MESSAGE[:length])


@pytest.mark.parametrize("length", range(len(bytes.fromhex(GOLDEN["drawrandomparam"]["to_sign_hex"]))))
def test_cut_randomness_is_refused(length):
    with pytest.raises(NotUnderstood):
        read("drawrandomparam", bytes.fromhex(GOLDEN["drawrandomparam"]["to_sign_hex"])[:length])


@pytest.mark.parametrize("name", [b"dPers", b"eRound"])
@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_randomness_beyond_gos_integers_is_refused(name, number):
    data = bytes.fromhex(GOLDEN["drawrandomparam"]["to_sign_hex"])
    at = data.index(name) + len(name)
    _, end = cbor.value_read(data, at)

    with pytest.raises(NotUnderstood, match="no DrawRandomParams"):
        read("drawrandomparam", data[:at] + cbor.encode(number) + data[end:])


@pytest.mark.parametrize("meta_type", ["dealproposals", "", "message ", "MESSAGE", "x" * 100])
def test_an_unknown_type_is_refused(meta_type):
    with pytest.raises(NotUnderstood, match="unsupported msgtype"):
        read(meta_type, b"")


def test_a_delegated_message_must_be_its_ethereum_transaction():
    address = key_address(KEYS["delegated"])
    message = message_from_cbor(MESSAGE)
    to = address_parse("f410fkkld55ioe7qg24wvt7fu6pbknb56ht7pt4zamxa")
    delegated = replace(message, to=to, from_=address, method=3844450837)

    with pytest.raises(NotUnderstood):
        read("message", delegated.cid.data, message_to_cbor(delegated), address=address)


@pytest.mark.parametrize("to", ["", "f01000", "f410fkkld55ioe7qg24wvt7fu6pbknb56ht7pt4zamxa"])
def test_an_ethereum_call_without_data_is_read_as_a_transfer(to):
    address = key_address(KEYS["delegated"])
    receiver = address_parse(to) if to else address
    message = replace(message_from_cbor(MESSAGE), from_=address, to=receiver, method=3844450837, params=b"")
    to_sign = signing_bytes(message, chain_id=314)

    request = read("message", to_sign, message_to_cbor(message), address=address)

    assert request.readings == ("Send",)
    call = replace(message, params=b"\x41a")
    assert message_readings(call) == ("evm.InvokeContract",)


def test_the_method_counts_in_every_reading_that_fits():
    message = message_from_cbor(MESSAGE)
    params = base64.b64decode("gUIA/w==")  # one amount: WithdrawBalance of a miner, nothing of a multisig
    withdraw = replace(message, method=16, params=params)

    request = read("message", withdraw.cid.data, message_to_cbor(withdraw))

    assert request.readings == ("miner.WithdrawBalance",)


def test_a_method_that_nothing_fits_is_refused():
    message = message_from_cbor(MESSAGE)
    strange = replace(message, method=16, params=b"\x01")

    with pytest.raises(NotUnderstood, match="with these parameters is unknown"):
        read("message", strange.cid.data, message_to_cbor(strange))
