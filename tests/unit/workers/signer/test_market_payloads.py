from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsite.filecoin import cbor
from poolsite.filecoin.actors.market import ClientDealProposal
from poolsite.filecoin.address import id_address
from poolsite.filecoin.cids import cid_of_cbor
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.keys import key_address
from poolsite.filecoin.kinds import AMOUNT, CID, UINT64
from poolsite.filecoin.storage_market import STORAGE_ASK
from tests.keys import fixed_key
from tests.unit.workers.signer.market_payloads import DEAL, SIGNATURE, VOUCHER
from workers.signer.errors import NotUnderstood
from workers.signer.payloads import payload_decode
from workers.signer.sign_request import MARKET, SignRequest

SECP = key_address(fixed_key("secp256k1"))
ASK: dict[str, Any] = {
    "Price": 5,
    "VerifiedPrice": 1,
    "MinPieceSize": 256,
    "MaxPieceSize": 2**35,
    "Miner": id_address(1000),
    "Timestamp": 10,
    "Expiry": 5000,
    "SeqNo": 3,
}


def map_write(items: dict[str, bytes]) -> bytes:
    """A map as cbor-gen writes it: keys by length, then by their letters."""
    names = sorted(items, key=lambda name: (len(name), name))
    return bytes([0xA0 | len(items)]) + b"".join(cbor.text_write(name) + items[name] for name in names)


def ask_write() -> bytes:
    return map_write({name: kind.encode(ASK[name]) for name, kind in STORAGE_ASK.items()})


def answer_write(ask: bytes) -> bytes:
    signed = map_write({"Ask": ask, "Signature": b"\xf6"})
    return map_write({"Ask": signed})


def response_write() -> bytes:
    published = {"PublishMessage": b"\xf6", "Proposal": CID.encode(cid_of_cbor(b"deal"))}
    return map_write({"State": UINT64.encode(15), "Message": cbor.text_write("soon"), **published})


def state_write() -> bytes:
    nothing = dict.fromkeys(("ProposalCid", "AddFundsCid", "PublishCid"), b"\xf6")
    told = {"State": UINT64.encode(7), "Message": cbor.text_write(""), "DealID": UINT64.encode(12)}
    return map_write({**nothing, **told, "Proposal": to_cbor(DEAL), "FastRetrieval": b"\xf5"})


GOOD = {
    "dealproposal": to_cbor(DEAL),
    "clientdeal": to_cbor(ClientDealProposal(DEAL, SIGNATURE)),
    "signedvoucher": to_cbor(VOUCHER),
    "storageask": ask_write(),
    "askresponse": answer_write(ask_write()),
    "networkresposne": response_write(),
    "providerdealstate": state_write(),
}


def read(meta_type: str, to_sign: bytes) -> SignRequest:
    return payload_decode(address=SECP, to_sign=to_sign, meta_type=meta_type, extra=b"", sign_bytes=b"")


def test_every_type_of_the_markets_has_its_example():
    assert GOOD.keys() == set(MARKET)


@pytest.mark.parametrize("meta_type", ["dealproposal", "storageask", "networkresposne", "providerdealstate"])
def test_these_are_signed_as_they_are(meta_type):
    assert read(meta_type, GOOD[meta_type]).payload == GOOD[meta_type]


def test_a_clients_deal_is_signed_by_its_cid():
    assert read("clientdeal", GOOD["clientdeal"]).payload == cid_of_cbor(GOOD["clientdeal"]).data


def test_a_voucher_is_signed_without_its_signature():
    request = read("signedvoucher", GOOD["signedvoucher"])

    assert request.payload == to_cbor(replace(VOUCHER, signature=None))
    assert (request.value, str(request.to)) == (10**18, "f01500")


def test_an_answer_is_signed_as_the_ask_in_its_old_form():
    payload = read("askresponse", GOOD["askresponse"]).payload

    assert payload[:1] == b"\x88"
    assert payload[1:] == b"".join(kind.encode(ASK[name]) for name, kind in STORAGE_ASK.items())


def test_a_deal_counts_with_its_price_and_both_collaterals():
    request = read("dealproposal", GOOD["dealproposal"])

    assert (request.value, str(request.to)) == (7 * 300 + 53, "f01000")
    assert request.description == "dealproposal: 2048 bytes of f01001 at f01000"


def test_keys_may_stand_in_the_order_of_older_versions():
    fields = [cbor.text_write(name) + kind.encode(ASK[name]) for name, kind in STORAGE_ASK.items()]

    assert read("storageask", b"\xa8" + b"".join(fields)).about.startswith("f01000 at 5 attoFIL")


@pytest.mark.parametrize(
    "ask",
    [
        map_write({**{name: kind.encode(ASK[name]) for name, kind in STORAGE_ASK.items()}, "More": b"\x01"}),
        map_write({"Price": AMOUNT.encode(1)}),
        b"\xa8" + (cbor.text_write("Price") + AMOUNT.encode(1)) * 8,
        ask_write() + b"\x00",
        b"\xf6",
    ],
)
def test_maps_with_other_keys_are_refused(ask):
    with pytest.raises(NotUnderstood, match="cbor unmarshal"):
        read("storageask", ask)


@pytest.mark.parametrize("answer", [map_write({"Ask": b"\xf6"}), answer_write(b"\xf6")])
def test_an_answer_without_an_ask_is_refused(answer):
    with pytest.raises(NotUnderstood, match="no ask"):
        read("askresponse", answer)


@pytest.mark.parametrize("meta_type", MARKET)
@pytest.mark.parametrize("other", MARKET)
def test_no_type_is_taken_for_another(meta_type, other):
    if meta_type != other:
        with pytest.raises(NotUnderstood):
            read(meta_type, GOOD[other])


@pytest.mark.parametrize("meta_type", MARKET)
@given(data=st.data())
def test_damaged_bytes_are_refused_or_read_and_nothing_else(meta_type, data):
    good = bytearray(GOOD[meta_type])
    good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(good[: data.draw(st.integers(0, len(good)))])

    try:
        request = read(meta_type, cut)
    except NotUnderstood:
        return
    assert request.type == meta_type
    assert request.raw == cut
