"""HS256 tokens of sophon-auth (`name`, `perm`, `ext`) and of lotus and venus-wallet (`Allow`), byte for byte.

Source: ipfs-force-community/sophon-auth auth/jwt.go; filecoin-project/lotus node/impl/common AuthNew;
gbrlsnchs/jwt v3, which both link.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any, Final

HEADER: Final = b'{"alg":"HS256","typ":"JWT"}'
"""The only header that the peers write; its bytes are the same in every token."""


class BadToken(ValueError):
    """Text that is no HS256 token, or one with a foreign signature."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a sophon-auth token says, in this order and nothing else."""

    name: str
    """The account."""
    perm: str
    """read, write, sign or admin."""
    ext: str = ""
    """Free text."""


def claims_encode(claims: Claims, *, secret: bytes) -> str:
    """Make a sophon-auth token."""
    return payload_encode({"name": claims.name, "perm": claims.perm, "ext": claims.ext}, secret=secret)


def allow_encode(perms: list[str], *, secret: bytes) -> str:
    """Make a lotus or venus-wallet token."""
    return payload_encode({"Allow": perms}, secret=secret)


def payload_encode(payload: dict[str, Any], *, secret: bytes) -> str:
    """Sign a payload, its keys in the order given."""
    body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
    signed = f"{_segment(HEADER)}.{_segment(body)}"
    return f"{signed}.{_segment(_mac(signed, secret))}"


def payload_decode(text: str) -> dict[str, Any]:
    """Read what a token says without asking whether it is genuine.  Raises BadToken."""
    parts = text.split(".")
    if len(parts) != 3:
        raise BadToken("jwt: malformed token")
    try:
        payload = json.loads(_bytes(parts[1]))
    except ValueError:
        raise BadToken("jwt: malformed token") from None
    if not isinstance(payload, dict):
        raise BadToken("jwt: malformed token")
    return payload


def payload_verify(text: str, *, secret: bytes) -> dict[str, Any]:
    """Read a token that was signed with `secret`.  Raises BadToken."""
    payload = payload_decode(text)
    signed, _, mac = text.rpartition(".")
    if json.loads(_bytes(text.split(".")[0]) or b"{}").get("alg") != "HS256":
        raise BadToken("jwt: algorithm mismatch")
    if not hmac.compare_digest(_bytes(mac), _mac(signed, secret)):
        raise BadToken("jwt: HMAC verification failed")
    return payload


def claims_decode(text: str) -> Claims:
    """Read the claims of a sophon-auth token without asking whether it is genuine.  Raises BadToken."""
    payload = payload_decode(text)
    return Claims(
        name=str(payload.get("name", "")), perm=str(payload.get("perm", "")), ext=str(payload.get("ext", ""))
    )


def _mac(signed: str, secret: bytes) -> bytes:
    return hmac.new(secret, signed.encode(), hashlib.sha256).digest()


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(segment: str) -> bytes:
    try:
        return base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadToken("jwt: malformed token") from None
