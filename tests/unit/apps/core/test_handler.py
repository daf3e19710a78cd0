"""Requests are answered in threads that stay, with the database connection that they have."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from apps.core.handler import IDLE_THREADS_MAX, RequestHandler, RequestThread

GO_ON = threading.Event()
BEGUN = threading.Semaphore(0)


def backend(_request: HttpRequest) -> HttpResponse:
    """Tell which session of the database answers."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        row = cursor.fetchone()
    assert row is not None
    return HttpResponse(str(row[0]))


def waiting(request: HttpRequest) -> HttpResponse:
    """Tell the same, but only when the test lets it."""
    BEGUN.release()
    GO_ON.wait(60)
    return backend(request)


urlpatterns = [path("backend", backend), path("waiting", waiting)]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def handler() -> Iterator[RequestHandler]:
    GO_ON.clear()
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[]):
        handler = RequestHandler()
        yield handler
        GO_ON.set()
        handler.close()


class Caller:
    """One HTTP request, as the server hands it over."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.events.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        self.sent: list[dict[str, Any]] = []

    def leave(self) -> None:
        """Hang up."""
        self.events.put_nowait({"type": "http.disconnect"})

    async def ask(self, handler: RequestHandler) -> str:
        """Ask and give the body of the answer."""

        async def send(event: dict[str, Any]) -> None:
            self.sent.append(event)

        headers = [(b"host", b"localhost")]
        scope = {"type": "http", "method": "GET", "path": self.where, "headers": headers, "query_string": b""}
        await handler(scope, self.events.get, send)
        return b"".join(event.get("body", b"") for event in self.sent).decode()


async def begun(count: int) -> None:
    """Wait until so many views are at work."""
    for _ in range(count):
        assert await asyncio.to_thread(BEGUN.acquire, timeout=60)


async def test_one_request_after_the_other_has_the_same_session(handler: RequestHandler) -> None:
    answers = {await Caller("/backend").ask(handler) for _ in range(5)}

    assert len(answers) == 1
    assert answers != {""}


async def test_requests_at_once_have_sessions_of_their_own_and_few_are_kept(handler: RequestHandler) -> None:
    count = IDLE_THREADS_MAX + 2
    tasks = [asyncio.create_task(Caller("/waiting").ask(handler)) for _ in range(count)]
    await begun(count)
    GO_ON.set()

    answers = await asyncio.gather(*tasks)

    assert len(set(answers)) == count
    assert len(handler._free) == IDLE_THREADS_MAX


async def test_thread_of_an_aborted_request_stays_busy_until_its_view_ends(
    handler: RequestHandler,
) -> None:
    first = await Caller("/backend").ask(handler)
    caller = Caller("/waiting")
    task = asyncio.create_task(caller.ask(handler))
    await begun(1)
    caller.leave()
    await asyncio.sleep(0.05)

    other = await asyncio.wait_for(Caller("/backend").ask(handler), 60)

    assert other != first
    GO_ON.set()
    await task
    assert len(handler._free) == 2


async def test_thread_of_an_aborted_request_is_reused_after_its_view_ends(
    handler: RequestHandler,
) -> None:
    thread = RequestThread()
    thread.submit(GO_ON.wait, 10)
    handler._release_thread(thread)

    assert not handler._free
    GO_ON.set()
    for _ in range(3000):
        if handler._free:
            break
        await asyncio.sleep(0.02)
    assert len(handler._free) == 1


async def test_a_session_that_the_database_ended_is_replaced(handler: RequestHandler) -> None:
    first = await Caller("/backend").ask(handler)

    def end() -> None:
        with connection.cursor() as cursor:
            cursor.execute("select pg_terminate_backend(%s, 5000)", [int(first)])
        connection.close()

    await asyncio.to_thread(end)

    assert await Caller("/backend").ask(handler) not in ("", first)
