"""WebSocket addresses of the pages."""

from __future__ import annotations

from channels.auth import AuthMiddlewareStack
from django.urls import URLPattern, path

from apps.dashboard.live import LiveConsumer
from apps.dashboard.ws_origin import SameOriginOnly

websocket_urlpatterns: list[URLPattern] = [
    path("ws/live/", SameOriginOnly(AuthMiddlewareStack(LiveConsumer.as_asgi()))),  # type: ignore[arg-type]  # no view
]
