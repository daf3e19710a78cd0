"""Tokens of the signer's own RPC, as venus-wallet makes them: HS256, claim `Allow`, one secret.

Source: filecoin-project/venus-wallet api/remotecli, filemgr/jwt.go, common/api_common.go.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from poolsite.filecoin.jwt import BadToken, Claims, permissions_up_to, token_sign, token_verify
from poolsite.private_files import private_write

SECRET_BYTES: Final = 32
ANONYMOUS: Final = ("read",)
"""What a caller without a token may do, as in venus-wallet and lotus."""
STRATEGY_MARK: Final = "___"
"""Old clients append a strategy token."""


def secret_load(folder: Path) -> bytes:
    """Read the secret; made at the first call."""
    path = folder / "secret"
    if not path.exists():
        secret_renew(folder)
    return bytes.fromhex(path.read_text().strip())


def secret_renew(folder: Path) -> None:
    """Write another secret."""
    private_write(folder / "secret", secrets.token_bytes(SECRET_BYTES).hex() + "\n")


def history_secret(folder: Path) -> bytes:
    """Read what the policy's versions are signed with: the tokens' secret as it was at the first call."""
    path = folder / "policy-secret"
    if not path.exists():
        private_write(path, secret_load(folder).hex() + "\n")
    return bytes.fromhex(path.read_text().strip())


def tokens_revoke(folder: Path) -> None:
    """Make every token that was made before worthless, and the folder's own anew, if it has one."""
    history_secret(folder)
    secret_renew(folder)
    own = folder / "token"
    if own.exists():
        private_write(own, token_new(secret_load(folder), "admin") + "\n")


@dataclass(frozen=True, slots=True)
class Rights:
    """What a token gives."""

    perms: tuple[str, ...]
    rule_set: str = ""
    """Rules of the policy that it is limited to; empty: all."""
    strategy: str = ""
    """The strategy token that was appended to it."""
    is_known: bool = True
    """Whether there was a token."""


def token_new(secret: bytes, perm: str, *, rule_set: str = "") -> str:
    """Make a token of a level, limited to a set of the policy's rules if one is named."""
    return token_sign(Claims(allow=permissions_up_to(perm), rule_set=rule_set), secret)


def token_rights(text: str, secret: bytes) -> Rights:
    """Read what a token gives; the empty text is nobody's.  Raises BadToken."""
    text, _, strategy = text.removeprefix("Bearer ").strip().partition(STRATEGY_MARK)
    if not text:
        return Rights(ANONYMOUS, is_known=False)
    claims = token_verify(text, secret)
    if not claims.allow:
        raise BadToken("jwt: this token is for another service")
    return Rights(claims.permissions, claims.rule_set, strategy)


def token_perms(text: str, secret: bytes) -> tuple[str, ...]:
    """Read what a token allows.  Raises BadToken."""
    return token_rights(text, secret).perms
