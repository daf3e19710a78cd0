"""Tokens of the signer's own RPC, as venus-wallet makes them: HS256, claim `Allow`, one secret.

Source: filecoin-project/venus-wallet api/remotecli, middleware/jwt.go.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.jwt import BadToken, Claims, permissions_up_to, token_sign, token_verify
from workers.signer.private_files import private_write

if TYPE_CHECKING:
    from pathlib import Path

SECRET_BYTES: Final = 32
ANONYMOUS: Final = ("read",)
"""What a caller without a token may do, as in venus-wallet and lotus."""
STRATEGY_MARK: Final = "___"
"""Old clients append a strategy token; it is cut off."""


def secret_load(folder: Path) -> bytes:
    """Read the secret; made at the first call."""
    path = folder / "secret"
    if not path.exists():
        private_write(path, secrets.token_bytes(SECRET_BYTES).hex() + "\n")
    return bytes.fromhex(path.read_text().strip())


def token_new(secret: bytes, perm: str) -> str:
    """Make a token of a level."""
    return token_sign(Claims(allow=permissions_up_to(perm)), secret)


def token_perms(text: str, secret: bytes) -> tuple[str, ...]:
    """Read what a token allows; the empty text is nobody's.  Raises BadToken."""
    text = text.removeprefix("Bearer ").strip().partition(STRATEGY_MARK)[0]
    if not text:
        return ANONYMOUS
    claims = token_verify(text, secret)
    if not claims.allow:
        raise BadToken("jwt: this token is for another service")
    return claims.permissions
