"""Keys as lotus and venus export and import them."""

from __future__ import annotations

import base64
import json

import pytest

from poolsite.filecoin.keys import (
    BLS_ORDER,
    KEY_TYPES,
    BadKey,
    KeyInfo,
    key_address,
    key_export,
    key_from_json,
    key_generate,
    key_import,
    key_public,
    key_sign,
    key_to_json,
)


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_exported_keys_come_back(kind: str) -> None:
    key = key_generate(kind)

    assert key_import(key_export(key)) == key
    assert key_import(f"  {key_export(key)}\n") == key
    assert key_import(json.dumps(key_to_json(key))) == key


@pytest.mark.parametrize(("number", "kind"), [(1, "secp256k1"), (2, "bls"), (3, "delegated")])
def test_the_type_may_be_a_number(number: int, kind: str) -> None:
    key = key_generate(kind)

    assert key_from_json({**key_to_json(key), "Type": number}) == key


@pytest.mark.parametrize(
    ("kind", "prefix", "length"), [("bls", "f3", 48), ("secp256k1", "f1", 65), ("delegated", "f410f", 65)]
)
def test_kinds_have_their_addresses(kind: str, prefix: str, length: int) -> None:
    key = key_generate(kind)

    assert str(key_address(key)).startswith(prefix)
    assert len(key_public(key)) == length


def test_entropy_is_passed_in() -> None:
    assert key_generate("bls", random_bytes=lambda n: b"\x01" * n) == key_generate(
        "bls", random_bytes=lambda n: b"\x01" * n
    )


def test_an_impossible_draw_is_drawn_again() -> None:
    draws = iter([b"\xff" * 32, bytes(32), b"\x05" * 32])

    assert key_generate("secp256k1", random_bytes=lambda _: next(draws)).private_key == b"\x05" * 32


def test_bls_keys_are_little_endian() -> None:
    one = KeyInfo("bls", b"\x01" + bytes(31))
    two = KeyInfo("bls", b"\x02" + bytes(31))

    assert key_public(one) != key_public(two)
    assert key_public(one).hex().startswith("97f1d3a73197d794")  # the generator of G1


def test_signing_is_deterministic() -> None:
    for kind in KEY_TYPES:
        key = key_generate(kind)
        assert key_sign(key, b"x") == key_sign(key, b"x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "zz",
        "00ff",
        b"[]".hex(),
        b"{}".hex(),
        '{"Type":"bls"}',
        '{"Type":"bls","PrivateKey":5}',
        '{"Type":"bls","PrivateKey":"!!"}',
        '{"Type":"bls","PrivateKey":"AAAA"}',
        '{"Type":"ledger","PrivateKey":"AAAA"}',
        '{"Type":true,"PrivateKey":"AAAA"}',
        json.dumps({"Type": "bls", "PrivateKey": base64.b64encode(bytes(32)).decode()}),
        json.dumps(
            {"Type": "bls", "PrivateKey": base64.b64encode(BLS_ORDER.to_bytes(32, "little")).decode()}
        ),
        json.dumps({"Type": "secp256k1", "PrivateKey": base64.b64encode(b"\xff" * 32).decode()}),
        json.dumps({"Type": "secp256k1", "PrivateKey": base64.b64encode(bytes(32)).decode()}),
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadKey):
        key_import(text)


def test_refusals_do_not_repeat_the_text() -> None:
    secret = base64.b64encode(b"\xff" * 32).decode()
    with pytest.raises(BadKey) as refusal:
        key_import(json.dumps({"Type": "secp256k1", "PrivateKey": secret}))

    assert secret not in str(refusal.value)


def test_unknown_types_cannot_be_made() -> None:
    with pytest.raises(BadKey):
        key_generate("rsa")
