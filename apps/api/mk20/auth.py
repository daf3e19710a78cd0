"""Who sends a request of market 2.0: the key that signed its method, its path and the minute.

    Authorization: CurioAuth secp256k1:<base64 of the address>:<base64 of the signature with its type>

Source: filecoin-project/curio market/mk20/auth.go, client/auth.go.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from poolsite.filecoin.address import address_format, address_from_bytes
from poolsite.filecoin.signature import BadSignature, Signature, signature_verify

PREFIX: Final = "CurioAuth "
KEY_TYPES: Final = ("secp256k1", "bls", "delegated")
MINUTES: Final = (0, -1, 1)
"""The minutes that a signature may be of: clocks differ."""
HEADER_MAX: Final = 1000
"""Characters; the longest signature and address have far fewer."""


class BadAuth(ValueError):
    """A header that is none of this kind, or whose signature is not the key's."""


def client_authenticate(header: str, *, method: str, path: str, now: datetime) -> str:
    """Return the address of the client whose key signed a request.  Raises BadAuth."""
    if not header.startswith(PREFIX) or len(header) > HEADER_MAX:
        raise BadAuth("missing CustomAuth prefix")
    kind, _, rest = header.removeprefix(PREFIX).partition(":")
    key, _, signed = rest.partition(":")
    if kind not in KEY_TYPES:
        raise BadAuth(f"unsupported key type: {kind}")
    try:
        owner = base64.b64decode(key, validate=True)
        data = base64.b64decode(signed, validate=True)
        address = address_from_bytes(owner)
    except ValueError as error:  # BadAddress, no base64, or letters beyond ASCII
        raise BadAuth(f"invalid auth format: {error}") from None
    if not data:
        raise BadAuth("invalid signature")
    signature = Signature(data[0], data[1:])
    for offset in MINUTES:
        try:
            signature_verify(
                signature,
                address,
                auth_digest(owner, method=method, path=path, now=now + timedelta(minutes=offset)),
            )
        except BadSignature:
            continue
        return address_format(address)
    raise BadAuth("invalid signature")


def client_named(header: str) -> str:
    """Return the address of the client that a header names, whoever signed it.  Raises BadAuth."""
    try:
        owner = base64.b64decode(header.removeprefix(PREFIX).split(":")[1], validate=True)
        return address_format(address_from_bytes(owner))
    except (IndexError, ValueError) as error:
        raise BadAuth("invalid auth format") from error


def auth_digest(owner: bytes, *, method: str, path: str, now: datetime) -> bytes:
    """Return the 32 bytes that a client signs."""
    minute = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:00Z")
    return hashlib.sha256(owner + method.upper().encode() + (path or "/").encode() + minute.encode()).digest()
