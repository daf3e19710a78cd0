"""Where a market wants unsealed bytes: its words for it, and the PUT that brings them there.

Source: ipfs-force-community/droplet piecestorage/, damocles-manager's unseal destinations.
"""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from apps.core.errors import BadValue
from apps.pieces.sources import SourceAway, url_check, url_connect

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKET: Final = "market"
ANSWER_MAX: Final = 1_000
"""Bytes that are read of what the market says to it."""
TRY_AGAIN: Final = (408, 425, 429)
"""Refusals that pass by themselves, as those of 500 and more."""


class DeliveryRefused(Exception):
    """The market does not take the bytes, and would not take them later either."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where bytes go."""

    url: str
    token: str = ""
    """Sent with them."""
    is_registered: bool = False
    """It is the market that the operator registered: it may be in a private network, and gets a token of ours
    where it was not named one."""

    @property
    def shown(self) -> str:
        """The address without what may be a key."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"[:300]


def target_of(dest: str, *, market: str) -> Target:
    """Read a destination; `market` is the registered market's address, empty without one.  Raises BadValue.

    `http(s)://…` gets the bytes by PUT; `market://STORE/PIECE?host=…&scheme=…&token=…` names a market's
    piece store, that of the registered one where it has no host.
    """
    try:
        parts = urlsplit(dest)
    except ValueError:
        raise BadValue("is no destination", field="dest") from None
    if parts.scheme in ("http", "https"):
        url_check(dest)
        return Target(dest, is_registered=is_at(dest, market))
    if parts.scheme != MARKET:
        raise BadValue("must be an http://, https:// or market:// destination", field="dest")
    store, piece = parts.netloc, parts.path.strip("/")
    if not store or not piece:
        raise BadValue("must name a store and a piece: market://store/piece", field="dest")
    given = dict(parse_qsl(parts.query))
    base = market
    if given.get("host"):
        base = f"{given.get('scheme') or 'http'}://{given['host']}"
    if not base:
        raise BadValue("names no host, and no market is registered here", field="dest")
    query = urlencode({"resource-id": piece, "store": store}, quote_via=quote)
    url = f"{base.rstrip('/')}/resource?{query}"
    url_check(url)
    return Target(url, token=given.get("token", ""), is_registered=is_at(url, market))


def is_at(url: str, market: str) -> bool:
    """Return whether a URL is one of the registered market."""
    ours, theirs = urlsplit(url), urlsplit(market)
    return bool(market) and (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)


def bytes_put(target: Target, chunks: Iterator[bytes], *, size: int, token: str) -> None:
    """Send the bytes.  Raises SourceAway where it may be tried again, DeliveryRefused."""
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(size),
        "User-Agent": "Poolsite",
    }
    if token:
        headers["Authorization"] = f"Bearer {token}"
    parts = urlsplit(target.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = url_connect(target.url, is_private_fine=target.is_registered)
    try:
        connection.request("PUT", path, body=chunks, headers=headers)
        answer = connection.getresponse()
        words = answer.read(ANSWER_MAX).decode(errors="replace").strip()[:200]
    except (OSError, HTTPException) as error:
        raise SourceAway(f"it broke off: {type(error).__name__}") from None
    finally:
        connection.close()
    if answer.status >= 500 or answer.status in TRY_AGAIN:
        raise SourceAway(f"it answered {answer.status} {words}")
    if not 200 <= answer.status < 300:
        raise DeliveryRefused(f"it answered {answer.status} {words}")
