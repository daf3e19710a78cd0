"""JSON-RPC as go-jsonrpc speaks it, over POST and WebSocket: calls carried out, channels fed.

Transport-free: whoever holds the socket or the request gives frames in and sends what comes out.
Source: filecoin-project/go-jsonrpc handler.go, websocket.go; ipfs-force-community/go-jsonrpc v0.1.9,
the fork that venus, sophon and damocles link, whose texts we answer with.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from poolsite.wire.jsonrpc.messages import (
    CANCEL,
    CHANNEL_CLOSE,
    CHANNEL_VALUE,
    CODE_INVALID,
    CODE_PANIC,
    Json,
    Request,
    RpcError,
    frame_read,
    frame_write,
    id_read,
    notification,
    reply_error,
    reply_result,
    request_read,
)

log = logging.getLogger(__name__)
CALLS_MAX: Final = 1024
"""Calls in progress on one socket; above that the next frame waits."""
BATCH_MAX: Final = 100
"""Requests in one batch."""


class Invoker(Protocol):
    """Finds a method, checks the caller, runs it."""

    async def __call__(self, method: str, params: list[Json], *, on_socket: bool) -> tuple[Json, bool]:
        """Return the result and whether the method is void.  Raises RpcError."""


def panic(frame: Json, error: Exception) -> RpcError:
    """Log an error that nobody foresaw and give the answer, which tells nothing of our inside."""
    name = str(frame.get("method", "")) if isinstance(frame, dict) else ""
    log.error("rpc_panic method=%s", name[:100], exc_info=error)
    message = f"(error code {CODE_PANIC}) fatal error calling '{name[:100]}': internal error"
    return RpcError(message, code=CODE_PANIC, status=500)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the original go-jsonrpc and its fork do differently."""

    read: Callable[[Json], Request] = request_read
    """Checks the form of a request.  Raises RpcError."""
    panic: Callable[[Json, Exception], RpcError] = panic
    """Words an error that nobody foresaw."""
    batch_max: int | None = BATCH_MAX


FORK: Final = Dialect()
"""As venus, sophon and damocles speak."""


async def request_handle(
    frame: Json, invoke: Invoker, dialect: Dialect = FORK
) -> tuple[dict[str, Json] | None, int]:
    """Carry out one request of a POST.  Gives the answer (None for a notification) and the HTTP status."""
    request_id = id_read(frame.get("id")) if isinstance(frame, dict) else None
    try:
        request = dialect.read(frame)
        result, void = await invoke(request.method, request.params, on_socket=False)
    except RpcError as error:
        return reply_error(request_id, error), error.status
    except Exception as error:  # noqa: BLE001  # the outermost loop of a call: it is logged, and the others go on
        return reply_error(request_id, dialect.panic(frame, error)), 500
    return (None if request.id is None else reply_result(request.id, result, void=void)), 200


async def body_handle(body: bytes, invoke: Invoker, dialect: Dialect = FORK) -> tuple[int, str]:
    """Carry out a POST, one request or a batch.  Gives HTTP status and body (empty for notifications).

    Source: filecoin-project/go-jsonrpc handler.go handleReader, server.go rpcError.
    """
    if not body.strip():
        return _invalid_request()
    try:
        frame = frame_read(body)
    except RpcError as error:
        return error.status, frame_write(reply_error(None, error))
    if not isinstance(frame, list):
        reply, status = await request_handle(frame, invoke, dialect)
        return status, "" if reply is None else frame_write(reply)
    if not frame:
        return _invalid_request()
    if dialect.batch_max is not None and len(frame) > dialect.batch_max:
        refusal = RpcError(
            f"a batch holds at most {dialect.batch_max} requests", code=CODE_INVALID, status=500
        )
        return refusal.status, frame_write(reply_error(None, refusal))
    replies = [(await request_handle(one, invoke, dialect))[0] for one in frame]
    sent = [reply for reply in replies if reply is not None]
    return 200, frame_write(sent) if sent else ""


def _invalid_request() -> tuple[int, str]:
    """Return the answer to a body without a request."""
    refusal = RpcError("Invalid request", code=CODE_INVALID, status=400)
    return refusal.status, frame_write(reply_error(None, refusal))


class Closed(Exception):
    """The other side is gone; what was not sent yet is dropped."""


