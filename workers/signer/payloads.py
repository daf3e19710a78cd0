"""What is to be signed, understood: the bytes are decoded, and the bytes to sign are made from them.

Source: filecoin-project/venus venus-shared/types/wallet/sign_types.go, filecoin-project/venus-wallet
storage/wallet/wallet.go; the rule that `message` bytes must be the message's own is ours (the peer signs
arbitrary bytes with a harmless Extra).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Final

from poolsite.filecoin import cbor
from poolsite.filecoin.actors.decode import ACTOR_METHODS, actor_kind, method_name
from poolsite.filecoin.actors.market import ClientDealProposal, DealProposal
from poolsite.filecoin.actors.paych import SignedVoucher
from poolsite.filecoin.address import ACTOR, DELEGATED, ID, Address
from poolsite.filecoin.block import BlockHeader
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.cids import cid_of_cbor
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.ethereum import signing_bytes
from poolsite.filecoin.ethereum_transaction import BadTransaction
from poolsite.filecoin.message import Message, message_from_cbor
from poolsite.filecoin.policy import NETWORKS
from poolsite.filecoin.randomness import draw_randomness
from poolsite.filecoin.storage_market import (
    ASK_RESPONSE,
    PROVIDER_DEAL_STATE,
    RESPONSE,
    STORAGE_ASK,
    map_decode,
    old_ask_encode,
)
from workers.signer.amounts import amounts_add, fee_of, proposal_of, proposal_text, withdrawal_of
from workers.signer.errors import NotUnderstood
from workers.signer.slash_protection import header_cid
from workers.signer.votes import vote_text

VERIFY_ADDRESS: Final = "verifyaddress"
MESSAGE: Final = "message"
DEAL_PROPOSED: Final = "dealproposal"
CLIENT_DEAL: Final = "clientdeal"
VOUCHER: Final = "signedvoucher"
ASK: Final = "storageask"
ASK_ANSWER: Final = "askresponse"
DEAL_ANSWER: Final = "networkresposne"
"""So it is spelled on the wire."""
DEAL_STATE: Final = "providerdealstate"
BLOCK: Final = "block"
DRAW_RANDOM: Final = "drawrandomparam"
FINALITY: Final = "f3"
"""Votes of fast finality; lotus asks for them as `unknown`."""
UNKNOWN: Final = "unknown"
"""Bytes that mean nothing to anybody; signed only where a rule names them."""
LINK: Final = bytes.fromhex("0171a0e40220")
"""How the CID of a message or a deal begins; it has 38 bytes."""
LINK_LEN: Final = 38
LEGACY_FROM: Final = 0xC0
"""First byte of an Ethereum transaction that is a list; typed ones begin with their type."""
MARKET: Final = (DEAL_PROPOSED, CLIENT_DEAL, VOUCHER, ASK, ASK_ANSWER, DEAL_ANSWER, DEAL_STATE)
"""Types of the storage and retrieval markets."""
TYPES: Final = (MESSAGE, BLOCK, DRAW_RANDOM, VERIFY_ADDRESS, *MARKET, UNKNOWN, FINALITY)


@dataclass(frozen=True, slots=True)
class SignRequest:
    """What a caller wants signed, decoded."""

    type: str
    address: Address
    """Whose key."""
    payload: bytes
    """What the signature covers."""
    readings: tuple[str, ...] = ()
    """Of a message: every method that it can be, as `miner.SubmitWindowedPoSt`; all must be allowed."""
    to: Address | None = None
    value: int = 0
    """attoFIL that the message moves."""
    fee_max: int = 0
    """attoFIL that its gas can cost."""
    cid: str = ""
    raw: bytes = b""
    """The decoded object's own bytes, for the record."""
    about: str = ""
    """What there is to say of it beside its type."""
    header: BlockHeader | None = None
    """Of a block."""

    @property
    def digest(self) -> str:
        """Identity of the request: the same bytes asked for again, by whatever way, have the same."""
        return self.cid or hashlib.sha256(self.payload).hexdigest()

    @property
    def description(self) -> str:
        """One line for people."""
        if self.type != MESSAGE:
            return f"{self.type}: {self.about}" if self.about else self.type
        words = f"{MESSAGE}: {' or '.join(self.readings)} to {self.to}"
        return f"{words}: {self.about}" if self.about else words


