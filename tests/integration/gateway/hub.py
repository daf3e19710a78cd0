"""Messages that are signed through the hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from channels.db import database_sync_to_async

from apps.gateway.services.signatures import wallet_sign
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.keys import key_address
from poolsite.filecoin.message import Message, message_to_cbor
from tests.keys import fixed_key

BLS, SECP = (str(key_address(fixed_key(kind))) for kind in ("bls", "secp256k1"))


def in_thread(call):
    return database_sync_to_async(call, thread_sensitive=False)


def message(sender: str = SECP, **overrides: Any) -> Message:
    fields: dict[str, Any] = {
        "to": address_parse("f01234"),
        "from_": address_parse(sender),
        "value": 10**17,
        **overrides,
    }
    return Message(**{"nonce": 0, "gas_limit": 1_000_000, "gas_fee_cap": 1000, "gas_premium": 10, **fields})


async def sign(one: Message, *, accounts: Sequence[str] = ("alice",), timeout_s: float = 60.0) -> Any:
    return await in_thread(wallet_sign)(
        address=str(one.from_),
        accounts=accounts,
        to_sign=one.cid.data,
        meta_type="message",
        extra=message_to_cbor(one),
        timeout_s=timeout_s,
    )
