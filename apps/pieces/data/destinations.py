"""Where a market wants unsealed bytes: its notation for it, and the PUT that brings them there.

Source: ipfs-force-community/droplet piecestorage/, damocles-manager's unseal destinations.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPException
from typing import Final
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

from apps.core.connection_faults import fault_text
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.pieces.data.socket_watch import PutWatch
from apps.pieces.data.sources import TRY_AGAIN, SourceAway, url_check, url_connect, url_shown

MARKET: Final = "market"
ANSWER_MAX: Final = 1_000
"""Bytes that are read of what the market says to it."""
SLOW_S: Final = 60.0
SLOW_RATE: Final = 1 << 20
"""Bytes a second; a market that takes fewer, and `SLOW_S` beside, would hold up the others.  Neither may one
chunk, or the answer, take longer than `SLOW_S`."""
RESOURCE: Final = "/resource"
"""Where a market takes the bytes of its piece stores."""


class DeliveryRefused(Exception):
    """The market does not take the bytes, and would not take them later either."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where bytes go."""

    url: str
    token: str = ""
    """Sent with them."""
    is_registered: bool = False
    """It is this piece's place at the market that the operator registered: it may be in a private network,
    and gets a token of ours where it was not named one."""

    @property
    def shown(self) -> str:
        """The address without what may be a key."""
        return url_shown(self.url)[:300]


def target_of(dest: str, *, market: str, piece_cid: str) -> Target:
    """Read the destination of a piece's bytes; `market` is the registered market's address, empty without.

    Raises BadValue.
    `http(s)://…` gets the bytes by PUT; `market://STORE/PIECE?host=…&scheme=…&token=…` names a market's
    piece store, that of the registered one where it has no host.
    """
    try:
        parts = urlsplit(dest)
    except ValueError:
        raise BadValue(gettext("is not a valid destination"), field="dest") from None
    if parts.scheme in ("http", "https"):
        url_check(dest)
        return Target(dest, is_registered=is_at(dest, market, piece_cid=piece_cid))
    if parts.scheme != MARKET:
        raise BadValue(gettext("must be an http://, https:// or market:// destination"), field="dest")
    store, piece = parts.netloc, parts.path.strip("/")
    if not store or not piece:
        raise BadValue(gettext("must name a store and a piece: market://store/piece"), field="dest")
    params = dict(parse_qsl(parts.query))
    base = market
    if params.get("host"):
        base = f"{params.get('scheme') or 'http'}://{params['host']}"
    if not base:
        raise BadValue(gettext("names no host, and no market is registered"), field="dest")
    query = urlencode({"resource-id": piece, "store": store}, quote_via=quote)
    url = f"{base.rstrip('/')}{RESOURCE}?{query}"
    url_check(url)
    return Target(url, token=params.get("token", ""), is_registered=is_at(url, market, piece_cid=piece_cid))


def is_at(url: str, market: str, *, piece_cid: str) -> bool:
    """Return whether a URL is the place of this piece, and of no other, at the registered market."""
    if not market:
        return False
    given, registered = urlsplit(url), urlsplit(market)
    path = registered.path.rstrip("/") + RESOURCE
    named = parse_qs(given.query, keep_blank_values=True).get("resource-id", [])
    place = (given.scheme, given.netloc, given.path, named)
    return place == (registered.scheme, registered.netloc, path, [piece_cid])


def longest(size: int) -> timedelta:
    """Return how long a delivery of so many bytes may last, its connection and its answer included."""
    return timedelta(seconds=size / SLOW_RATE + 3 * SLOW_S)


def bytes_put(
    target: Target,
    chunks: Iterator[bytes],
    *,
    size: int,
    token: str,
    stop: threading.Event | None = None,
    slow_s: float | None = None,
) -> None:
    """Send the bytes, unless `stop` is set; no chunk, nor the answer, may take longer than `slow_s`.

    Raises SourceAway where it may be tried again, DeliveryRefused.
    """
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
    watch = PutWatch(connection.sock, rate=SLOW_RATE, slow_s=SLOW_S if slow_s is None else slow_s, stop=stop)
    try:
        with watch.started():
            connection.request("PUT", path, body=watch.counted(chunks), headers=headers)
            answer = connection.getresponse()
            text = answer.read(ANSWER_MAX).decode(errors="replace").strip()[:200]
    except (OSError, HTTPException) as error:
        raise SourceAway(
            watch.reason or gettext("the connection was lost: {error}").format(error=fault_text(error))
        ) from None
    finally:
        connection.close()
    if watch.reason:  # the end of a socket reads like the end of an answer
        raise SourceAway(watch.reason)
    if answer.status >= 500 or answer.status in TRY_AGAIN:
        raise SourceAway(
            gettext("the destination answered {status} {text}").format(status=answer.status, text=text)
        )
    if not 200 <= answer.status < 300:
        raise DeliveryRefused(
            gettext("the destination answered {status} {text}").format(status=answer.status, text=text)
        )
