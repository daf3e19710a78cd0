"""A span for each HTTP request to this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from poolsite.tracing import is_traced, span

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    App = Callable[[Any, Any, Any], Awaitable[None]]

QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Requested every few seconds by machines: not traced."""


class TracedRequests:
    """ASGI app around the whole site; the code that finds the route names the span (`entry_note`)."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one request, in the caller's trace if it sends a `traceparent`."""
        if not is_traced() or scope["type"] != "http" or scope["path"] in QUIET:
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        caller = headers.get(b"traceparent", b"").decode("latin-1")
        method = scope["method"]
        with span(method, entry=caller, facts={"http.request.method": method}):
            await self.app(scope, receive, send)
