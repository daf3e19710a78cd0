"""Messages for others' wallets to sign, and their signatures as Go writes them."""

from __future__ import annotations

import base64
from typing import Any

from poolsite.filecoin.address import address_parse
from poolsite.filecoin.message import Message, message_to_cbor
from poolsite.filecoin.signature import Signature, signature_verify
from tests.peers.programs import Peer


def text(data: bytes) -> str:
    """Bytes as Go's JSON has them."""
    return base64.b64encode(data).decode()


def signature(signed: dict[str, Any]) -> Signature:
    """A signature out of Go's JSON."""
    return Signature(signed["Type"], base64.b64decode(signed["Data"]))


def message_of(sender: str) -> Message:
    """A small transfer, which the signer's first policy allows."""
    fields: dict[str, Any] = {"value": 1, "gas_limit": 10, "gas_fee_cap": 1, "gas_premium": 1, "nonce": 0}
    return Message(to=address_parse("f01234"), from_=address_parse(sender), **fields)


def meta_of(message: Message) -> dict[str, Any]:
    """What goes to a wallet beside the bytes to sign."""
    return {"Type": "message", "Extra": text(message_to_cbor(message))}


def wallet_signs(peer: Peer, key: str, *accounts: list[str]) -> None:
    """Have a message signed by a wallet, or through a hub for accounts, and check the signature."""
    one = message_of(key)
    signed = peer.call("WalletSign", key, *accounts, text(one.cid.data), meta_of(one))
    signature_verify(signature(signed), one.from_, one.cid.data)
