"""A wallet's socket to our hub: opening it, asking over it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from channels.db import database_sync_to_async
from websockets.asyncio.client import ClientConnection, connect

from tests import people


def in_thread(call: Any) -> Any:
    return database_sync_to_async(call, thread_sensitive=False)


def dial(web: Any, token: str) -> Any:
    headers = {**people.bearer(token), "X-Venus-Api-Namespace": "gateway.IGateway"}
    return connect(web.ws, additional_headers=headers, proxy=None)


async def call(socket: ClientConnection, method: str, *params: Any) -> Any:
    await socket.send(json.dumps({"id": 1, "method": method, "params": params}))
    return json.loads(await asyncio.wait_for(socket.recv(), 60))
