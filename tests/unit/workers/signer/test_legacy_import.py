from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from poolsite.filecoin.keys import key_address, key_from_json
from tests.keys import fixed_key
from tests.unit.workers.signer import conftest
from workers.signer import keystore, legacy_import
from workers.signer.commands import main
from workers.signer.errors import DamagedStore, SignerError, WrongPassword
from workers.signer.legacy_import import ScryptCost, box_decrypt, keys_read, keys_write

GOLDEN = json.loads((Path(__file__).parents[3] / "golden" / "gateway" / "wallet_vectors.json").read_text())
CHEAP = ScryptCost(n=16)
KEYS = [fixed_key(kind) for kind in ("bls", "secp256k1", "delegated")]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "keystore.sqlit"
    keys_write(path, KEYS, "secret", cost=CHEAP)
    return path


def changed(path: Path, **fields: Any) -> None:
    with closing(sqlite3.connect(path)) as link, link:
        blob = json.loads(link.execute("SELECT private_key FROM wallets WHERE id = 1").fetchone()[0])
        box = {**json.loads(base64.b64decode(blob["PrivateKey"])), **fields}
        blob["PrivateKey"] = base64.b64encode(json.dumps(box).encode()).decode()
        link.execute("UPDATE wallets SET private_key = ? WHERE id = 1", (json.dumps(blob),))


def test_a_key_sealed_by_the_real_wallet_opens():
    row = GOLDEN["keys"][0]

    secret = box_decrypt(row["crypto"], GOLDEN["password"])

    assert secret == key_from_json(row["key_info"]).private_key


def test_what_is_written_is_read_again_without_the_network_letter(store):
    with closing(sqlite3.connect(store)) as link:
        addresses = [row[0] for row in link.execute("SELECT address FROM wallets ORDER BY id")]

    assert keys_read(store, "secret") == KEYS
    assert addresses == [str(key_address(info))[1:] for info in KEYS]


def test_a_wrong_password_is_refused(store):
    with pytest.raises(WrongPassword, match="could not decrypt key with given password"):
        keys_read(store, "wrong")


@pytest.mark.parametrize(
    "fields",
    [{"kdf": "argon"}, {"ciphertext": "zz"}, {"mac": None}, {"kdfparams": {}}, {"cipherparams": {}}],
)
def test_a_damaged_row_is_named(store, fields):
    changed(store, **fields)

    with pytest.raises(DamagedStore, match=r"the key of 3.* is damaged"):
        keys_read(store, "secret")


def test_a_row_under_another_address_is_refused(store):
    with closing(sqlite3.connect(store)) as link, link:
        link.execute("UPDATE wallets SET address = '1xyz' WHERE id = 1")

    with pytest.raises(DamagedStore, match="belongs to another address"):
        keys_read(store, "secret")


def test_another_file_is_refused(tmp_path):
    (tmp_path / "x").write_text("no database at all, but long enough to be looked at" * 20)

    with pytest.raises(DamagedStore, match="not a venus-wallet key store"):
        keys_read(tmp_path / "x", "secret")
    with pytest.raises(SignerError, match="does not exist"):
        keys_read(tmp_path / "y", "secret")


def test_an_existing_file_is_not_overwritten(store):
    with pytest.raises(SignerError, match="exists"):
        keys_write(store, KEYS, "secret", cost=CHEAP)


def test_keys_move_between_the_stores(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(legacy_import, "ScryptCost", lambda *_values: CHEAP)
    monkeypatch.setattr(keystore, "Cost", lambda *_values: conftest.CHEAP)
    (tmp_path / "old").write_text("secret\n")
    folder, password = str(tmp_path / "signer"), ["--wallet-password-file", str(tmp_path / "old")]
    main(["init", "--dir", folder])

    assert main(["import-wallet", str(store), "--dir", folder, *password]) == 0
    assert main(["export-wallet", str(tmp_path / "back"), "--dir", folder, *password]) == 0

    assert set(keys_read(tmp_path / "back", "secret")) >= set(KEYS)
    assert "6 keys written" in capsys.readouterr().out
