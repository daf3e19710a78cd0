"""Tokens for programs that cannot send one: on a port of old programs, by the address that a request is from.

A damocles-worker reads `rpc_client.headers` of its file and sends none of them (its v0.13.0, `src/run.rs`:
the connection is made from the address alone).  The console's own port takes no token from here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Final

import structlog
from django.core.exceptions import ImproperlyConfigured

log = structlog.get_logger(__name__)

HEADER: Final = b"authorization"
NOT_LENT: Final = frozenset({HEADER, b"origin", b"sec-fetch-site"})
"""Headers of a caller with a token of its own, or of a web page: any page may send requests from its reader's
address, and no damocles-worker sends these."""


class TokenFile:
    """A file with a token, read again when it changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changed_ns = 0
        self.token = b""

    def read(self) -> bytes:
        """Return the token.  Raises OSError, ValueError."""
        changed_ns = self.path.stat().st_mtime_ns
        if changed_ns != self.changed_ns:
            text = self.path.read_text().strip()
            if not text or not text.isascii() or len(text.split()) > 1:
                raise ValueError("it contains no token")
            self.token, self.changed_ns = text.encode(), changed_ns
        return self.token


def address_tokens(entries: Iterable[str]) -> list[tuple[IPv4Network | IPv6Network, TokenFile]]:
    """Read `address=file with a token` words, narrower networks first.  Raises ImproperlyConfigured."""
    found = []
    for entry in entries:
        address, _, path = entry.partition("=")
        file = TokenFile(Path(path))
        try:
            network = ip_network(address)
            file.read()
        except (OSError, ValueError) as error:
            raise ImproperlyConfigured(f"ADDRESS_TOKENS has {entry!r}: {error}") from None
        found.append((network, file))
    return sorted(found, key=lambda one: -one[0].prefixlen)


class AddressTokens:
    """Add the token configured for the source address to a program's request without one."""

    def __init__(self, app: Callable[..., Awaitable[None]], entries: Iterable[str], *, port: int) -> None:
        """`port`: the console's own."""
        self.app, self.port = app, port
        self.tokens = address_tokens(entries)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass a request on."""
        server, client = scope.get("server"), scope.get("client")
        if self.tokens and server and client and server[1] != self.port:
            token = self._token(client[0])
            if token and NOT_LENT.isdisjoint(name.lower() for name, _ in scope["headers"]):
                scope = {**scope, "headers": [*scope["headers"], (HEADER, b"Bearer " + token)]}
        await self.app(scope, receive, send)

    def _token(self, address: str) -> bytes:
        try:
            source = ip_address(address)
        except ValueError:
            return b""  # a UNIX socket's peer
        source = getattr(source, "ipv4_mapped", None) or source
        file = next((file for network, file in self.tokens if source in network), None)
        try:
            return b"" if file is None else file.read()
        except (OSError, ValueError) as error:
            log.warning("address_token_unread", address=address, reason=str(error))
            return b""
