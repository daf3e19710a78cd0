"""A message, and a signer that is asked to sign it."""

from __future__ import annotations

from typing import Any

from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.keys import key_address
from poolsite.filecoin.message import Message, message_to_cbor
from tests.keys import fixed_key

SENDER = key_address(fixed_key("secp256k1"))


def message(**overrides: Any) -> Message:
    fields: dict[str, Any] = {
        "to": address_parse("f01234"),
        "from_": SENDER,
        "value": FIL,
        "nonce": 0,
        "gas_limit": 1_000_000,
        "gas_fee_cap": 1000,
        "gas_premium": 10,
    }
    return Message(**{**fields, **overrides})


def sign(signer: Any, one: Message, **overrides: Any) -> Any:
    asked: dict[str, Any] = {
        "address": str(one.from_),
        "to_sign": one.cid.data,
        "meta_type": "message",
        "extra": message_to_cbor(one),
        "caller": "test",
    }
    return signer.sign(**{**asked, **overrides})
