"""A secret under a password: argon2id for the key, AES-256-GCM with the owner's name for the box.

Source: RFC 9106; NIST SP 800-38D.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import asdict, dataclass
from typing import Any, Final

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.signer.errors import DamagedStore, WrongPassword

SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Cost:
    """How hard it is to try a password."""

    time: int = 3
    memory_kib: int = 65_536
    """0.15 s on one core for each try and each key."""
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Ciphertext:
    """An encrypted secret."""

    cost: Cost
    salt: bytes
    nonce: bytes
    data: bytes

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "kdf": {"name": "argon2id", **asdict(self.cost), "salt": _text(self.salt)},
            "cipher": {"name": "aes-256-gcm", "nonce": _text(self.nonce), "data": _text(self.data)},
        }


def ciphertext_from_json(value: Any) -> Ciphertext:
    """Read one.  Raises DamagedStore."""
    try:
        kdf, cipher = value["kdf"], value["cipher"]
        if (kdf["name"], cipher["name"]) != ("argon2id", "aes-256-gcm"):
            raise DamagedStore("the key store uses another cipher")
        cost = Cost(int(kdf["time"]), int(kdf["memory_kib"]), int(kdf["lanes"]))
        return Ciphertext(cost, _bytes(kdf["salt"]), _bytes(cipher["nonce"]), _bytes(cipher["data"]))
    except (KeyError, TypeError, ValueError):
        raise DamagedStore("an entry of the key store is damaged") from None


def encrypt(secret: bytes, *, password: str, owner: str, cost: Cost) -> Ciphertext:
    """Encrypt a secret; `owner` is bound to it, so ciphertexts cannot be exchanged."""
    salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    data = AESGCM(_key(password, salt, cost)).encrypt(nonce, secret, owner.encode())
    return Ciphertext(cost, salt, nonce, data)


def decrypt(box: Ciphertext, *, password: str, owner: str) -> bytes:
    """Open a box.  Raises WrongPassword, also for one that was changed or belongs to another owner."""
    try:
        return AESGCM(_key(password, box.salt, box.cost)).decrypt(box.nonce, box.data, owner.encode())
    except InvalidTag:
        raise WrongPassword("password mismatch") from None


def _key(password: str, salt: bytes, cost: Cost) -> bytes:
    return hash_secret_raw(
        password.encode(),
        salt,
        time_cost=cost.time,
        memory_cost=cost.memory_kib,
        parallelism=cost.lanes,
        hash_len=KEY_BYTES,
        type=Type.ID,
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
