"""A Ledger: commands and answers against Zondax' published vectors, and a file signed over ledgercomm.

Vectors: Zondax/ledger-filecoin-go common_test.go and app_test.go, Zondax/ledger-filecoin-js
tests/basic.spec.js and basic.ispec.js, Zondax/ledger-filecoin tests_zemu/tests/standard.test.ts.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from coincurve import PrivateKey

from poolsite.filecoin.address import address_parse, secp256k1_address
from poolsite.filecoin.message import message_to_cbor, signed_message_from_json
from poolsite.filecoin.signature import signature_verify
from tests.unit.workers.signer.ledger_device import Device, at_tcp, device_signature, key_at
from tests.unit.workers.signer.offline import exported
from tests.unit.workers.signer.signing import message
from workers.signer.commands import main
from workers.signer.errors import SignerError
from workers.signer.ledger import (
    Ledger,
    LedgerRefused,
    address_read,
    ledger_opened,
    path_parse,
    sign_commands,
)

PATHS = [
    ("m/44/100/0/0/0", "2c00000064000000000000000000000000000000"),
    ("m/44'/123'/0/0/0", "2c0000807b000080000000000000000000000000"),
    ("m/44'/123'/0'/0/0", "2c0000807b000080000000800000000000000000"),
    ("m/44'/461'/0/0/5", "2c000080cd010080000000000000000005000000"),
]
KEYS = [
    (
        "m/44'/461'/0/0/1",
        "04fc016f3d88dc7070cdd95b5754d32fd5290f850b7c2208fca0f715d35861de18"
        "41d9a342a487692a63810a6c906b443a18aa804d9d508d69facc5b06789a01b4",
        "018bab69a28eeb4525bd8f49679a740a9582691906",
        "f1rovwtiuo5ncslpmpjftzu5akswbgsgighjazxoi",
    ),
    (
        "m/44'/461'/5/0/3",
        "04240ecf6ec722b701f051aaaffde7455a56e433139e4c0ff2ad7c8675e2cce104"
        "a8027ba13e5bc640ec9932cce184f33a789bb9c32f41e34328118b7862fc9ca2",
        "0175a6b113220c2f71c4db420753aab2cef5edb6a8",
        "f1owtlcezcbqxxdrg3iidvhkvsz3263nvijwpumui",
    ),
    (
        "m/44'/461'/5'/0/3",
        "0425d0dbeedb2053e690a58e9456363158836b1361f30dba0332f440558fa803d0"
        "56042b50d0e70e4a2940428e82c7cea54259d65254aed4663e4d0cffd649f4fb",
        "",
        "f1mk3zcefvlgpay4f32c5vmruk5gqig6dumc7pz6q",
    ),
]
"""Path, public key, address as bytes (not everywhere published) and as text."""
TRANSFER = bytes.fromhex(
    "8a0058310396a1a3e4ea7a14d49985e661b22401d44fed402d1d0925b243c923589c0fbc7e32cd04e29ed78d15d37d3aaa3fe6da335831"
    "0386b454258c589475f7d16f5aac018a79f6c1169d20fc33921dd8b5ce1cac6c348f90a3603624f6aeb91b64518c2e80950144000186a0"
    "1961a8430009c44200000040"
)
"""What `sign basic & verify` has signed."""


@pytest.mark.parametrize(("path", "published"), PATHS)
def test_paths_are_written_as_the_go_and_js_clients_do(path: str, published: str) -> None:
    assert path_parse(path).hex() == published


@pytest.mark.parametrize(
    "path", ["/44'/461'/0/0/5", "m/44'/461'/0/0", "m/44'/461'/0/0/l", "m/44'/461'/0/0/2147483648"]
)
def test_paths_that_they_refuse_are_refused(path: str) -> None:
    with pytest.raises(SignerError, match="path"):
        path_parse(path)


@pytest.mark.parametrize(("path", "public", "raw", "text"), KEYS)
def test_answers_with_addresses_are_read(path: str, public: str, raw: str, text: str) -> None:
    given = bytes.fromhex(raw) or b"\x01" + address_parse(text).payload
    answer = bytes.fromhex(public) + bytes([len(given)]) + given + bytes([len(text)]) + text.encode()

    assert str(address_read(answer)) == text
    assert str(Ledger(Device()).address(path_parse(path))) == text, "the phrase's key by BIP 32"
    with pytest.raises(LedgerRefused, match="not that of its key"):
        address_read(answer[:66] + b"\x01" + bytes(20))
    with pytest.raises(LedgerRefused, match="cannot be read"):
        address_read(answer[:65])


def test_the_published_signature_is_what_a_key_signs() -> None:
    key = PrivateKey(bytes.fromhex("b6e3f4e621e89656ed1f3a34023e8204a9f3416fdf6f4ba57f9a4c8971a91341"))
    old = bytes.fromhex("884300e9075501f7c7cd6e87ca5cc5782b259c389f46f52617569c00420001404200010040")

    made = device_signature(key, old)[:65]

    assert made.hex() == (
        "8808dead9bd0d6953e7519f8a7ffd07eac98313f645c792664146b7727e33d78"
        "2b6a3c803949c5520cb73869a003e59f173f0f9326fd2d8825e1a1d9df59afb201"
    )
    address = secp256k1_address(key.public_key.format(compressed=False))
    assert address.payload.hex() == "f7c7cd6e87ca5cc5782b259c389f46f52617569c"


def test_a_message_goes_in_parts_behind_its_path() -> None:
    path = path_parse("m/44'/461'/0'/0/1")
    long = TRANSFER + bytes(600 - len(TRANSFER))

    (begun, only), parts = sign_commands(path, TRANSFER), sign_commands(path, long)

    assert begun.hex() == "0602000014" + path.hex()
    assert only == bytes([6, 2, 2, 0, len(TRANSFER)]) + TRANSFER
    assert [part[:5].hex() for part in parts] == ["0602000014", "06020100fa", "06020100fa", "0602020064"]
    assert b"".join(part[5:] for part in parts[1:]) == long


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (0x6986, b"", "refused on the device"),
        (0x6984, b"Unexpected data type", "cannot read the message: Unexpected data type"),
        (0x6E00, b"", "the Filecoin app is not open"),
        (0x1234, b"", "0x1234"),
    ],
)
def test_refusals_of_the_device_are_said_in_words(status: int, said: bytes, words: str) -> None:
    device, path = Device(refusal=(status, said)), path_parse("m/44'/461'/0'/0/0")
    sender = Ledger(device).address(path)
    one = message(from_=sender)

    with pytest.raises(LedgerRefused, match=words):
        Ledger(device).sign(path, address=sender, message=message_to_cbor(one), payload=one.cid.data)


def test_a_file_is_signed_over_tcp_as_with_an_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = secp256k1_address(key_at(path_parse("m/44'/461'/0'/0/3")).public_key.format(compressed=False))
    first = message(from_=sender)
    second = replace(first, nonce=1, to=address_parse("f01000"))
    file = exported(tmp_path, first, second)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\ny\n"))

    with at_tcp(Device()) as address:
        assert main(["sign-file", str(file), "--ledger-at", address]) == 0

    rows = json.loads((tmp_path / "unsigned.signed.json").read_text())["Messages"]
    signed = [signed_message_from_json(row) for row in rows]
    assert [one.message for one in signed] == [first, second]
    for one in signed:
        signature_verify(one.signature, sender, one.message.cid.data)


def test_a_key_that_the_device_does_not_have_signs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = exported(tmp_path, message())
    for more, words in (
        ((), "the device has no key of"),
        (("--ledger-path", "m/44'/461'/0'/0/7"), "m/44'/461'/0'/0/7 is f1"),
    ):
        monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
        with at_tcp(Device()) as address:
            assert main(["sign-file", str(file), "--ledger-at", address, *more]) == 1
        assert words in capsys.readouterr().err
    assert not (tmp_path / "unsigned.signed.json").exists()


def test_a_false_signature_of_a_device_is_noticed() -> None:
    path = path_parse("m/44'/461'/0'/0/0")
    sender, one = Ledger(Device()).address(path), message()
    device = Device(refusal=(0x9000, bytes(65)))

    with pytest.raises(LedgerRefused, match="signature is not that of"):
        Ledger(device).sign(path, address=sender, message=message_to_cbor(one), payload=one.cid.data)


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # ledgercomm leaves its socket open
def test_no_device_and_no_package_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SignerError, match="no Ledger can be reached"), ledger_opened("127.0.0.1:1"):
        pass
    with pytest.raises(SignerError, match="is not HOST:PORT"), ledger_opened("device"):
        pass

    def absent(_name: str) -> None:
        raise ImportError

    monkeypatch.setattr("workers.signer.ledger.loaded", absent)
    with pytest.raises(SignerError, match=r"pip install 'ledgercomm\[hid\]==1.2.1'"), ledger_opened():
        pass
