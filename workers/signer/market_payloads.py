"""What the storage and retrieval markets sign: deals, vouchers, asks and answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from poolsite.filecoin.actors.market import ClientDealProposal, DealProposal
from poolsite.filecoin.actors.paych import SignedVoucher
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.cids import cid_of_cbor
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.storage_market import (
    ASK_RESPONSE,
    PROVIDER_DEAL_STATE,
    RESPONSE,
    STORAGE_ASK,
    map_decode,
    tuple_ask_encode,
)
from workers.signer.amounts import amounts_add
from workers.signer.sign_request import (
    ASK,
    ASK_ANSWER,
    CLIENT_DEAL,
    DEAL_ANSWER,
    DEAL_PROPOSED,
    VOUCHER,
    SignRequest,
)

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address


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
