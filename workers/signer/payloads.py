"""What is to be signed, understood: the bytes are decoded, and the bytes to sign are made from them.

Source: filecoin-project/venus venus-shared/types/wallet/sign_types.go, filecoin-project/venus-wallet
storage/wallet/wallet.go; the rule that `message` bytes must be the message's own is ours (the peer signs
arbitrary bytes with a harmless Extra).

Votes of fast finality (F3) are told from their bytes: lotus asks for them as `unknown`, venus as `f3`; both
begin with words that no message, deal, voucher or block begins with.
Source: filecoin-project/go-f3 gpbft/types.go Payload.MarshalForSigning, gpbft/vrf.go; lotus
chain/lf3/signer.go.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, Final

from poolsite.filecoin import cbor
from poolsite.filecoin.actors.market import ClientDealProposal, DealProposal
from poolsite.filecoin.actors.paych import SignedVoucher
from poolsite.filecoin.address import DELEGATED, Address
from poolsite.filecoin.block import BlockHeader
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.cids import cid_of_cbor
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.randomness import draw_randomness
from poolsite.filecoin.storage_market import (
    ASK_RESPONSE,
    PROVIDER_DEAL_STATE,
    RESPONSE,
    STORAGE_ASK,
    map_decode,
    tuple_ask_encode,
)
from workers.signer.amounts import amounts_add
from workers.signer.errors import NotUnderstood
from workers.signer.message_payloads import message_decode
from workers.signer.sign_request import (
    ASK,
    ASK_ANSWER,
    BLOCK,
    CLIENT_DEAL,
    DEAL_ANSWER,
    DEAL_PROPOSED,
    DRAW_RANDOM,
    FINALITY,
    MARKET,
    MESSAGE,
    UNKNOWN,
    VERIFY_ADDRESS,
    VOUCHER,
    SignRequest,
)
from workers.signer.slash_protection import header_cid


def market_request(meta_type: str, address: Address, to_sign: bytes) -> SignRequest:
    """Decode what markets sign, and make the bytes that the signature covers.  Raises BadCbor."""
    if meta_type == DEAL_PROPOSED:
        return _deal(meta_type, address, from_cbor(DealProposal, to_sign), to_sign, payload=to_sign)
    if meta_type == CLIENT_DEAL:
        proposal = from_cbor(ClientDealProposal, to_sign).proposal
        return _deal(meta_type, address, proposal, to_sign, payload=cid_of_cbor(to_sign).data)
    if meta_type == VOUCHER:
        return _voucher(address, to_sign)
    if meta_type == ASK:
        ask = map_decode(to_sign, STORAGE_ASK)
        return SignRequest(ASK, address, to_sign, raw=to_sign, about=_ask_text(ask))
    if meta_type == ASK_ANSWER:
        signed = map_decode(to_sign, ASK_RESPONSE)["Ask"]
        if signed is None or signed["Ask"] is None:
            raise BadCbor("the response contains no ask")
        ask = signed["Ask"]
        return SignRequest(ASK_ANSWER, address, tuple_ask_encode(ask), raw=to_sign, about=_ask_text(ask))
    read = map_decode(to_sign, RESPONSE if meta_type == DEAL_ANSWER else PROVIDER_DEAL_STATE)
    about = f"state {read['State']}"
    return SignRequest(meta_type, address, to_sign, raw=to_sign, about=about)


def _deal(meta_type: str, address: Address, deal: DealProposal, raw: bytes, *, payload: bytes) -> SignRequest:
    """Return a deal; it counts with its price and both collaterals: ceilings hold for each side."""
    epoch_price = amounts_add(deal.storage_price_per_epoch)
    price = epoch_price * max(deal.end_epoch - deal.start_epoch, 0)
    return SignRequest(
        meta_type,
        address,
        payload,
        to=deal.provider,
        value=amounts_add(price, deal.client_collateral, deal.provider_collateral),
        raw=raw,
        about=f"{deal.piece_size} bytes of {deal.client} at {deal.provider}",
    )


def _voucher(address: Address, to_sign: bytes) -> SignRequest:
    voucher = from_cbor(SignedVoucher, to_sign)
    return SignRequest(
        VOUCHER,
        address,
        to_cbor(replace(voucher, signature=None)),
        to=voucher.channel,
        value=amounts_add(voucher.amount),
        raw=to_sign,
        about=f"lane {voucher.lane}, nonce {voucher.nonce}",
    )


def _ask_text(ask: dict[str, Any]) -> str:
    return f"{ask['Miner']} at {ask['Price']} attoFIL per GiB and epoch"


VOTE: Final = b"GPBFT:"
DRAW: Final = b"VRF:"
"""Before what a voter's ticket of a round is drawn from."""
PHASES: Final = ("INITIAL", "QUALITY", "CONVERGE", "PREPARE", "COMMIT", "DECIDE", "TERMINATED")
VOTE_HEAD: Final = 17
"""Bytes after the network's name: phase, round and instance."""
VOTE_MIN: Final = VOTE_HEAD + 64
"""With the commitments and the voted chain's key; the power table's CID follows."""
DRAW_TAIL: Final = 16
"""Instance and round, at the end."""


def vote_text(data: bytes) -> str:
    """Return what a vote or a draw of a ticket is about; empty for any other bytes."""
    if data.startswith(VOTE):
        name, colon, rest = data[len(VOTE) :].partition(b":")
        if not colon or len(rest) < VOTE_MIN or rest[0] >= len(PHASES):
            return ""
        turn, instance = int.from_bytes(rest[1:9], "big"), int.from_bytes(rest[9:17], "big")
        return _vote_text(name, f"{PHASES[rest[0]]} in round {turn} of instance {instance}")
    if data.startswith(DRAW):
        name, colon, rest = data[len(DRAW) :].partition(b":")
        if not colon or len(rest) <= DRAW_TAIL + 1 or rest[-DRAW_TAIL - 1 : -DRAW_TAIL] != b":":
            return ""
        instance, turn = int.from_bytes(rest[-16:-8], "big"), int.from_bytes(rest[-8:], "big")
        return _vote_text(name, f"ticket of round {turn} of instance {instance}")
    return ""


def _vote_text(network: bytes, text: str) -> str:
    if not network or not all(0x21 <= byte <= 0x7E for byte in network):
        return ""
    return f"{text} of {network.decode('ascii')}"


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
