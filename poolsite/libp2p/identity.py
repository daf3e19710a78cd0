"""Keys of peers: an own Ed25519 key, and the signatures of strangers' keys of any kind.

Source: libp2p specs, peer-ids/peer-ids.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from poolsite.filecoin.multiaddr import base58_encode
from poolsite.libp2p.protobuf import BadProtobuf, bytes_field, fields_read, number_field

RSA: Final = 0
ED25519: Final = 1
SECP256K1: Final = 2
ECDSA: Final = 3
"""Kinds of keys (KeyType)."""
INLINE_MAX: Final = 42
"""Bytes of the longest public key that a peer id holds itself; longer ones are hashed."""
RSA_BITS_MAX: Final = 8192
"""Checking a signature of a larger key costs a stranger nothing and us much."""


class BadPeer(ValueError):
    """A key or signature that is none."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A peer's own key."""

    key: Ed25519PrivateKey

    @classmethod
    def of_seed(cls, seed: bytes) -> Self:
        """Return the identity of 32 secret bytes."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @property
    def public(self) -> bytes:
        """Return the public key as a protocol buffer."""
        raw = self.key.public_key().public_bytes_raw()
        return number_field(1, ED25519) + bytes_field(2, raw)

    @property
    def peer_id(self) -> bytes:
        """Return its multihash."""
        return peer_id_of(self.public)

    @property
    def text(self) -> str:
        """Return its peer id as it is written."""
        return peer_id_text(self.peer_id)

    def sign(self, data: bytes) -> bytes:
        """Return a signature."""
        return self.key.sign(data)


def peer_id_of(public: bytes) -> bytes:
    """Return the multihash of a public key that is a protocol buffer."""
    if len(public) <= INLINE_MAX:
        return bytes([0, len(public)]) + public
    return b"\x12\x20" + hashlib.sha256(public).digest()


def peer_id_text(peer_id: bytes) -> str:
    """Return a peer id as it is written."""
    return base58_encode(peer_id)


def signature_check(public: bytes, signature: bytes, data: bytes) -> None:
    """Check a stranger's signature.  Raises BadPeer."""
    try:
        fields = dict(fields_read(public))
    except BadProtobuf as error:
        raise BadPeer(f"public key: {error}") from None
    kind, raw = fields.get(1, RSA), fields.get(2)
    if not isinstance(raw, bytes):
        raise BadPeer("the public key lacks its bytes")
    try:
        _verify(kind, raw, signature, data)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError) as error:
        raise BadPeer(f"signature of the peer's key: {str(error) or type(error).__name__}") from None


def _verify(kind: Any, raw: bytes, signature: bytes, data: bytes) -> None:
    if kind == ED25519:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, data)
    elif kind == SECP256K1:
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), raw)
        point.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    elif kind in (RSA, ECDSA):
        key = load_der_public_key(raw)
        if kind == ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        elif kind == RSA and isinstance(key, rsa.RSAPublicKey) and key.key_size <= RSA_BITS_MAX:
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            raise ValueError("the key is of another kind than it says")
    else:
        raise ValueError(f"there is no kind of key {kind}")