@dataclass
class Session:
    """One WebSocket: calls in progress, channels that we feed.  The holder hands in frames and closes it."""

    invoke: Invoker
    send: Callable[[str], Awaitable[None]]
    """Writes one frame; must not interleave, which one loop and whole frames make sure."""
    dialect: Dialect = FORK
    calls: dict[Json, asyncio.Task[None]] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CALLS_MAX))
    is_closed: bool = False

    async def receive(self, data: str | bytes) -> asyncio.Task[None] | None:
        """Handle one frame; returns the call that it began.

        Calls run on their own: one may need the answer of a later one.
        """
        try:
            frame = frame_read(data)
        except RpcError as error:
            await self.send(frame_write(reply_error(None, error)))
            return None
        return await self.handle(frame)

    async def handle(self, frame: Json) -> asyncio.Task[None] | None:
        """Handle what a frame holds."""
        method = frame.get("method") if isinstance(frame, dict) else None
        if method == CANCEL:
            self.cancel(frame.get("params"))
            return None
        if method in (CHANNEL_VALUE, CHANNEL_CLOSE) or (
            method in (None, "") and isinstance(frame, dict) and "id" in frame
        ):
            return None  # an answer or a value for a call that we never made
        await self.slots.acquire()
        task = asyncio.create_task(self.run(frame))
        self.tasks.add(task)
        request_id = id_read(frame.get("id")) if isinstance(frame, dict) else None
        if request_id is not None:
            self.calls[request_id] = task
        task.add_done_callback(lambda done: self.call_ended(request_id, done))
        return task

    def call_ended(self, request_id: Json, task: asyncio.Task[None]) -> None:
        """Forget a call; answer one that was cancelled: a Go client waits for its answer even then."""
        self.slots.release()
        self.tasks.discard(task)
        self.forget(request_id, task)
        if task.cancelled() and request_id is not None and not self.is_closed:
            answer = asyncio.create_task(self.answer(reply_error(request_id, RpcError("context canceled"))))
            self.tasks.add(answer)
            answer.add_done_callback(self.tasks.discard)

    def forget(self, request_id: Json, task: asyncio.Task[None] | None) -> None:
        """Make a call one that cannot be cancelled."""
        if self.calls.get(request_id) is task:
            self.calls.pop(request_id, None)

    async def answer(self, reply: dict[str, Json]) -> None:
        """Send an answer to whoever is still there."""
        with suppress(Closed):
            await self.send(frame_write(reply))

    def cancel(self, params: Json) -> None:
        """End a call or the channel that it opened; unknown ids are no error."""
        if isinstance(params, list) and params:
            request_id = id_read(params[0])
            task = self.calls.pop(request_id, None) if request_id is not None else None
            if task is not None:  # cancelled once: a second time would break off its farewell
                task.cancel()

    async def run(self, frame: Json) -> None:
        """Carry out one call; where it opens a channel, feed that until it ends."""
        with suppress(Closed):  # nobody is left to answer
            await self.run_open(frame)

    async def run_open(self, frame: Json) -> None:
        """Answer a frame while somebody listens.  Raises Closed."""
        request_id = id_read(frame.get("id")) if isinstance(frame, dict) else None
        try:
            request = self.dialect.read(frame)
        except RpcError as error:  # no notification: an answer is due even where no id can be read
            await self.send(frame_write(reply_error(request_id, error)))
            return
        try:
            result, void = await self.invoke(request.method, request.params, on_socket=True)
            if isinstance(result, AsyncIterator):
                await self.feed(request_id, result)
                return
            reply = reply_result(request_id, result, void=void)
        except RpcError as error:
            reply = reply_error(request_id, error)
        except Closed:
            raise
        except Exception as error:  # noqa: BLE001  # the outermost loop of a call: it is logged, and the others go on
            reply = reply_error(request_id, self.dialect.panic(frame, error))
        if request_id is not None:
            self.forget(request_id, asyncio.current_task())
            await self.send(frame_write(reply))

    async def feed(self, request_id: Json, values: AsyncIterator[Json]) -> None:
        """Send a channel's number, then its values, then its end."""
        number_ = next(self.numbers)
        await self.send(frame_write(reply_result(request_id, number_)))
        try:
            async for value in values:
                await self.send(frame_write(notification(CHANNEL_VALUE, [number_, value])))
        except asyncio.CancelledError:
            return  # its call was answered with its number
        finally:
            close = getattr(values, "aclose", None)
            if close is not None:
                await close()
            # after a cancellation too: a Go client ends its side of a channel only with this frame
            await self.send(frame_write(notification(CHANNEL_CLOSE, [number_])))

    async def close(self) -> None:
        """End every call and channel of a socket that is gone, and wait for their clean-up."""
        self.is_closed = True
        tasks = tuple(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
