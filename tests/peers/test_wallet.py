"""venus-shared's and lotus's wallet clients at our signer."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poolsite.filecoin.address import address_parse
from tests.peers.programs import Peer, PeerRefused
from tests.peers.signatures import message_of, meta_of, text, wallet_signs
from tests.peers.signer import RunningSigner

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    with RunningSigner(tmp_path_factory.mktemp("wallet") / "signer") as running:
        yield running


@pytest.fixture(scope="module")
def address(signer: RunningSigner) -> str:
    return signer.logged(r'(127\.0\.0\.1:\d+)", "event": "listening"')


@pytest.fixture(params=["ws", "http"])
def wallet(request: Any, signer: RunningSigner, address: str, venus: Path) -> Iterator[Peer]:
    url, token = f"{request.param}://{address}/rpc/v0", signer.run("token", "admin")
    with Peer([venus, "wallet", url], token=token) as peer:
        yield peer


@pytest.fixture
def remote_wallet(signer: RunningSigner, address: str, lotus: Path) -> Iterator[Peer]:
    with Peer([lotus, "wallet", f"ws://{address}/rpc/v0"], token=signer.run("token", "admin")) as peer:
        yield peer


@pytest.mark.parametrize("kind", ["bls", "secp256k1", "delegated"])
def test_keys_are_made_moved_and_deleted(wallet, kind):
    key = wallet.call("WalletNew", kind)

    assert key in wallet.call("WalletList")
    assert wallet.call("WalletHas", key) is True
    exported = wallet.call("WalletExport", key)
    assert exported["Type"] == kind
    wallet.call("WalletDelete", key)
    assert wallet.call("WalletHas", key) is False
    assert address_parse(key).protocol == {"bls": 3, "secp256k1": 1, "delegated": 4}[kind]


def test_a_foreign_key_is_imported_and_signs(wallet):
    secret = base64.b64encode(bytes(31) + b"\x07").decode()

    key = wallet.call("WalletImport", {"Type": "secp256k1", "PrivateKey": secret})

    wallet_signs(wallet, key)
    assert wallet.call("WalletExport", key)["PrivateKey"] == secret


def test_every_kind_of_first_key_signs_messages(wallet, signer):
    for key in signer.keys.values():
        wallet_signs(wallet, key)


def test_what_was_signed_and_refused_is_listed(wallet, signer):
    key = signer.keys["control"]
    meta = meta_of(message_of(key))
    with pytest.raises(PeerRefused, match="are not those of the message in extra"):
        wallet.call("WalletSign", key, text(b"x"), meta)

    query = {"Signer": key, "Skip": 0, "Limit": 1}
    [newest] = wallet.call("ListSignedRecord", {**query, "IsError": True})

    assert (newest["Type"], newest["Signer"]) == ("message", key)


def test_a_locked_wallet_does_not_sign(wallet, signer):
    password = (signer.folder / "password").read_text().strip()
    assert wallet.call("LockState") is False
    with pytest.raises(PeerRefused):
        wallet.call("Lock", "not the password")

    wallet.call("Lock", password)
    try:
        assert wallet.call("LockState") is True
        with pytest.raises(PeerRefused, match="wallet locked"):
            wallet_signs(wallet, signer.keys["control"])
    finally:
        wallet.call("Unlock", password)
    wallet_signs(wallet, signer.keys["control"])
    wallet.call("VerifyPassword", password)


def test_tokens_and_version(wallet, address, venus):
    assert wallet.call("Version")["APIVersion"] == 0x010100
    made = base64.b64decode(wallet.call("AuthNew", ["read"])).decode()
    assert wallet.call("AuthVerify", made) == ["read"]
    with Peer([venus, "wallet", f"http://{address}/rpc/v0"], token=made) as reader:
        assert reader.call("WalletList")
        with pytest.raises(PeerRefused, match=r"'\S*WalletNew'  \(need 'admin'\)"):
            reader.call("WalletNew", "bls")


def test_lotus_uses_it_as_its_remote_wallet(remote_wallet, signer):
    keys = remote_wallet.call("WalletList")

    assert set(signer.keys.values()) <= set(keys)
    assert remote_wallet.call("WalletHas", keys[0]) is True
    wallet_signs(remote_wallet, signer.keys["worker"])
