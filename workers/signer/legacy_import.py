"""venus-wallet's key store, read and written: SQLite, keys encrypted by scrypt, AES-128-CTR and a keccak MAC.

Source: filecoin-project/venus-wallet storage/sqlite/, crypto/aes/; its cryptoJSON is geth's version 3.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from poolsite.filecoin.keccak import keccak256
from poolsite.filecoin.keys import BadKey, KeyInfo, key_address, key_from_json, key_to_json
from workers.signer.errors import DamagedStore, SignerError, WrongPassword

SCRYPT_N: Final = 262_144
"""venus-wallet's default cost; 256 MiB and about half a second for each key."""
SCRYPT_MEMORY_BYTES: Final = 1 << 30
SCHEMA: Final = """
CREATE TABLE wallets (
    id INTEGER PRIMARY KEY AUTOINCREMENT, created_at DATETIME, updated_at DATETIME, deleted_at DATETIME,
    address VARCHAR(128) NOT NULL UNIQUE, private_key BLOB
)
"""


@dataclass(frozen=True, slots=True)
class ScryptCost:
    """How hard it is to try a password of the old store."""

    n: int = SCRYPT_N
    r: int = 8
    p: int = 1


def keys_read(path: Path, password: str) -> list[KeyInfo]:
    """Read every key.  Raises DamagedStore for another file, WrongPassword."""
    if not path.exists():
        raise SignerError(f"{path} does not exist")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as link:
            rows = link.execute("SELECT address, private_key FROM wallets ORDER BY id").fetchall()
    except sqlite3.DatabaseError as error:
        raise DamagedStore(f"{path} is not a venus-wallet key store: {error}") from None
    return [key_decrypt(address, blob, password) for address, blob in rows]


def key_decrypt(address: str, blob: bytes, password: str) -> KeyInfo:
    """Open one row.  Raises DamagedStore, WrongPassword."""
    try:
        entry = json.loads(blob)
        box = json.loads(base64.b64decode(entry["PrivateKey"]))
        secret = box_decrypt(box, password)
        info = key_from_json({"Type": entry["Type"], "PrivateKey": base64.b64encode(secret).decode()})
    except (ValueError, KeyError, TypeError, BadKey) as error:
        raise DamagedStore(f"the key of {address} is damaged: {error}") from None
    if str(key_address(info))[1:] != address:
        raise DamagedStore(f"the key of {address} belongs to another address")
    return info


def box_decrypt(box: dict[str, Any], password: str) -> bytes:
    """Open a cryptoJSON.  Raises WrongPassword; ValueError, KeyError, TypeError for what is none."""
    key = derived(box, password)
    data = bytes.fromhex(box["ciphertext"])
    if not hmac.compare_digest(keccak256(key[16:32] + data), bytes.fromhex(box["mac"])):
        raise WrongPassword("could not decrypt key with given password")
    if box["cipher"] != "aes-128-ctr":
        raise ValueError(f"cipher {box['cipher']!r}")
    return aes(key[:16], bytes.fromhex(box["cipherparams"]["iv"]), data)


def derived(box: dict[str, Any], password: str) -> bytes:
    """Derive the key: the old store hashes the password before the kdf."""
    params = box["kdfparams"]
    salt, length = bytes.fromhex(params["salt"]), int(params["dklen"])
    hashed = keccak256(password.encode())
    if box["kdf"] == "scrypt":
        cost = ScryptCost(int(params["n"]), int(params["r"]), int(params["p"]))
        return scrypt(hashed, salt, cost, length)
    if box["kdf"] == "pbkdf2" and params["prf"] == "hmac-sha256":
        return hashlib.pbkdf2_hmac("sha256", hashed, salt, int(params["c"]), length)
    raise ValueError(f"kdf {box['kdf']!r}")


def scrypt(hashed: bytes, salt: bytes, cost: ScryptCost, length: int) -> bytes:
    """Derive a key; OpenSSL needs to be told that so much memory is meant."""
    return hashlib.scrypt(
        hashed, salt=salt, n=cost.n, r=cost.r, p=cost.p, dklen=length, maxmem=SCRYPT_MEMORY_BYTES
    )


def aes(key: bytes, iv: bytes, data: bytes) -> bytes:
    """AES-128-CTR, which is its own inverse."""
    stream = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return stream.update(data) + stream.finalize()


def box_encrypt(secret: bytes, password: str, cost: ScryptCost) -> dict[str, Any]:
    """Make a cryptoJSON."""
    salt, iv = secrets.token_bytes(32), secrets.token_bytes(16)
    key = scrypt(keccak256(password.encode()), salt, cost, 32)
    data = aes(key[:16], iv, secret)
    return {
        "cipher": "aes-128-ctr",
        "ciphertext": data.hex(),
        "cipherparams": {"iv": iv.hex()},
        "kdf": "scrypt",
        "kdfparams": {"dklen": 32, "n": cost.n, "p": cost.p, "r": cost.r, "salt": salt.hex()},
        "mac": keccak256(key[16:32] + data).hex(),
    }


def keys_write(path: Path, keys: Iterable[KeyInfo], password: str, *, cost: ScryptCost | None = None) -> int:
    """Write a new store that venus-wallet opens with this password.  Raises SignerError if it exists."""
    if path.exists():
        raise SignerError(f"{path} already exists: choose a new file")
    rows = [(str(key_address(info))[1:], row_blob(info, password, cost or ScryptCost())) for info in keys]
    with closing(sqlite3.connect(path)) as link, link:
        path.chmod(0o600)
        link.execute(SCHEMA)
        link.executemany(
            "INSERT INTO wallets (created_at, updated_at, address, private_key)"
            " VALUES (datetime('now'), datetime('now'), ?, ?)",
            rows,
        )
    return len(rows)


def row_blob(info: KeyInfo, password: str, cost: ScryptCost) -> bytes:
    """Write one key."""
    box = json.dumps(box_encrypt(info.private_key, password, cost)).encode()
    return json.dumps({**key_to_json(info), "PrivateKey": base64.b64encode(box).decode()}).encode()
