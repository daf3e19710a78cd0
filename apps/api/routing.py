"""WebSocket addresses of the machine interfaces."""

from __future__ import annotations

from django.urls import URLPattern, re_path

from apps.api.mk12.web_socket import deal_socket
from apps.api.rpc.transport.websocket import rpc_socket

websocket_urlpatterns: list[URLPattern] = [
    re_path(r"^rpc/(?P<version>v0|v1|v2)/?$", rpc_socket),  # type: ignore[arg-type]  # an ASGI app, not a view
    re_path(r"^$", deal_socket),  # type: ignore[arg-type]  # the same; the one path that go-libp2p knows
]
