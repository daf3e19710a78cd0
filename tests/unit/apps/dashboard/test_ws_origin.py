from __future__ import annotations

from typing import Any

import pytest

from apps.dashboard.routing import websocket_urlpatterns
from apps.dashboard.ws_origin import is_same


@pytest.mark.parametrize(
    ("origin", "host", "is_let_in"),
    [
        ("http://localhost:8000", "localhost:8000", True),
        ("https://localhost", "localhost", True),
        ("http://LOCALHOST:8000", "localhost:8000", True),
        ("https://pool.example", "10.0.0.5:8000", True),
        ("http://localhost:9000", "localhost:8000", False),
        ("http://localhost", "localhost:8000", False),
        ("http://127.0.0.1:8000", "localhost:8000", False),
        ("http://evil.example", "localhost:8000", False),
        ("http://evil.example", "evil.example", False),
        ("http://localhost:8000.evil.example", "localhost:8000", False),
        ("http://evil@localhost:8000", "localhost:8000", False),
        ("file://localhost:8000", "localhost:8000", False),
        ("null", "localhost:8000", False),
        ("", "localhost:8000", False),
        ("", "", False),
    ],
)
def test_only_pages_of_the_site_itself_open_sockets(settings, origin, host, is_let_in):
    """Another port is another site, though the browser sends it the same cookies."""
    settings.CSRF_TRUSTED_ORIGINS = ["https://pool.example"]

    assert is_same(origin, host) is is_let_in


@pytest.mark.django_db  # channels looks at the connection that a test before this one may have left
async def test_a_page_of_another_port_is_refused_before_the_handshake():
    sent: list[dict[str, Any]] = []
    events = iter(({"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1006}))

    async def receive() -> dict[str, Any]:
        return next(events)

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    headers = [(b"host", b"localhost:8000"), (b"origin", b"http://localhost:9000")]
    scope = {"type": "websocket", "path": "/ws/live/", "headers": headers, "query_string": b""}
    live: Any = websocket_urlpatterns[0].callback

    await live(scope, receive, send)

    assert [event["type"] for event in sent] == ["websocket.close"]
