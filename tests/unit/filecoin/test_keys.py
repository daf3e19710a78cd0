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


RAW = bytes(range(1, 33))
ENCODED = base64.b64encode(RAW).decode()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (json.dumps({"KeyInfo": [{"PrivateKey": ENCODED, "SigType": 1}]}), "secp256k1"),
        (json.dumps({"KeyInfo": [{"PrivateKey": ENCODED, "SigType": 2}]}), "bls"),
        (json.dumps({"KeyInfo": [{"PrivateKey": ENCODED, "SigType": 3}]}), "delegated"),
        (json.dumps({"type": "bls", "privateKey": ENCODED}), "bls"),
        (f'"{json.dumps({"Type": "bls", "PrivateKey": ENCODED}).encode().hex()}"\n', "bls"),
        ("\ufeff" + json.dumps({"Type": "secp256k1", "PrivateKey": ENCODED}), "secp256k1"),
        (RAW.hex(), "delegated"),
        (f"0x{RAW.hex()}\n", "delegated"),
        (f"0X{RAW.hex().upper()}", "delegated"),
    ],
)
def test_each_form_is_read_by_its_looks(text: str, kind: str) -> None:
    assert key_import(text) == KeyInfo(kind, RAW)


def test_a_key_in_plain_hex_has_the_type_that_is_said() -> None:
    assert key_import(RAW.hex(), raw_type="secp256k1") == KeyInfo("secp256k1", RAW)
    with pytest.raises(BadKey, match="must be secp256k1 or delegated"):
        key_import(RAW.hex(), raw_type="bls")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SQLite format 3\0...", "key store of venus-wallet: import it with import-wallet"),
        (
            json.dumps({"crypto": {"ciphertext": "aa"}, "version": 3}),
            "encrypted Ethereum or venus-wallet key",
        ),
        (
            json.dumps({"Type": "bls", "PrivateKey": base64.b64encode(b'{"kdf":"scrypt"}').decode()}),
            "encrypted key of venus-wallet",
        ),
        (json.dumps({"KeyInfo": [{}, {}]}), "holds 2 keys"),
        (f"{b'{}'.hex()}\n{b'{}'.hex()}", "holds 2 exports"),
        (" ".join(["word"] * 12), "seed phrase"),
        (ENCODED, "base64 without its type"),
        (json.dumps({"Type": "secp256k1-ledger", "PrivateKey": ENCODED}), "stays in its device"),
        (json.dumps({"Type": "jwt-hmac-secret", "PrivateKey": ENCODED}), "secret for its API tokens"),
        (json.dumps({"Type": "libp2p-host", "PrivateKey": ENCODED}), "libp2p key"),
        ("hello", "must be a KeyInfo object, its hex, or a private key in hex"),
    ],
)
def test_another_form_is_refused_by_its_name(text: str, words: str) -> None:
    with pytest.raises(BadKey, match=words) as refusal:
        key_import(text)

    assert ENCODED not in str(refusal.value)


def test_refusals_do_not_repeat_the_text() -> None:
    secret = base64.b64encode(b"\xff" * 32).decode()
    with pytest.raises(BadKey) as refusal:
        key_import(json.dumps({"Type": "secp256k1", "PrivateKey": secret}))

    assert secret not in str(refusal.value)


def test_unknown_types_cannot_be_made() -> None:
    with pytest.raises(BadKey):
        key_generate("rsa")


def test_a_key_that_begins_as_an_object_does_is_a_key() -> None:
    data = b"{" + bytes(range(1, 32))
    text = json.dumps({"Type": "secp256k1", "PrivateKey": base64.b64encode(data).decode()})

    assert key_import(text).private_key == data
