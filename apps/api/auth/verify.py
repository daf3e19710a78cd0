"""`POST /verify` before Django: other services ask it for every request of theirs.

An answer that let a token pass is kept and given again, as long as both tokens in it stand: every CONFIRM_S
all of them are looked up at once, and a revocation that Redis tells of stops the answers until that was done.
What is not known goes on to Django's route, so there is one place that decides and one set of error texts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.db import Error as DatabaseError

from apps.api.auth.fields import lowered
from apps.core import clock
from apps.core.database_threads import in_database
from apps.core.event_loops import PerLoop
from apps.core.metrics import REQUEST_SECONDS, REQUESTS
from apps.users.access import AccessChanges
from apps.users.selectors import token_digest, tokens_refused, tokens_with_digests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Event = dict[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]
    App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]
    Key = tuple[bytes, bytes]

log = structlog.get_logger(__name__)

PATH: Final = "/verify"
ROUTE: Final = "auth-verify"
"""The name of Django's route, under which requests are counted."""
CONFIRM_S: Final = 0.4
"""How often all known answers are confirmed."""
GOOD_S: Final = 0.9
"""How long a confirmation holds: nothing that was revoked is answered later, whatever is away."""
KEPT_S: Final = 60.0
"""After so long Django's route is asked again, which also notes the token's use."""
WAIT_S: Final = 2.0
"""How long a question waits for another's answer, or for a confirmation, before it goes to Django itself."""
IDLE_S: Final = 120.0
"""Without a question for so long nothing is confirmed any more."""
MOST: Final = 10_000
"""Answers that are kept; with more all are forgotten."""
BODY_MAX: Final = 16 * 1024
"""A longer question is Django's business."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that may be given again."""

    tokens: tuple[str, ...]
    """Ids of the caller's and of the verified token."""
    until: float
    head: list[tuple[bytes, bytes]]
    body: bytes


class Answers:
    """What one event loop knows."""

    def __init__(self) -> None:
        self.kept: dict[Key, Kept] = {}
        self.good_until = 0.0
        self.asked_at = 0.0
        self.changes = 0
        """Counts what was heard: what was asked before a change is not kept after it."""
        self.confirming: asyncio.Task[None] | None = None
        self.in_progress: dict[Key, asyncio.Future[None]] = {}
        """Questions that are before Django now."""
        self.checked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done at the end of the look that comes next."""

    async def find(self, key: Key) -> Kept | None:
        """Return a known answer; waits where it is being asked for or confirmed: one query serves all."""
        self.asked_at = time.monotonic()
        if (running := self.in_progress.get(key)) is not None:
            await asyncio.wait([running], timeout=WAIT_S)
        if key in self.kept and not self.is_good:
            await asyncio.wait([self.checked], timeout=WAIT_S)
        found = self.kept.get(key)
        return found if found is not None and self.is_good and time.monotonic() < found.until else None

    @property
    def is_good(self) -> bool:
        """Whether what is kept was confirmed lately."""
        return time.monotonic() < self.good_until

    @contextlib.contextmanager
    def first(self, key: Key | None) -> Iterator[None]:
        """Share one answer among requests for the same token."""
        if key is None or key in self.in_progress:
            yield
            return
        done = self.in_progress[key] = asyncio.get_running_loop().create_future()
        try:
            yield
        finally:
            del self.in_progress[key]
            done.set_result(None)

    def keep(self, key: Key, answer: Kept, *, heard: int) -> None:
        """Keep an answer that was asked for when `heard` changes were known."""
        if self.confirming is None or self.confirming.done():
            self.confirming = asyncio.create_task(self.confirm())
        if heard != self.changes:
            return
        if len(self.kept) >= MOST:
            self.kept.clear()
        self.kept[key] = answer

    async def confirm(self) -> None:
        """Check all tokens regularly, and at once when somebody's access changed."""
        changes = AccessChanges()
        try:
            while time.monotonic() - self.asked_at < IDLE_S:
                await self.check()
                if await changes.wait(CONFIRM_S):
                    self.changes += 1
                    self.good_until = 0.0
        finally:
            self.kept.clear()
            self.good_until = 0.0
            await asyncio.shield(changes.close())

    async def check(self) -> None:
        """Forget the answers that hold no longer."""
        begun, heard = time.monotonic(), self.changes
        ids = {token for answer in self.kept.values() for token in answer.tokens}
        try:
            refused = await in_database(tokens_refused, ids, now=clock.now())
        except DatabaseError as error:
            log.warning("verified_tokens_not_confirmed", reason=str(error))
            return
        finally:
            self.checked.set_result(None)
            self.checked = asyncio.get_running_loop().create_future()
        over = [
            key
            for key, answer in self.kept.items()
            if answer.until < begun or not refused.isdisjoint(answer.tokens)
        ]
        for key in over:
            del self.kept[key]
        if heard == self.changes:
            self.good_until = begun + GOOD_S


