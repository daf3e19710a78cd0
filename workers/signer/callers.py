"""Who calls the wallet JSON-RPC, and what that caller may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workers.signer.errors import Locked

if TYPE_CHECKING:
    from workers.signer.gateway import GatewayLink
    from workers.signer.signing import Signer

STRATEGY_CALLERS: Final = "strategy *"
"""How rules name the callers with a strategy token."""


@dataclass(slots=True)
class Caller:
    """What a handler gets first."""

    signer: Signer
    secret: bytes
    perms: tuple[str, ...]
    source: str
    rule_set: str = ""
    """Rules of the policy that its token is limited to; empty: all."""
    hubs: Sequence[GatewayLink] = ()
    """The gateways that this signer dials."""
    addresses: frozenset[str] | None = None
    """Of the group that its strategy token is for; None: it has no such token, and sees every key."""

    is_known: bool = True
    """Whether it brought a token."""

    @property
    def description(self) -> str:
        """Return how rules and records name it."""
        return f"{'' if self.addresses is None else 'strategy '}rpc {self.source}"

    def may_see(self, address: str) -> bool:
        """Return whether it knows of a key."""
        return self.addresses is None or address in self.addresses


def opened(caller: Caller) -> Signer:
    """Return the signer if it is unlocked.  Raises Locked."""
    if not caller.signer.store.is_set:
        raise Locked("password not set")
    if caller.signer.store.is_locked:
        raise Locked("wallet locked")
    return caller.signer
