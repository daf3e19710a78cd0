"""Tokens of lotus and sophon-auth: HS256 JSON web tokens with their claims.

    lotus          {"Allow": ["read", "write"]}
    sophon-auth    {"name": "alice", "perm": "write", "ext": ""}

Neither says for how long: a token holds until who issued it refuses it.

Source: lotus node/modules/core.go (JwtPayload), api/permissioned.go; ipfs-force-community/sophon-auth
auth/jwt.go (JWTPayload).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import jwt
from jwt.types import Options

PERMISSIONS: Final = ("read", "write", "sign", "admin")
"""Permissions, each including those before it in sophon-auth; lotus lists them."""
MAX_TOKEN_LEN: Final = 4096
"""Longest token that is looked at."""
_ALGORITHM: Final = "HS256"
"""The only algorithm that either dialect signs with; a token of another is refused."""
_SIGNATURE_ONLY: Final[Options] = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}
"""Neither dialect has claims of time or audience; a token holds until it is revoked."""


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
        """Return all permissions that the token grants, in either dialect; unknown ones grant nothing."""
        if self.allow:
            return tuple(permission for permission in PERMISSIONS if permission in self.allow)
        if self.perm not in PERMISSIONS:
            return ()
        return PERMISSIONS[: PERMISSIONS.index(self.perm) + 1]


def permissions_up_to(perm: str) -> tuple[str, ...]:
    """Return `perm` and all permissions below it; nothing for an unknown one."""
    return Claims(perm=perm).permissions


def token_sign(claims: Claims, secret: bytes) -> str:
    """Return the token with sophon-auth's claims, or with lotus' where `allow` is set."""
    payload: dict[str, Any]
    if claims.allow:
        payload = {"Allow": list(claims.allow)}
        if claims.rule_set:
            payload["RuleSet"] = claims.rule_set
    else:
        payload = {"name": claims.name, "perm": claims.perm, "ext": claims.ext}
    return jwt.encode(payload, secret, algorithm=_ALGORITHM)


def token_verify(token: str, secret: bytes) -> Claims:
    """Return the claims of a token with a good signature.  Raises BadToken."""
    return _claims(_payload(token, secret, _SIGNATURE_ONLY))


def token_claims(token: str) -> Claims:
    """Return the claims without checking the signature, to show whose token it is.  Raises BadToken."""
    return _claims(_payload(token, b"", {**_SIGNATURE_ONLY, "verify_signature": False}))


def _payload(token: str, secret: bytes, options: Options) -> dict[str, Any]:
    """Return the payload of a token that is signed with the secret by HS256.  Raises BadToken."""
    if len(token) > MAX_TOKEN_LEN:
        raise BadToken("jwt: malformed token")
    try:
        return jwt.decode(token, secret, algorithms=[_ALGORITHM], options=options)
    except jwt.InvalidSignatureError:
        raise BadToken("jwt: HMAC verification failed") from None
    except jwt.InvalidAlgorithmError:
        raise BadToken("jwt: algorithm is not HS256") from None
    except (jwt.PyJWTError, UnicodeError, RecursionError):
        raise BadToken("jwt: malformed token") from None


def _claims(payload: dict[str, Any]) -> Claims:
    """Return the claims of either form: `Allow` of lotus, or `name`, `perm` and `ext`.  Raises BadToken."""
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
