"""Messages: identities and what no block may carry."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from poolsite.filecoin.address import UNDEF, ZERO_ADDRESS, id_address
from poolsite.filecoin.amounts import TOTAL_FILECOIN, AttoFil
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.cids import cid_of_cbor
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT
from poolsite.filecoin.message import (
    Message,
    MessageRefused,
    Receipt,
    SignedMessage,
    message_check_for_inclusion,
    message_from_cbor,
    message_from_json,
    message_to_cbor,
    message_to_json,
    receipt_from_cbor,
    receipt_to_cbor,
    signed_message_to_cbor,
)
from poolsite.filecoin.signature import Signature
from poolsite.filecoin.sigtypes import SIG_BLS, SIG_SECP256K1

GOOD = Message(
    to=id_address(1000),
    from_=id_address(100),
    nonce=3,
    value=AttoFil(5),
    gas_limit=1_000_000,
    gas_fee_cap=AttoFil(1000),
    gas_premium=AttoFil(10),
)


def test_bls_messages_are_known_by_their_unsigned_cid() -> None:
    bls = SignedMessage(GOOD, Signature(SIG_BLS, bytes(96)))
    secp = SignedMessage(GOOD, Signature(SIG_SECP256K1, bytes(65)))

    assert bls.cid == GOOD.cid
    assert secp.cid == cid_of_cbor(signed_message_to_cbor(secp)) != GOOD.cid
    assert bls.chain_length == len(message_to_cbor(GOOD))
    assert secp.chain_length == len(signed_message_to_cbor(secp))


def test_the_cid_in_json_is_output_only() -> None:
    value = message_to_json(GOOD)
    value["CID"] = {"/": "bafy-nonsense"}

    assert message_from_json(value) == GOOD


def test_other_versions_are_refused() -> None:
    with pytest.raises(BadCbor, match="expected message version to be 0, got 1"):
        message_from_cbor(message_to_cbor(dataclasses.replace(GOOD, version=1)))


def test_receipts_keep_their_version() -> None:
    for receipt in (Receipt(0, b"", 5, version=0), Receipt(16, b"\x80", 7)):
        assert receipt_from_cbor(receipt_to_cbor(receipt)) == receipt


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": 1}, "'Version' unsupported"),
        ({"to": UNDEF}, "'To' address cannot be empty"),
        ({"to": ZERO_ADDRESS}, "invalid 'To' address"),
        ({"from_": UNDEF}, "'From' address cannot be empty"),
        ({"value": -1}, "'Value' field cannot be negative"),
        ({"value": TOTAL_FILECOIN + 1}, "'Value' field cannot be greater than total filecoin supply"),
        ({"gas_fee_cap": -1}, "'GasFeeCap' field cannot be negative"),
        ({"gas_premium": -1}, "'GasPremium' field cannot be negative"),
        ({"gas_premium": 1001}, "'GasFeeCap' less than 'GasPremium'"),
        ({"gas_limit": 0}, "'GasLimit' field 0 must be positive"),
        (
            {"gas_limit": BLOCK_GAS_LIMIT + 1},
            "'GasLimit' field cannot be greater than a block's gas limit (10000000001 > 10000000000)",
        ),
        (
            {"gas_limit": 99},
            "'GasLimit' field cannot be less than the cost of storing a message on chain 99 < 100",
        ),
    ],
)
def test_what_no_block_may_carry(change: dict[str, Any], text: str) -> None:
    with pytest.raises(MessageRefused) as refusal:
        message_check_for_inclusion(dataclasses.replace(GOOD, **change), min_gas=100)

    assert str(refusal.value) == text


def test_a_good_message_passes() -> None:
    message_check_for_inclusion(GOOD, min_gas=1_000_000)
    assert GOOD.required_funds == 1_000_000_000