class VerifyPost:
    """Answers what it knows of `POST /verify`; hands every other request on."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.count = REQUESTS.labels("POST", ROUTE, "200")
        self.seconds = REQUEST_SECONDS.labels(ROUTE)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope.get("path") != PATH or scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        events, body = await body_read(receive)
        key = key_of(scope, body) if body is not None else None
        answers = answers_of_loop()
        found = await answers.find(key) if key is not None else None
        if found is not None:
            await send({"type": "http.response.start", "status": 200, "headers": head_of(found)})
            await send({"type": "http.response.body", "body": found.body})
            self.count.inc()
            self.seconds.observe(time.perf_counter() - began)
            return
        heard, caught = answers.changes, Caught(send)
        with answers.first(key):
            await self.app(scope, replay(events, receive), caught.send)
            if key is not None and caught.status == 200:
                await answer_keep(answers, key, caught, heard=heard)


class Caught:
    """Passes an answer on and remembers it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.head: list[tuple[bytes, bytes]] = []
        self.body = b""

    async def send(self, event: Event) -> None:
        """Pass one event on."""
        if event["type"] == "http.response.start":
            self.status = event["status"]
            self.head = [pair for pair in event["headers"] if pair[0].lower() != b"x-request-id"]
        elif event["type"] == "http.response.body":
            self.body += event.get("body", b"")
        await self._send(event)


async def body_read(receive: Receive) -> tuple[list[Event], bytes | None]:
    """Read a question; None in place of a body that is too long, cut off or in too many pieces."""
    events: list[Event] = []
    body = b""
    while True:
        event = await receive()
        events.append(event)
        if event["type"] != "http.request":
            return events, None
        body += event.get("body", b"")
        if not event.get("more_body"):
            return events, body
        if len(body) > BODY_MAX:
            return events, None


def replay(events: list[Event], receive: Receive) -> Receive:
    """Return the events that were read once more, then those that follow."""
    left = list(events)

    async def again() -> Event:
        return left.pop(0) if left else await receive()

    return again


def key_of(scope: dict[str, Any], body: bytes) -> Key | None:
    """Name a question: who asks, and what.  None for those that are not asked as the Go client does."""
    authorization = content_type = b""
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = value
        elif name == b"content-type":
            content_type = value
    if not authorization or scope.get("query_string") or not content_type.startswith(b"application/json"):
        return None
    return authorization, body


def head_of(kept: Kept) -> list[tuple[bytes, bytes]]:
    """Return the answer's headers with a number of its own."""
    return [*kept.head, (b"x-request-id", uuid.uuid4().hex.encode())]


async def answer_keep(answers: Answers, key: Key, caught: Caught, *, heard: int) -> None:
    """Keep an answer together with the ids of both tokens."""
    authorization, body = key
    own = authorization.decode("latin-1").removeprefix("Bearer ").strip()
    digests = {token_digest(own), token_digest(lowered(json.loads(body))["token"])}
    try:
        ids = await in_database(tokens_with_digests, digests)
    except DatabaseError:
        return
    if len(ids) == len(digests):
        kept = Kept(tuple(ids), time.monotonic() + KEPT_S, caught.head, caught.body)
        answers.keep(key, kept, heard=heard)


answers_of_loop: Final = PerLoop(Answers)
