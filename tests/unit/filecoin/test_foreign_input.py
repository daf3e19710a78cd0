"""Whatever a stranger sends, parsers answer with a value or with their own error, never with another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsite.filecoin import (
    address,
    amounts,
    bitfield,
    cids,
    deadlines,
    jwt,
    keys,
    kinds,
    message,
    network_params,
    piece_cids,
    policy,
    tipset,
)

ALPHABET = st.one_of(
    st.text(max_size=60),
    st.text("f0123456789abcxyz:/.-_{}[]\"' \n\x00\u0661\ud800ßİ", max_size=60),
    st.text("0123456789", max_size=6000),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ALPHABET,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "/",
                    "Blocks",
                    "Cids",
                    "NetworkName",
                    "BlockDelaySecs",
                    "Type",
                    "PrivateKey",
                    "id",
                    "method",
                    "params",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
)

TEXTS: dict[str, tuple[Callable[[str], Any], tuple[type[Exception], ...]]] = {
    "address": (address.address_parse, (address.BadAddress,)),
    "amount": (amounts.amount_parse, (amounts.BadAmount,)),
    "FIL": (amounts.fil_parse, (amounts.BadAmount,)),
    "CID": (cids.cid_parse, (cids.BadCid,)),
    "piece CID": (lambda text: piece_cids.sized_cid_read(cids.cid_parse(text)), (cids.BadCid,)),
    "key": (keys.key_import, (keys.BadKey,)),
    "token": (lambda text: jwt.token_verify(text, b"secret"), (jwt.BadToken,)),
    "claims": (jwt.token_claims, (jwt.BadToken,)),
    "base64": (kinds.bytes_from_json, (kinds.BadField,)),
}
VALUES: dict[str, tuple[Callable[[Any], Any], tuple[type[Exception], ...]]] = {
    "cid": (cids.cid_from_json, (cids.BadCid,)),
    "tipset": (tipset.tipset_from_json, (kinds.BadField, tipset.BadTipset, cids.BadCid)),
    "tipset key": (tipset.tipset_key_from_json, (kinds.BadField, cids.BadCid)),
    "message": (message.message_from_json, (kinds.BadField,)),
    "receipt": (message.receipt_from_json, (kinds.BadField,)),
    "deadline": (deadlines.deadline_from_json, (kinds.BadField,)),
    "network": (network_params.network_from_params, (kinds.BadField, policy.UnknownNetwork)),
    "bitfield": (bitfield.bitfield_from_json, (kinds.BadField,)),
    "key": (keys.key_from_json, (keys.BadKey,)),
}


@pytest.mark.parametrize("name", sorted(TEXTS))
@settings(max_examples=60)
@given(text=ALPHABET)
def test_text(name: str, text: str) -> None:
    parse, own = TEXTS[name]
    try:
        parse(text)
    except own:
        return


@pytest.mark.parametrize("name", sorted(VALUES))
@settings(max_examples=60)
@given(value=JSON)
def test_json(name: str, value: Any) -> None:
    parse, own = VALUES[name]
    try:
        parse(value)
    except own:
        return


@settings(max_examples=200)
@given(data=st.binary(max_size=60))
def test_bytes(data: bytes) -> None:
    for parse, own in (
        (address.address_from_bytes, address.BadAddress),
        (cids.cid_from_bytes, cids.BadCid),
        (amounts.amount_from_bytes, amounts.BadAmount),
        (bitfield.bitfield_from_bytes, bitfield.BadBitField),
        (tipset.tipset_key_from_bytes, cids.BadCid),
    ):
        _read_or_refuse(parse, own, data)


def _read_or_refuse(parse: Callable[[bytes], Any], own: type[Exception], data: bytes) -> None:
    try:
        parse(data)
    except own:
        return
