"""Who may call what on the devnet's node: lotus tokens, and an open door for those who bring none.

Source: lotus api/permissioned.go; node/impl/common/common.go AuthVerify, AuthNew; not sophon-auth.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from poolsite.devnet.rpc.dispatch import PERMS
from poolsite.filecoin.jwt import Claims, token_sign, token_verify

FAR_PERMS: Final = frozenset({"read"})
"""What a real node gives to whoever brings no token."""


class Access:
    """Makes and checks the node's own tokens."""

    def __init__(self, secret: bytes, *, open_perms: Iterable[str] = PERMS) -> None:
        """`open_perms`: what a caller without a token may do; a real node gives read."""
        self.secret = secret
        self.open_perms = frozenset(open_perms)

    def perms_of(self, token: str | None, *, is_near: bool = True) -> frozenset[str]:
        """Permissions of a token; without one, a program of this machine is trusted, all others read.

        Raises BadToken.
        """
        if token is None:
            return self.open_perms if is_near else self.open_perms & FAR_PERMS
        return frozenset(self.allowed(token))

    def allowed(self, token: str) -> list[str]:
        """Return the permissions that a token lists.  Raises BadToken."""
        return list(token_verify(token, self.secret).permissions)

    def token_new(self, perms: list[str]) -> str:
        """Return a token that grants `perms`."""
        return token_sign(Claims(allow=tuple(perms)), self.secret)
