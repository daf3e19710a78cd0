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
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

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
RAW_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")
"""A private key in plain hex."""
MNEMONIC_WORDS: Final = (12, 15, 18, 21, 24)
"""Lengths of a seed phrase, in words.  Source: BIP-39."""
OTHER_TYPES: Final = {
    "secp256k1-ledger": "a secp256k1-ledger key stays in its device: it cannot be imported",
    "jwt-hmac-secret": "this is a node's secret for its API tokens, not a wallet's key",
    "libp2p-host": "this is a node's libp2p key, not a wallet's",
}
"""Types of keys in a node's keystore that sign no message, and the refusal of each."""
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
    """Read a KeyInfo object; Type may also be the number of the signature type.  Raises BadKey.

    Names are read in any case, as Go reads them.
    """
    if not isinstance(value, dict):
        raise BadKey("a key must be an object with Type and PrivateKey")
    fields = {str(name).lower(): one for name, one in value.items()}
    key_type, encoded = fields.get("type", fields.get("sigtype")), fields.get("privatekey")
    if isinstance(key_type, int) and not isinstance(key_type, bool):
        key_type = SIG_TYPE_NAMES.get(key_type)
    if key_type not in KEY_TYPES:
        raise BadKey(OTHER_TYPES.get(str(key_type), "unknown key type"))
    if not isinstance(encoded, str):
        raise BadKey("PrivateKey must be base64")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BadKey("PrivateKey must be base64") from None
    if len(data) != PRIVATE_KEY_LEN and data.startswith(b"{"):  # a key may begin with this byte, too
        raise BadKey("this is an encrypted key of venus-wallet: import its store with import-wallet")
    return _checked(KeyInfo(key_type, data))


def key_export(info: KeyInfo) -> str:
    """Return the text of `lotus wallet export`: hex of the KeyInfo object."""
    return json.dumps(key_to_json(info), separators=(",", ":")).encode().hex()


def key_import(text: str, *, raw_type: str = KEY_DELEGATED) -> KeyInfo:
    """Read a key file's text, whose form its looks tell.  Raises BadKey, naming a form that is no plain key.

        hex-lotus   hex of the KeyInfo object, as `wallet export` of lotus and venus writes it
        json-lotus  the object itself, also a file of lotus' keystore
        gfc-json    go-filecoin's, with a list of one KeyInfo
        hex-eth     32 bytes in hex, with or without 0x: of type `raw_type`, secp256k1 or delegated

    Source: lotus cli/wallet.go walletImport, venus-wallet cli/wallet.go.
    """
    text = text.strip('\ufeff \t\r\n"')
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    if RAW_KEY.fullmatch(digits):
        if raw_type not in (KEY_SECP256K1, KEY_DELEGATED):
            raise BadKey("a key in plain hex must be secp256k1 or delegated")
        return _checked(KeyInfo(raw_type, bytes.fromhex(digits)))
    try:
        value = json.loads(text if text.startswith(("{", "[")) else bytes.fromhex(text))
    except (ValueError, RecursionError):
        raise BadKey(_foreign_form(text)) from None
    return key_from_json(_single_key(value))


def _single_key(value: Any) -> Any:
    """Return the KeyInfo object of an export, which go-filecoin puts into a list.  Raises BadKey."""
    if not isinstance(value, dict):
        return value
    fields = {str(name).lower(): one for name, one in value.items()}
    if {"crypto", "ciphertext"} & fields.keys():
        raise BadKey("this is an encrypted Ethereum or venus-wallet key: export it in plain first")
    keys = fields.get("keyinfo", value)
    if not isinstance(keys, list):
        return keys
    if len(keys) != 1:
        raise BadKey(f"this go-filecoin export (gfc-json) holds {len(keys)} keys: import each by itself")
    return keys[0]


def _foreign_form(text: str) -> str:
    """Return why a text is no key export, naming the form that was recognised."""
    words = text.split()
    if text.startswith("SQLite format 3"):
        return "this is a key store of venus-wallet: import it with import-wallet"
    if len(words) in MNEMONIC_WORDS and all(word.isascii() and word.isalpha() for word in words):
        return "this is a seed phrase: export the private key from its wallet"
    if len(words) > 1 and len({word[:4] for word in words}) == 1:
        return f"this holds {len(words)} exports: import each by itself"
    with suppress(ValueError):
        if len(base64.b64decode(text, validate=True)) == PRIVATE_KEY_LEN:
            return "this is a private key in base64 without its type: give it as a KeyInfo object"
    return "a key export must be a KeyInfo object, its hex, or a private key in hex"


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
