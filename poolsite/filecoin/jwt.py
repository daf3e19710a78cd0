"""Tokens of lotus and sophon-auth: HS256 JSON web tokens with their claims.

Source: lotus node/modules/core.go (JwtPayload), api/permissioned; ipfs-force-community/sophon-auth
auth/token.go (JWTPayload), go-jwt.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any, Final

PERMISSIONS: Final = ("read", "write", "sign", "admin")
"""Permissions, each including those before it in sophon-auth; lotus lists them."""
MAX_TOKEN_LEN: Final = 4096
"""Longest token that is looked at."""
_HEADER: Final = {"alg": "HS256", "typ": "JWT"}


class BadToken(ValueError):
    """Text that is no token of ours: malformed, of another algorithm, or with a wrong signature."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says about its bearer."""

    name: str = ""
    """Account (sophon-auth); empty for lotus."""
    perm: str = ""
    """Highest permission (sophon-auth); empty for lotus."""
    ext: str = ""
    """Free text of sophon-auth."""
    allow: tuple[str, ...] = ()
    """Permissions (lotus); empty for sophon-auth."""
    rule_set: str = ""
    """The signer's rules that it is limited to (ours, beside `allow`); empty: all."""

    @property
    def permissions(self) -> tuple[str, ...]:
        """All permissions that the token gives, in either dialect; unknown ones give nothing."""
        if self.allow:
            return tuple(permission for permission in PERMISSIONS if permission in self.allow)
        if self.perm not in PERMISSIONS:
            return ()
        return PERMISSIONS[: PERMISSIONS.index(self.perm) + 1]


def permissions_up_to(perm: str) -> tuple[str, ...]:
    """`perm` and all below it; nothing for an unknown one."""
    return Claims(perm=perm).permissions


def token_sign(claims: Claims, secret: bytes) -> str:
    """Make the token: sophon-auth's claims, or lotus' where `allow` is set."""
    payload: dict[str, Any]
    if claims.allow:
        payload = {"Allow": list(claims.allow)}
        if claims.rule_set:
            payload["RuleSet"] = claims.rule_set
    else:
        payload = {"name": claims.name, "perm": claims.perm, "ext": claims.ext}
    signed = f"{_part(_HEADER)}.{_part(payload)}"
    return f"{signed}.{_base64url(_mac(signed, secret))}"


def token_verify(token: str, secret: bytes) -> Claims:
    """Check the signature and read the claims.  Raises BadToken."""
    signed, _, signature = token.rpartition(".")
    head, _, body = signed.partition(".")
    if not head or not body or not token.isascii() or len(token) > MAX_TOKEN_LEN:
        raise BadToken("jwt: malformed token")
    if _object(head).get("alg") != "HS256":
        raise BadToken("jwt: algorithm is not HS256")
    if not hmac.compare_digest(_decode(signature), _mac(signed, secret)):
        raise BadToken("jwt: HMAC verification failed")
    return _claims(_object(body))


def token_claims(token: str) -> Claims:
    """Read the claims without checking the signature, to show whose token it is.  Raises BadToken."""
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii() or len(token) > MAX_TOKEN_LEN:
        raise BadToken("jwt: malformed token")
    return _claims(_object(parts[1]))


def _claims(payload: dict[str, Any]) -> Claims:
    allow = payload.get("Allow")
    if isinstance(allow, list) and all(isinstance(item, str) for item in allow):
        rule_set = payload.get("RuleSet", "")
        if not isinstance(rule_set, str):
            raise BadToken("jwt: claims have the wrong type")
        return Claims(allow=tuple(allow), rule_set=rule_set)
    texts = [payload.get(member, "") for member in ("name", "perm", "ext")]
    if not all(isinstance(text, str) for text in texts):
        raise BadToken("jwt: claims have the wrong type")
    return Claims(name=texts[0], perm=texts[1], ext=texts[2])


def _mac(signed: str, secret: bytes) -> bytes:
    return hmac.new(secret, signed.encode(), hashlib.sha256).digest()


def _part(value: dict[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadToken("jwt: malformed token") from None


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_decode(part))
    except (ValueError, RecursionError):
        raise BadToken("jwt: malformed token") from None
    if not isinstance(value, dict):
        raise BadToken("jwt: malformed token")
    return value
