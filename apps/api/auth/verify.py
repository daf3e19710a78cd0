"""`POST /verify` before Django: other services ask it for every request of theirs.

An answer that let a token pass is kept and given again, as long as both tokens in it stand: every CONFIRM_S
all of them are looked up at once, and a revocation that Redis tells of stops the answers until that was done.
What is not known goes on to Django's route, so there is one place that decides and one set of error texts.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

from django.db import Error as DatabaseError

from apps.api.auth.fields import lowered
from apps.api.auth.verified_answers import CACHED_S, Answers, CachedAnswer, answers_of_loop
from apps.core.database_threads import in_database
from apps.core.metrics import REQUEST_SECONDS, REQUESTS
from apps.users.selectors.tokens import token_digest, tokens_with_digests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from apps.api.auth.verified_answers import Key

    Event = dict[str, Any]
    Receive = Callable[[], Awaitable[Event]]
    Send = Callable[[Event], Awaitable[None]]
    App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

PATH: Final = "/verify"
ROUTE: Final = "auth-verify"
"""The name of Django's route, under which requests are counted."""
BODY_MAX: Final = 16 * 1024
"""A longer question is Django's business."""


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
                await answer_store(answers, key, caught, heard=heard)


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


def head_of(cached: CachedAnswer) -> list[tuple[bytes, bytes]]:
    """Return the answer's headers with a number of its own."""
    return [*cached.head, (b"x-request-id", uuid.uuid4().hex.encode())]


async def answer_store(answers: Answers, key: Key, caught: Caught, *, heard: int) -> None:
    """Keep an answer together with the ids of both tokens."""
    authorization, body = key
    own = authorization.decode("latin-1").removeprefix("Bearer ").strip()
    digests = {token_digest(own), token_digest(lowered(json.loads(body))["token"])}
    try:
        ids = await in_database(tokens_with_digests, digests)
    except DatabaseError:
        return
    if len(ids) == len(digests):
        cached = CachedAnswer(tuple(ids), time.monotonic() + CACHED_S, caught.head, caught.body)
        answers.store(key, cached, heard=heard)
