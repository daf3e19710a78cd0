"""Private keys: made, exported and imported as lotus and venus do, and used to sign.

Filecoin writes BLS private keys as little-endian scalars, blspy reads big-endian ones: this module is the
only place that turns them round.  Source: lotus lib/sigs, chain/types/keystore.go; filecoin-project/venus
venus-shared/types/key_info.go.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from blspy import BasicSchemeMPL
from blspy import PrivateKey as BlsPrivateKey
from coincurve import PrivateKey

from poolsite.filecoin.address import (
    EAM_NAMESPACE,
    Address,
    bls_address,
    delegated_address,
    secp256k1_address,
)
from poolsite.filecoin.keccak import keccak256
from poolsite.filecoin.signature import Signature
from poolsite.filecoin.sigtypes import SIG_BLS, SIG_DELEGATED, SIG_SECP256K1, SIG_TYPE_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

KEY_SECP256K1: Final = "secp256k1"
"""Type of a key with an f1 address, as key files and nodes name it."""
KEY_BLS: Final = "bls"
"""Type of a key with an f3 address."""
KEY_DELEGATED: Final = "delegated"
"""Type of a key with an f410 address: a secp256k1 key that signs Ethereum transactions."""
KEY_TYPES: Final = (KEY_SECP256K1, KEY_BLS, KEY_DELEGATED)
"""Key types that can sign here; secp256k1-ledger keys live in their device."""
PRIVATE_KEY_LEN: Final = 32
"""Bytes of every private key, of any type."""
BLS_ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""Order of the BLS12-381 groups; private keys lie below it."""


class BadKey(ValueError):
    """Bytes or text that are not a private key; the message never contains them."""


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A private key with its type.  Its repr hides the key."""

    type: str
    """`bls`, `secp256k1` or `delegated`."""
    private_key: bytes = field(repr=False)
    """32 bytes; little-endian for BLS."""


def key_generate(key_type: str, *, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> KeyInfo:
    """Return a new key.  `random_bytes` gives the entropy.  Raises BadKey for an unknown type."""
    if key_type == KEY_BLS:
        key = BasicSchemeMPL.key_gen(random_bytes(PRIVATE_KEY_LEN))
        return KeyInfo(KEY_BLS, bytes(key)[::-1])
    if key_type not in KEY_TYPES:
        raise BadKey(f"unknown key type {key_type!r}")
    while True:
        try:
            return _checked(KeyInfo(key_type, random_bytes(PRIVATE_KEY_LEN)))
        except BadKey:  # above the curve's order, chance 2^-128
            continue


def key_public(info: KeyInfo) -> bytes:
    """Return the public key: 48 bytes for BLS, 65 uncompressed bytes otherwise."""
    if info.type == KEY_BLS:
        return bytes(_bls_key(info).get_g1())
    return _secp256k1_key(info).public_key.format(compressed=False)


def key_address(info: KeyInfo) -> Address:
    """Return the key address: f3, f1, or f410 for delegated keys."""
    public = key_public(info)
    if info.type == KEY_BLS:
        return bls_address(public)
    if info.type == KEY_SECP256K1:
        return secp256k1_address(public)
    return delegated_address(EAM_NAMESPACE, keccak256(public[1:])[12:])


def key_sign(info: KeyInfo, payload: bytes) -> Signature:
    """Sign `payload` as WalletSign does; deterministic (RFC 6979 for secp256k1).

        secp256k1    blake2b-256 of it    65 bytes R, S, V
        bls          the bytes            96 bytes, a compressed point of G2
        delegated    keccak-256 of it     65 bytes R, S, V

    For messages use `signing.message_sign`.
    """
    if info.type == KEY_BLS:
        return Signature(SIG_BLS, bytes(BasicSchemeMPL.sign(_bls_key(info), payload)))
    if info.type == KEY_SECP256K1:
        digest = hashlib.blake2b(payload, digest_size=32).digest()
        return Signature(SIG_SECP256K1, _secp256k1_key(info).sign_recoverable(digest, hasher=None))
    digest = keccak256(payload)
    return Signature(SIG_DELEGATED, _secp256k1_key(info).sign_recoverable(digest, hasher=None))


def key_to_json(info: KeyInfo) -> dict[str, str]:
    """Return the KeyInfo object of lotus and venus."""
    return {"Type": info.type, "PrivateKey": base64.b64encode(info.private_key).decode()}


def key_from_json(value: Any) -> KeyInfo:
    """Read a KeyInfo object; Type may also be the number of the signature type.  Raises BadKey."""
    if not isinstance(value, dict):
        raise BadKey("a key must be an object with Type and PrivateKey")
    key_type, encoded = value.get("Type"), value.get("PrivateKey")
    if isinstance(key_type, int) and not isinstance(key_type, bool):
        key_type = SIG_TYPE_NAMES.get(key_type)
    if key_type not in KEY_TYPES:
        raise BadKey("unknown key type")
    if not isinstance(encoded, str):
        raise BadKey("PrivateKey must be base64")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BadKey("PrivateKey must be base64") from None
    return _checked(KeyInfo(key_type, data))


def key_export(info: KeyInfo) -> str:
    """Return the text of `lotus wallet export`: hex of the KeyInfo object."""
    return json.dumps(key_to_json(info), separators=(",", ":")).encode().hex()


def key_import(text: str) -> KeyInfo:
    """Read a key file's text: hex of the object (`hex-lotus`) or the object itself (`json-lotus`).

    Raises BadKey.
    """
    text = text.strip()
    if not text.startswith("{"):
        try:
            text = bytes.fromhex(text).decode()
        except (ValueError, UnicodeDecodeError):
            raise BadKey("a key export must be hex of a KeyInfo object") from None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise BadKey("a key export must contain a KeyInfo object") from None
    return key_from_json(value)


def _checked(info: KeyInfo) -> KeyInfo:
    """Refuse keys of a wrong length, zero, or beyond the group's order."""
    if len(info.private_key) != PRIVATE_KEY_LEN:
        raise BadKey("a private key must have 32 bytes")
    if info.type == KEY_BLS:
        _bls_key(info)
    else:
        _secp256k1_key(info)
    return info


def _bls_key(info: KeyInfo) -> BlsPrivateKey:
    """Return the key of a scalar that is kept little-endian, as lotus does.  Raises BadKey."""
    scalar = int.from_bytes(info.private_key, "little")
    if not 0 < scalar < BLS_ORDER:
        raise BadKey("the BLS private key is not below the order of the group")
    return BlsPrivateKey.from_bytes(scalar.to_bytes(PRIVATE_KEY_LEN, "big"))


def _secp256k1_key(info: KeyInfo) -> PrivateKey:
    """Return the key of a big-endian scalar.  Raises BadKey outside 1 .. order - 1."""
    try:
        return PrivateKey(info.private_key)
    except ValueError:
        raise BadKey("the secp256k1 private key is not below the order of the group") from None
