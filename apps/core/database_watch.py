"""Answering while the database hangs: a frozen server or a cut cable is no error, the thread just waits.

When a request waits for long, a session of our own is tried, and a second one when that is slow.  If neither
opens in time, all who wait are answered 503, but for callers of JSON-RPC, and whoever comes until one does is
answered so at once and takes no thread.
"""

from __future__ import annotations

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, cast

import psycopg2
import structlog
from django.core.handlers.asgi import ASGIRequest

from apps.core.health import database_hanging
from apps.core.leader import database_params
from apps.core.middleware import ContentSecurityMiddleware
from apps.core.streams import drain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpResponse

    Event = dict[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]
    App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

log = structlog.get_logger(__name__)

PATIENCE_S: Final = 5.0
"""A request that has waited so long makes us ask; a held question for work waits for no database."""
ANSWER_S: Final = 3.0
"""Within this time a server that works opens a session; on a busy machine a single one may take longer."""
AGAIN_S: Final = 0.25
"""Pause between two looks while the database hangs: who comes then is refused, so no longer than it does."""
NEEDS_NONE: Final = ("/static/", "/healthz")
"""Addresses that are answered without the database."""
RPC: Final = "/rpc/"
"""Who waits for an answer there is not refused: many clients ask again at once, and would push twice."""
WAITING: Final = "poolsite.waiting"
"""Where a request's scope has its `WaitingRequest`."""
CHECK_PAUSE_MAX_S: Final = 60.0
"""Longest pause between two looks for the sake of one request that takes its time."""


class WaitingRequest:
    """A request that nothing has been answered to yet."""

    def __init__(self, scope: dict[str, Any], send: Send) -> None:
        self.scope, self.send = scope, send
        self.since = self.check_after = asyncio.get_running_loop().time()
        self.may_be_refused = not scope["path"].startswith(RPC)
        """Once it has begun."""
        self.is_answered = False
        self.is_refused = False

    async def answer(self, event: Event) -> None:
        """Send a part of the app's answer, unless the caller has been told already that none will come."""
        self.is_answered = True
        if not self.is_refused:
            await self.send(event)

    async def refuse(self, *, is_started: bool, receive: Receive | None = None) -> None:
        """Answer 503; a body that is still to come is read and dropped, as many clients read after that."""
        self.is_answered = self.is_refused = True
        refusal = ContentSecurityMiddleware(partial(database_hanging, is_started=is_started))
        response = cast("HttpResponse", refusal(ASGIRequest(self.scope, BytesIO())))
        headers = [(name.lower().encode(), value.encode()) for name, value in response.items()]
        body = response.content
        headers.append((b"content-length", str(len(body)).encode()))
        await self.send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        if receive is None:
            await self.send({"type": "http.response.body", "body": body})
            return
        await self.send({"type": "http.response.body", "body": body, "more_body": True})
        await drain(receive)
        await self.send({"type": "http.response.body", "body": b""})

    def check_postpone(self) -> None:
        """Note that the database answers: the next look for this request comes later."""
        now = asyncio.get_running_loop().time()
        self.check_after = now + min(now - self.since, CHECK_PAUSE_MAX_S)


class DatabaseWatch:
    """Wraps an ASGI app whose requests are answered in threads."""

    def __init__(self, app: App, *, patience_s: float = PATIENCE_S, answer_s: float = ANSWER_S) -> None:
        self.app, self.patience_s, self.answer_s = app, patience_s, answer_s
        self.waiting: set[WaitingRequest] = set()
        self.is_hanging = False
        self._checking: asyncio.Task[None] | None = None
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="database-watch")
        """Of its own: the event loop's threads may all wait for something else."""

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it while the database hangs."""
        if scope["type"] != "http" or scope["path"].startswith(NEEDS_NONE):
            await self.app(scope, receive, send)
            return
        request = WaitingRequest(scope, send)
        self.waiting.add(request)
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check_database())
        try:
            if self.is_hanging:
                await request.refuse(is_started=False, receive=receive if has_body(scope) else None)
            else:
                await self.app({**scope, WAITING: request}, receive, request.answer)
        finally:
            self.waiting.discard(request)

    async def _check_database(self) -> None:
        """Probe the database when a request has waited for long, and until it answers again."""
        while self.waiting or self.is_hanging:
            await asyncio.sleep(min(AGAIN_S, self.patience_s / 2) if self.is_hanging else self.patience_s / 2)
            before = asyncio.get_running_loop().time() - self.patience_s
            late = [one for one in self.waiting if not one.is_answered and one.check_after <= before]
            if not late and not self.is_hanging:
                continue
            was_hanging, self.is_hanging = self.is_hanging, await self._is_silent()
            if self.is_hanging != was_hanging:
                log.warning("database_hangs" if self.is_hanging else "database_answers", waiting=len(late))
            if self.is_hanging:
                callers = [one for one in self.waiting if not one.is_answered and one.may_be_refused]
                await asyncio.gather(*(self._refuse(one) for one in callers))
            for one in late:
                one.check_postpone()

    async def _refuse(self, request: WaitingRequest) -> None:
        """Answer one caller 503; one that cannot be answered, or reads nothing, keeps nobody else waiting."""
        try:
            async with asyncio.timeout(self.answer_s):
                await request.refuse(is_started=True)
        except Exception as error:  # noqa: BLE001  # Django raises many types for requests that it cannot parse
            log.warning("caller_not_told", path=request.scope["path"], reason=str(error)[:200])

    async def _is_silent(self) -> bool:
        """Return whether the server opens neither of two sessions; one that refuses them does answer.

        The second is tried beside the first: a slow answer to one counts all the same.
        """
        trying: list[asyncio.Future[None]] = []
        try:
            for _ in range(2):
                one = self._threads.submit(session_try, timeout_s=2 * self.answer_s)
                trying.append(asyncio.wrap_future(one))
                ended, _ = await asyncio.wait(
                    trying, timeout=self.answer_s, return_when=asyncio.FIRST_COMPLETED
                )
                if ended:
                    return all(isinstance(each.exception(), TimeoutError) for each in ended)
        finally:
            for each in trying:
                each.cancel()
        return True


def has_body(scope: dict[str, Any]) -> bool:
    """Return whether a request sends what does not come with its head."""
    names = {name.lower(): value for name, value in scope["headers"]}
    return b"transfer-encoding" in names or names.get(b"content-length", b"0") != b"0"


def session_try(*, timeout_s: float) -> None:
    """Open a session and close it.  Raises OperationalError if it is refused, TimeoutError."""
    rounded_s = max(2, math.ceil(timeout_s))  # libpq rounds to seconds and takes at least two
    started = time.monotonic()
    try:
        psycopg2.connect(
            **database_params() | {"connect_timeout": rounded_s, "application_name": "watch"}
        ).close()
    except psycopg2.OperationalError as error:
        if time.monotonic() - started >= rounded_s:
            raise TimeoutError from error
        raise
