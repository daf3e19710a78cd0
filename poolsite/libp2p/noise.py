"""Noise XX as libp2p uses it: a handshake in which both sides prove their peer keys, then sealed frames.

Source: libp2p specs, noise/README.md; noiseprotocol.org, revision 34.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from poolsite.libp2p.identity import BadPeer, Identity, peer_id_of, signature_check
from poolsite.libp2p.protobuf import BadProtobuf, bytes_field, fields_read

PROTOCOL: Final = "/noise"
NAME: Final = b"Noise_XX_25519_ChaChaPoly_SHA256"
PREFIX: Final = b"noise-libp2p-static-key:"
"""What the peer's key signs, before the static key."""
FRAME_MAX: Final = 65535
"""Bytes of a frame, sealed."""
TAG: Final = 16
"""Bytes by which a sealed frame is longer."""
KEY: Final = 32
"""Bytes of a public key."""
NONCE_MAX: Final = (1 << 64) - 1


class BadNoise(ValueError):
    """A handshake or frame that is none, or was changed on the way."""


class CipherState:
    """One direction: a key, and the number of the next frame."""

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self._number = 0

    def _nonce(self) -> bytes:
        if self._number == NONCE_MAX:
            raise BadNoise("no more frames under this key")
        number, self._number = self._number, self._number + 1
        return bytes(4) + number.to_bytes(8, "little")

    def seal(self, data: bytes, *, with_: bytes = b"") -> bytes:
        """Return data encrypted."""
        return self._cipher.encrypt(self._nonce(), data, with_)

    def open(self, data: bytes, *, with_: bytes = b"") -> bytes:
        """Return data decrypted.  Raises BadNoise."""
        try:
            return self._cipher.decrypt(self._nonce(), data, with_)
        except InvalidTag:
            raise BadNoise("a frame cannot be opened") from None


def hkdf(key: bytes, material: bytes) -> tuple[bytes, bytes]:
    """Return two keys that follow from a chaining key and new material."""
    secret = hmac.digest(key, material, "sha256")
    first = hmac.digest(secret, b"\x01", "sha256")
    return first, hmac.digest(secret, first + b"\x02", "sha256")


class SymmetricState:
    """What both sides of a handshake have hashed and agreed on so far."""

    def __init__(self) -> None:
        self.digest = NAME.ljust(32, b"\0")
        self.chain = self.digest
        self._cipher: CipherState | None = None
        self.mix_hash(b"")  # an empty prologue

    def mix_hash(self, data: bytes) -> None:
        """Mix in bytes that were sent."""
        self.digest = hashlib.sha256(self.digest + data).digest()

    def mix_key(self, private: X25519PrivateKey, public: bytes) -> None:
        """Mix in the secret that two keys agree on.  Raises BadNoise."""
        try:
            shared = private.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError as error:
            raise BadNoise(f"a key of the handshake: {error}") from None
        self.chain, key = hkdf(self.chain, shared)
        self._cipher = CipherState(key)

    def seal(self, data: bytes) -> bytes:
        """Return data of the handshake, encrypted once there is a key."""
        sealed = data if self._cipher is None else self._cipher.seal(data, with_=self.digest)
        self.mix_hash(sealed)
        return sealed

    def open(self, sealed: bytes) -> bytes:
        """Return data of the handshake.  Raises BadNoise."""
        data = sealed if self._cipher is None else self._cipher.open(sealed, with_=self.digest)
        self.mix_hash(sealed)
        return data

    def split(self) -> tuple[CipherState, CipherState]:
        """Return the ciphers of what the initiator sends, and of what the responder does."""
        first, second = hkdf(self.chain, b"")
        return CipherState(first), CipherState(second)


@dataclass(frozen=True, slots=True)
class Opened:
    """A finished handshake: who the other side is, and the ciphers of both directions."""

    peer_id: bytes
    receiving: CipherState
    sending: CipherState


class Responder:
    """The side that was connected to; two messages come, one goes out between them."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._state = SymmetricState()
        self._static, self._ephemeral = X25519PrivateKey.generate(), X25519PrivateKey.generate()

    def answer(self, first: bytes) -> bytes:
        """Return the second message, which answers the first.  Raises BadNoise."""
        state = self._state
        if len(first) < KEY:
            raise BadNoise("the first message is cut short")
        remote = first[:KEY]
        state.mix_hash(remote)
        state.open(first[KEY:])
        own = self._ephemeral.public_key().public_bytes_raw()
        state.mix_hash(own)
        state.mix_key(self._ephemeral, remote)
        static = self._static.public_key().public_bytes_raw()
        sealed = state.seal(static)
        state.mix_key(self._static, remote)
        return own + sealed + state.seal(payload_write(self._identity, static))

    def finish(self, third: bytes) -> Opened:
        """Finish with the third message.  Raises BadNoise."""
        state = self._state
        size = KEY + TAG
        if len(third) < size:
            raise BadNoise("the third message is cut short")
        remote = state.open(third[:size])
        state.mix_key(self._ephemeral, remote)
        peer_id = payload_read(state.open(third[size:]), static=remote)
        receiving, sending = state.split()
        return Opened(peer_id, receiving, sending)


def payload_write(identity: Identity, static: bytes) -> bytes:
    """Return what proves that a static key is a peer's."""
    return bytes_field(1, identity.public) + bytes_field(2, identity.sign(PREFIX + static))


def payload_read(data: bytes, *, static: bytes) -> bytes:
    """Return the id of the peer that proves to have a static key.  Raises BadNoise."""
    try:
        fields = dict(fields_read(data))
        public, signature = fields.get(1), fields.get(2)
        if not isinstance(public, bytes) or not isinstance(signature, bytes):
            raise BadNoise("the other side does not say who it is")
        signature_check(public, signature, PREFIX + static)
    except (BadProtobuf, BadPeer) as error:
        raise BadNoise(str(error)) from None
    return peer_id_of(public)
