"""Addresses beyond the golden ones: bytes, other names for the same actor, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given

from poolsite.filecoin.address import (
    UNDEF,
    Address,
    BadAddress,
    actor_address,
    address_format,
    address_from_bytes,
    address_parse,
    created_actor_address,
    delegated_address,
    eth_address,
    eth_masked_id,
    id_address,
)
from tests.unit.filecoin.strategies import ADDRESS


@given(ADDRESS)
def test_text_and_bytes_read_back(address: Address) -> None:
    assert address_parse(address_format(address, prefix="t")) == address
    assert address_parse(str(address)) == address
    assert address_from_bytes(bytes(address)) == address


@given(ADDRESS)
def test_one_changed_character_is_refused(address: Address) -> None:
    text = str(address)
    if address.protocol == 0:
        return  # IDs have no checksum
    changed = text[:-1] + ("a" if text[-1] != "a" else "b")
    with pytest.raises(BadAddress):
        address_parse(changed)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("00", "invalid address length"),
        ("008000", "invalid address payload"),
        ("00ffffffffffffffffff01", "invalid address payload"),
        ("0100", "invalid address payload"),
        ("02" + "00" * 21, "invalid address payload"),
        ("03" + "00" * 47, "invalid address payload"),
        ("040a" + "00" * 55, "invalid address payload"),
        ("05ff", "unknown address protocol"),
    ],
)
def test_foreign_bytes_are_refused(data: str, reason: str) -> None:
    with pytest.raises(BadAddress) as refusal:
        address_from_bytes(bytes.fromhex(data))

    assert str(refusal.value) == reason


def test_digits_of_other_scripts_are_refused() -> None:
    with pytest.raises(BadAddress):
        address_parse("f0\u0661\u0662")


def test_the_undefined_address_has_no_bytes_and_go_s_text() -> None:
    assert bytes(UNDEF) == b""
    assert str(UNDEF) == "<empty>"
    assert address_parse("") == address_parse("<empty>") == address_from_bytes(b"") == UNDEF
    assert UNDEF.is_undef


def test_only_id_addresses_have_an_actor_id() -> None:
    with pytest.raises(BadAddress):
        _ = actor_address(b"").actor_id


def test_ethereum_names_of_actors_and_of_keys() -> None:
    assert eth_address(eth_masked_id(1000)) == id_address(1000)
    assert eth_address(b"\x11" * 20) == delegated_address(10, b"\x11" * 20)
    assert delegated_address(10, b"\x11" * 20).eth_address == b"\x11" * 20
    assert delegated_address(32, b"\x11" * 20).eth_address is None
    assert id_address(5).eth_address is None


def test_created_actors_get_different_addresses() -> None:
    key = address_parse("f1ppamkmnvgvdmvbgkob3jkj45dn7ab4iobuv33tq")

    made = {created_actor_address(key, nonce, created_before=n) for nonce in range(3) for n in range(3)}

    assert len(made) == 9
    expected = b"\x55" + bytes(key) + (2).to_bytes(8, "big") + (1).to_bytes(8, "big")
    assert created_actor_address(key, 2, created_before=1) == actor_address(expected)
