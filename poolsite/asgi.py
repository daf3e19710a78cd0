"""The ASGI app: HTTP by Django, WebSockets by Channels (pages' live updates, signers' and provers' hub)."""

from __future__ import annotations

import os
from typing import Any

import django
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import re_path
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.embedded")
django.setup(set_prefix=False)  # what follows imports models

from apps.api.address_tokens import AddressTokens
from apps.api.auth.verify import VerifyPost
from apps.api.job_wait import JobWait
from apps.api.limits import BodyLimit
from apps.api.routing import websocket_urlpatterns as program_sockets
from apps.api.rpc.transport.post import RpcPost
from apps.api.v1.worker_direct import WorkerDirect
from apps.core.consoles import console_keep
from apps.core.database_watch import DatabaseWatch
from apps.core.handler import RequestHandler
from apps.dashboard.routing import websocket_urlpatterns as page_sockets
from apps.gateway.providers.hub_node import hub_node
from apps.wallets.providers.remote_wallet import remote_wallets_serve
from poolsite.celery import app
from poolsite.tracing.requests import TracedRequests

__all__ = ["app", "application", "console_keep", "job_wait", "wallets_serve"]


async def wallets_serve() -> None:
    """Keep the connections to remote wallets, in one web process of a console; never returns."""
    await remote_wallets_serve(hub_node())


async def no_such_socket(_scope: Any, receive: Any, send: Any) -> None:
    """Refuse a WebSocket on an address that has none; the handshake is answered with 403."""
    await receive()
    await send({"type": "websocket.close", "code": 1000})


http = RequestHandler()
job_wait = JobWait(WorkerDirect(http))
nowhere = re_path(r"", no_such_socket)  # type: ignore[arg-type]  # an ASGI app stands where Django types a view
protocols = ProtocolTypeRouter(
    {
        "http": DatabaseWatch(BodyLimit(VerifyPost(RpcPost(job_wait)))),
        # Pages' sockets check origin and session themselves; programs send no Origin and carry a token.
        "websocket": URLRouter([*program_sockets, *page_sockets, nowhere]),  # type: ignore[list-item]  # as above
    }
)
# By the address of the connection: a header would give a program on this machine the token of another.
application = TracedRequests(
    AddressTokens(
        ProxyHeadersMiddleware(protocols, settings.FORWARDED_ALLOW_IPS),  # type: ignore[arg-type]  # ASGI's types
        settings.ADDRESS_TOKENS,
        port=settings.PORT,
    )
)
