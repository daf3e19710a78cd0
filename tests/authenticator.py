"""A passkey device in software: what a browser's `navigator.credentials` answers, signed with a real key.

Source: W3C Web Authentication Level 3, section 6.1 (authenticator data) and 6.5.4 (attestation object).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def base64url(data: bytes) -> str:
    """Without padding, as WebAuthn's JSON has it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Authenticator:
    """One device with one passkey for one host."""

    def __init__(self, *, host: str = "testserver", origin: str = "http://testserver") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = os.urandom(32)
        self.host = host
        self.origin = origin
        self.count = 0
        self.verifies = True
        """Whether it asks for a fingerprint or PIN."""

    def data(self, flags: int, rest: bytes = b"") -> bytes:
        """Authenticator data; each use counts."""
        self.count += 1
        flags |= PRESENT | (VERIFIED if self.verifies else 0)
        host_hash = hashlib.sha256(self.host.encode()).digest()
        return host_hash + bytes([flags]) + self.count.to_bytes(4, "big") + rest

    def client(self, kind: str, challenge: str) -> bytes:
        """What the browser says of the page."""
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def answer(self, response: dict[str, bytes]) -> str:
        """A credential as `toJSON` writes it."""
        words: dict[str, Any] = {
            "id": base64url(self.id),
            "rawId": base64url(self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {name: base64url(value) for name, value in response.items()},
        }
        return json.dumps(words)

    def register(self, challenge: str) -> str:
        """Answer `navigator.credentials.create`."""
        point = self.key.public_key().public_numbers()
        cose = cbor2.dumps(
            {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        )
        held = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cose
        attestation = {"fmt": "none", "attStmt": {}, "authData": self.data(ATTESTED, held)}
        return self.answer(
            {
                "clientDataJSON": self.client("webauthn.create", challenge),
                "attestationObject": cbor2.dumps(attestation),
            }
        )

    def sign(self, challenge: str) -> str:
        """Answer `navigator.credentials.get`."""
        client, data = self.client("webauthn.get", challenge), self.data(0)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self.answer({"clientDataJSON": client, "authenticatorData": data, "signature": signature})
