"""Addresses in Ethereum's form: read as lotus does, with the checksum of EIP-55."""

from __future__ import annotations

import pytest

from poolsite.filecoin.address import BadAddress, address_parse, id_address
from poolsite.filecoin.eth_text import any_address_parse, eth_text

CHECKSUMS = (
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
)
"""Source: EIP-55, test cases."""
FORMS = {
    "0xd388ab098ed3e84c0d808776440b48f685198498": "f410f2oekwcmo2pueydmaq53eic2i62crtbeyuzx2gmy",
    "0xff00000000000000000000000000000000000065": "f0101",
}
"""Source: docs.filecoin.io, EVM address types; a masked actor id."""


@pytest.mark.parametrize("text", CHECKSUMS)
def test_checksum_is_written_and_read(text: str) -> None:
    address = any_address_parse(text)

    assert eth_text(address) == text
    assert any_address_parse(text.lower()) == any_address_parse(f" 0x{text[2:].upper()} ") == address


@pytest.mark.parametrize(("text", "address"), FORMS.items())
def test_address_has_one_filecoin_form(text: str, address: str) -> None:
    assert any_address_parse(text) == address_parse(address)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "checksum"),
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeA", "length"),
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeg", "encoding"),
        ("0x", "length"),
        ("x1", "length"),
        ("1abc", "network"),
    ],
)
def test_other_text_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadAddress, match=words):
        any_address_parse(text)


def test_key_addresses_have_no_such_form() -> None:
    assert eth_text(address_parse("f1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3za")) == ""
    assert any_address_parse(eth_text(id_address(1004))) == id_address(1004)
