"""What is to be signed, understood: the bytes are decoded, and the bytes to sign are made from them.

Source: filecoin-project/venus venus-shared/types/wallet/sign_types.go, filecoin-project/venus-wallet
storage/wallet/wallet.go; the rule that `message` bytes must be the message's own is ours (the peer signs
arbitrary bytes with a harmless Extra).
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from poolsite.filecoin import cbor
from poolsite.filecoin.actors.market import DealProposal
from poolsite.filecoin.actors.paych import SignedVoucher
from poolsite.filecoin.address import DELEGATED, Address
from poolsite.filecoin.block import BlockHeader
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import from_cbor
from poolsite.filecoin.randomness import draw_randomness
from workers.signer.errors import NotUnderstood
from workers.signer.market_payloads import market_request
from workers.signer.message_payloads import message_decode
from workers.signer.sign_request import (
    BLOCK,
    DRAW_RANDOM,
    FINALITY,
    MARKET,
    MESSAGE,
    UNKNOWN,
    VERIFY_ADDRESS,
    SignRequest,
)
from workers.signer.slash_protection import header_cid
from workers.signer.votes import vote_text

LINK: Final = bytes.fromhex("0171a0e40220")
"""How the CID of a message or a deal begins; it has 38 bytes."""
LINK_LEN: Final = 38
LEGACY_FROM: Final = 0xC0
"""First byte of an Ethereum transaction that is a list; typed ones begin with their type."""

CHALLENGE_MIN: Final = 32
"""Random bytes of a pool, by which a key proves itself to no other."""

NO_DRAW: Final = "get sign bytes: parseObj failed:cbor unmarshal:no DrawRandomParams"


def payload_decode(
    *, address: Address, to_sign: bytes, meta_type: str, extra: bytes, sign_bytes: bytes
) -> SignRequest:
    """Decode what is to be signed.  Raises NotUnderstood with venus-wallet's words where it has some."""
    if meta_type == VERIFY_ADDRESS:
        return _verify_address(address, to_sign, extra, sign_bytes)
    if meta_type == MESSAGE:
        return message_decode(address, to_sign, extra)
    if meta_type == BLOCK:
        return _block(address, to_sign)
    if meta_type == DRAW_RANDOM:
        return _draw_random(address, to_sign)
    if meta_type in MARKET:
        try:
            return market_request(meta_type, address, to_sign)
        except BadCbor as error:
            raise NotUnderstood(f"get sign bytes: parseObj failed:cbor unmarshal:{error}") from None
    if meta_type in (UNKNOWN, FINALITY):
        if about := vote_text(to_sign):
            return SignRequest(FINALITY, address, to_sign, raw=to_sign, about=about)
        if meta_type == FINALITY:
            raise NotUnderstood("get sign bytes: these bytes are not a fast-finality vote")
        return SignRequest(UNKNOWN, address, to_sign, raw=to_sign)
    raise NotUnderstood(f"get sign bytes: unsupported msgtype:{meta_type[:40]}")


def _verify_address(address: Address, to_sign: bytes, extra: bytes, sign_bytes: bytes) -> SignRequest:
    expected = hashlib.sha256(extra + sign_bytes).digest()
    # A pool that calls in knows no bytes of ours: its challenge is its own random ones alone.
    is_called = len(extra) >= CHALLENGE_MIN and to_sign == hashlib.sha256(extra).digest()
    if to_sign != expected and not is_called:
        raise NotUnderstood(f"sign data not match, actual {to_sign.hex()}, expected {expected.hex()}")
    return SignRequest(VERIFY_ADDRESS, address, to_sign, raw=to_sign)


def meaning_of_unknown(request: SignRequest) -> str:
    """Return what bytes without meaning would be to a chain or a market; empty if nothing.

    A rule for such bytes must not undo those for messages: whoever has it would ask for the bytes alone.
    """
    if request.type != UNKNOWN:
        return ""
    data = request.payload
    if len(data) == LINK_LEN and data.startswith(LINK):
        return "a message or a deal"
    if request.address.protocol == DELEGATED and data and (data[0] <= 4 or data[0] >= LEGACY_FROM):
        return "an Ethereum transaction"
    for cls, text in ((DealProposal, "a deal"), (SignedVoucher, "a voucher"), (BlockHeader, "a block")):
        try:
            from_cbor(cls, data)
        except BadCbor:
            continue
        return text
    return ""


def _block(address: Address, to_sign: bytes) -> SignRequest:
    try:
        header = from_cbor(BlockHeader, to_sign)
    except BadCbor as error:
        raise NotUnderstood(f"get sign bytes: parseObj failed:cbor unmarshal:{error}") from None
    about = f"of {header.miner} at height {header.height}"
    payload, cid = header.signing_bytes, header_cid(header)
    return SignRequest(BLOCK, address, payload, cid=cid, raw=to_sign, about=about, header=header)


def _draw_random(address: Address, to_sign: bytes) -> SignRequest:
    try:
        params = _text_map(to_sign)
    except BadCbor as error:
        raise NotUnderstood(f"get sign bytes: parseObj failed:cbor unmarshal:{error}") from None
    wanted = {"Rbase": bytes, "Pers": int, "Round": int, "Entropy": bytes}
    if params.keys() != wanted.keys() or any(type(params[name]) is not kind for name, kind in wanted.items()):
        raise NotUnderstood(NO_DRAW)
    try:
        payload = draw_randomness(params["Rbase"], params["Pers"], params["Round"], params["Entropy"])
    except OverflowError:
        raise NotUnderstood(NO_DRAW) from None
    return SignRequest(DRAW_RANDOM, address, payload, raw=to_sign)


def _text_map(data: bytes) -> dict[str, Any]:
    """Read a map in Go's field order, which canonical dag-cbor does not know.  Raises BadCbor."""
    major, count, at = cbor.head_read(data, 0)
    if major != cbor.MAP or count > 16:
        raise BadCbor("cbor input should be of type map")
    found: dict[str, Any] = {}
    for _ in range(count):
        name, at = cbor.text_read(data, at)
        found[name], at = cbor.value_read(data, at)
    if at != len(data):
        raise BadCbor(f"{len(data) - at} trailing bytes")
    return found
