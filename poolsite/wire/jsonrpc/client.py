"""The caller's side of JSON-RPC: requests written, answers read, the calls of a socket.

Transport-free: whoever holds the socket sends what comes out and hands in the frames that arrive.
Source: filecoin-project/go-jsonrpc client.go, websocket.go.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from poolsite.wire.jsonrpc.messages import CANCEL, CHANNEL_CLOSE, CHANNEL_VALUE, Json, RpcError


def request_write(number: int, method: str, params: Sequence[Json]) -> dict[str, Json]:
    """Return the frame of a call."""
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}


def result_read(response: Json) -> Json:
    """Return the result of an answer.  Raises RpcError with the server's own code, words and data.

    Raises ValueError for what is no answer.
    """
    if not isinstance(response, dict):
        raise ValueError("the response is not an object")
    error = response.get("error")
    if error is None:
        return response.get("result")
    try:
        code, message, data = int(error.get("code", 0)), str(error.get("message", "")), error.get("data")
    except (AttributeError, TypeError, ValueError):
        raise ValueError("the error in the response cannot be read") from None
    raise RpcError(message, code=code, data=data)


def channel_read(frame: Json) -> tuple[bool, list[Json]]:
    """Return whether a channel is open after this frame, and the values that it brings.

    Raises ValueError for a value that cannot be read.
    """
    method = frame.get("method") if isinstance(frame, dict) else None
    if method != CHANNEL_VALUE:
        return method != CHANNEL_CLOSE, []
    params = frame.get("params")
    if not isinstance(params, list) or len(params) != 2:
        raise ValueError("a channel's value has two parameters")
    return True, [params[1]]


class ClientSession:
    """Calls in progress on one socket, and the notifications that come between their answers."""

    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        self.send = send
        """Writes one frame."""
        self.numbers = itertools.count(1)
        self.pending: dict[int, asyncio.Future[Json]] = {}

    async def call(self, method: str, *params: Json, timeout_s: float, number: int | None = None) -> Json:
        """Return the result of a call, which `number` of `numbers` names.  Raises RpcError, TimeoutError."""
        number = next(self.numbers) if number is None else number
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self.pending[number] = future
        try:
            await self.send(json.dumps(request_write(number, method, params)))
            async with asyncio.timeout(timeout_s):
                return result_read(await future)
        finally:
            del self.pending[number]

    async def post(self, method: str, *params: Json) -> None:
        """Call without waiting for the answer."""
        await self.send(json.dumps(request_write(next(self.numbers), method, params)))

    async def cancel(self, number: int) -> None:
        """End a call, or the channel that it has opened."""
        await self.send(json.dumps({"jsonrpc": "2.0", "method": CANCEL, "params": [number]}))

    def receive(self, data: str | bytes) -> tuple[str, list[Json]] | None:
        """Deliver an answer to its call; return the method and parameters of a notification.

        Raises ValueError for what is no frame.
        """
        try:
            frame: Any = json.loads(data)
            method = frame.get("method")
            future = None if method else self.pending.get(frame.get("id"))
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise ValueError("the frame is not a message") from error
        if not method:
            if future is not None and not future.done():
                future.set_result(frame)
            return None
        params = frame.get("params")
        return (str(method), params) if isinstance(params, list) and params else None
