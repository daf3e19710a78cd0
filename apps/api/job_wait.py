"""Hold back the answer to a host that asks for work: while it waits it takes no thread and no connection.

Otherwise every idle host would have to claim once a second to begin as soon.  A host is told only of jobs
that it could take, and of each only once (`job_tells`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import structlog
from django.db import Error as DatabaseError

from apps.api.job_tells import JobTells
from apps.core import clock
from apps.core.database_watch import WAITING
from apps.core.liveness import heartbeat_send
from apps.sectors.services.jobs.free_jobs import jobs_free
from poolsite.wire.codec import document_encode
from poolsite.wire.jobs import Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest

    from apps.sectors.services.jobs.free_jobs import WaitingHost

    Event = dict[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]

log = structlog.get_logger(__name__)

PATH: Final = re.compile(r"/api/v1/workers/[^/]+/work/?")
WAIT_S: Final = 4.0
"""Longest wait of a host that does not say how long it waits, as those of earlier versions do not."""
LIFE_EVERY_S: Final = 4.0
"""How often a host that waits is noted as living: less than the patience with those that are silent."""
POLL_S: Final = 0.5
"""How often the database is asked for all who wait, while anybody does."""
SPREAD_S: Final = 2.0
"""Time over which the answers are sent when the process ends; it waits three seconds for open requests."""
MOST: Final = 5_000
"""Hosts that wait at a time in one process; further ones are answered at once."""
KEY: Final = "poolsite.job_wait"


T = TypeVar("T")


class Handler(Protocol):
    """An ASGI application that has threads for the database."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""

    async def carry_out(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, done in one of the threads."""


class Holding:
    """One held answer: the host that waits for it, as the view found, and whether a job is free for it."""

    def __init__(self) -> None:
        self.waits: WaitingHost | None = None
        """The host that asks; None: the answer is not held."""
        self.wait_s = WAIT_S
        self.life: tuple[str, ...] = ()
        """Processes that are known to live as long as the host waits, by the supervisor's names."""
        self.host = ""
        self.is_free = False
        self.over = asyncio.Event()

    def end(self, *, is_free: bool) -> None:
        """Send the answer."""
        self.is_free = is_free
        self.over.set()


def holding_of(request: HttpRequest) -> Holding | None:
    """Return the holding of a request; None where nobody would hold its answer."""
    found: Holding | None = getattr(request, "scope", {}).get(KEY)
    return found


class JobWait:
    """Wraps Django's handler: the answer "nothing is free" is sent once a job is free or the wait is over."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.waiting: set[Holding] = set()
        self.tells = JobTells()
        self.is_ending = False
        self._polling: asyncio.Task[None] | None = None
        self._noting: asyncio.Task[None] | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or PATH.fullmatch(scope["path"]) is None:
            await self.handler(scope, receive, send)
            return
        if len(self.waiting) >= MOST or self.is_ending:
            await self.handler(scope, receive, send)
            return
        holding = Holding()
        answer: list[Event] = []

        async def collect(event: Event) -> None:
            answer.append(event)

        await self.handler({**scope, KEY: holding}, receive, collect)
        if answer and holding.waits is not None and not self.is_ending:
            if (waiting := scope.get(WAITING)) is not None:
                waiting.is_answered = True  # it waits for a job, and needs no database for that
            await self.wait(holding, receive)
        for event in free_response(answer) if holding.is_free else answer:
            await send(event)

    async def wait(self, holding: Holding, receive: Receive) -> None:
        """Wait until a job is free, the time is over, or the caller has left."""
        self.waiting.add(holding)
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll())
        leaving = asyncio.create_task(self._leave(holding, receive))
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(holding.wait_s):
                    await holding.over.wait()
        finally:
            self.waiting.discard(holding)
            leaving.cancel()

    def end(self) -> None:
        """Send all answers, one after the other: the process ends, and each host asks another one at once."""
        self.is_ending = True
        for holding in self.waiting:
            wait_s = random.uniform(0, SPREAD_S)  # noqa: S311  # spreads requests, no secret
            asyncio.get_running_loop().call_later(wait_s, partial(holding.end, is_free=False))

    async def _leave(self, holding: Holding, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        holding.end(is_free=False)

    async def _poll(self) -> None:
        """Query the database while anybody waits; one query serves them all."""
        life_at = asyncio.get_running_loop().time() + LIFE_EVERY_S
        while self.waiting:
            if asyncio.get_running_loop().time() >= life_at and (self._noting is None or self._noting.done()):
                life_at += LIFE_EVERY_S
                living = {name: holding.host for holding in self.waiting for name in holding.life}
                # Beside: while Redis hangs, hosts hear of their jobs all the same.
                self._noting = asyncio.create_task(asyncio.to_thread(life_note, living))
            await self._holdings_end()
            await asyncio.sleep(POLL_S)

    async def _holdings_end(self) -> None:
        """Send the answers of hosts for which a job is free."""
        hosts = {holding: holding.waits for holding in self.waiting if holding.waits is not None}
        try:
            free = await self.handler.carry_out(lambda: jobs_free(list(hosts.values()), now=clock.now()))
        except DatabaseError as error:
            log.warning("database_away", reason=str(error).strip()[:200])
            return
        chosen = self.tells.choose(list(hosts.values()), free, at=asyncio.get_running_loop().time())
        for holding, host in hosts.items():
            if host.id in chosen:
                holding.end(is_free=True)


def life_note(living: dict[str, str]) -> None:
    """Note that programs live, each with its host's name: their hosts wait here."""
    for name, host in living.items():
        heartbeat_send(name, detail=host, pid=0)


def free_response(answer: list[Event]) -> list[Event]:
    """Return the answer that something is free, with the headers of the other one."""
    body = json.dumps(document_encode(Work(is_free=True))).encode()
    start = next(event for event in answer if event["type"] == "http.response.start")
    others = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    headers = [*others, (b"content-length", str(len(body)).encode())]
    return [{**start, "headers": headers}, {"type": "http.response.body", "body": body}]
