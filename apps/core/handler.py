"""Answering a request in a thread that stays, with the database connection that it has.

Django's own handler starts a thread for each request and opens a connection in it: both cost more than most
answers.  Its middleware also changes threads at every step; here the whole chain runs in one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.signals import request_started
from django.db import InterfaceError, OperationalError, connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from apps.core.streams import StreamedBody, is_streamed

T = TypeVar("T")

IDLE_THREADS_MAX: Final = 4
"""Threads that stay while nobody asks, each with its connection; more requests at once have passing ones."""

CONNECTION_AGE_MAX_S: Final = 600
"""After this time the next request opens a new connection."""


class RequestThread(ThreadPoolExecutor):
    """One thread, for one request after the other."""

    def __init__(self) -> None:
        super().__init__(max_workers=1, thread_name_prefix="request", initializer=connection_reuse)
        self.last: Future[Any] | None = None
        """What it was given last: done as soon as the thread is free."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run something in the thread, after all that was given before."""
        self.last = super().submit(work, *args, **kwargs)
        return self.last

    def end(self) -> None:
        """Close its connection and let the thread end, without waiting for either."""
        self.submit(connections.close_all)
        self.shutdown(wait=False)


def connection_reuse() -> None:
    """Keep this thread's connection beyond the request; `connections` has one object per thread."""
    link = connections["default"]
    options = {"CONN_MAX_AGE": CONNECTION_AGE_MAX_S, "CONN_HEALTH_CHECKS": True}
    link.settings_dict = {**link.settings_dict, **options}


class RequestHandler(ASGIHandler):
    """Django's handler, with threads that are kept; each serves one request at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware(is_async=False)
        self._free: list[RequestThread] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            raise ValueError(f"only HTTP is served here, not {scope['type']}")
        thread = self._free.pop() if self._free else RequestThread()
        try:
            async with ThreadSensitiveContext(executor=thread):
                handle = self.handle_streamed if is_streamed(scope["method"], scope["path"]) else self.handle
                await handle(scope, receive, send)
        finally:
            self._release_thread(thread)

    async def carry_out(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, done in one of the threads.  Raises what it raises."""
        thread = self._free.pop() if self._free else RequestThread()
        try:
            return await asyncio.wrap_future(thread.submit(work))
        except (OperationalError, InterfaceError):
            thread.submit(connections.close_all)
            raise
        finally:
            self._release_thread(thread)

    async def handle_streamed(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request whose view reads the body as it comes; Django would write it to disk first."""
        body = StreamedBody(receive, asyncio.get_running_loop())
        set_script_prefix(get_script_prefix(scope))
        await request_started.asend(sender=self.__class__, scope=scope)
        request, refusal = self.create_request(scope, body)  # type: ignore[arg-type]  # Django only calls `read`
        if refusal is not None:
            await self.send_response(refusal, send)
        if request is None:
            return
        response = await self.run_get_response(request)
        try:
            if not body.is_cut:
                await self.send_response(response, send)
        finally:
            await sync_to_async(response.close)()

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """Answer in the request's thread."""
        return await sync_to_async(self.get_response)(request)

    def close(self) -> None:
        """End all threads that are free."""
        while self._free:
            self._free.pop().end()

    def _release_thread(self, thread: RequestThread) -> None:
        """Keep a thread for the next request once it is free: that of a caller who left may still work."""
        if thread.last is not None and not thread.last.done():
            loop = asyncio.get_running_loop()
            thread.last.add_done_callback(lambda _: loop.call_soon_threadsafe(self._release_thread, thread))
        elif len(self._free) < IDLE_THREADS_MAX:
            self._free.append(thread)
        else:
            thread.end()