def payload_decode(
    *, address: Address, to_sign: bytes, meta_type: str, extra: bytes, sign_bytes: bytes
) -> SignRequest:
    """Decode what is to be signed.  Raises NotUnderstood with venus-wallet's words where it has some."""
    if meta_type == VERIFY_ADDRESS:
        return _verify_address(address, to_sign, extra, sign_bytes)
    if meta_type == MESSAGE:
        return _message(address, to_sign, extra)
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
        return SignRequest(ASK_ANSWER, address, old_ask_encode(ask), raw=to_sign, about=_ask_text(ask))
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


def _verify_address(address: Address, to_sign: bytes, extra: bytes, sign_bytes: bytes) -> SignRequest:
    expected = hashlib.sha256(extra + sign_bytes).digest()
    if to_sign != expected:
        raise NotUnderstood(f"sign data not match, actual {to_sign.hex()}, expected {expected.hex()}")
    return SignRequest(VERIFY_ADDRESS, address, to_sign, raw=to_sign)


def _message(address: Address, to_sign: bytes, extra: bytes) -> SignRequest:
    if not extra:
        raise NotUnderstood("parseObj failed:msg type must contain extra data")
    try:
        message = message_from_cbor(extra)
    except BadCbor as error:
        raise NotUnderstood(f"get sign bytes: parseObj failed:cbor unmarshal:{error}") from None
    if message.from_ != address:
        raise NotUnderstood(f"signer({address}) is not msg sender({message.from_})")
    if to_sign not in _message_payloads(message, address):
        raise NotUnderstood("the bytes to sign are not those of the message in extra")
    return message_request(message, address, payload=to_sign, raw=extra)


def message_request(message: Message, address: Address, *, raw: bytes, payload: bytes = b"") -> SignRequest:
    """Return what a message is and costs; with a proposal to a multisig or a withdrawal goes what they move.

    Raises NotUnderstood.
    """
    proposal, readings = proposal_of(message), message_readings(message)
    withdrawn = withdrawal_of(message, [reading.partition(".")[0] for reading in readings if "." in reading])
    return SignRequest(
        MESSAGE,
        address,
        payload,
        readings=readings,
        to=message.to,
        value=amounts_add(message.value, proposal.value if proposal is not None else 0, withdrawn),
        fee_max=fee_of(message),
        cid=str(message.cid),
        raw=raw,
        about=proposal_text(proposal) if proposal is not None else "",
    )


def _message_payloads(message: Message, address: Address) -> set[bytes]:
    """Return the bytes that a signature over this message covers, on every network that we know."""
    if address.protocol != DELEGATED:
        return {message.cid.data}
    payloads = set()
    for chain_id in {network.eth_chain_id for network in NETWORKS.values()}:
        try:
            payloads.add(signing_bytes(message, chain_id=chain_id))
        except BadTransaction as error:
            raise NotUnderstood(f"the message is not an Ethereum transaction: {error}") from None
    return payloads


def message_readings(message: Message) -> tuple[str, ...]:
    """Return every method that this message can call.

    The number alone does not say: what an actor is, only the chain knows.  A kind counts if it has the
    method and the parameters decode as its own; so a rule for one kind cannot be used for another.
    Raises NotUnderstood if nothing fits.
    """
    if message.method == 0:
        return ("Send",)
    singleton = actor_kind(message.to)
    kinds: tuple[str, ...] = (singleton,) if singleton else _kinds(message.to)
    readings = tuple(f"{kind}.{method_name(kind, message.method)}" for kind in kinds if _fits(kind, message))
    if not readings:
        raise NotUnderstood(f"method {message.method} of {message.to} with these parameters is unknown")
    return readings


def _kinds(to: Address) -> tuple[str, ...]:
    if to.protocol in (ID, ACTOR):
        return ("miner", "multisig", "paych", "evm", "account")
    return ("account", "evm")


def _fits(kind: str, message: Message) -> bool:
    spec = ACTOR_METHODS[kind].get(message.method)
    if spec is None:
        return False
    if spec.params is None:
        return not message.params
    try:
        from_cbor(spec.params, message.params)
    except BadCbor:
        return False
    return True


def disguised(request: SignRequest) -> str:
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
    for cls, words in ((DealProposal, "a deal"), (SignedVoucher, "a voucher"), (BlockHeader, "a block")):
        try:
            from_cbor(cls, data)
        except BadCbor:
            continue
        return words
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
        raise NotUnderstood("get sign bytes: parseObj failed:cbor unmarshal:no DrawRandomParams")
    payload = draw_randomness(params["Rbase"], params["Pers"], params["Round"], params["Entropy"])
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
