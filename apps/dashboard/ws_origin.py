"""Which pages may open a live socket: those of this very site; cookies come along from any port."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.http.request import split_domain_port, validate_host


class SameOriginOnly:
    """Wraps an ASGI app for WebSockets; others are refused before the handshake.

    Cookies know no ports, and SameSite neither: a page of another program on this host would be let in.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass a socket on, or refuse it."""
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        app: Any = (
            self.app if is_same(headers.get(b"origin", ""), headers.get(b"host", "")) else WebsocketDenier()
        )
        await app(scope, receive, send)


def is_same(origin: str, host: str) -> bool:
    """Return whether a page of `origin` belongs to the site that was called as `host`, a name of ours."""
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    name, _ = split_domain_port(host)
    if not name or not validate_host(name, settings.ALLOWED_HOSTS):
        return False
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
