"""While the database hangs every caller is told so, within seconds, and nobody's thread is taken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from apps.core.database_watch import DatabaseWatch

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    Event = dict[str, Any]

PATIENCE_S = 0.1


@pytest.fixture(autouse=True)
def hanging(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the database be the silent server, where a test names that."""
    if "silent" in request.fixturenames:
        port = request.getfixturevalue("silent").getsockname()[1]
        params = {"host": "127.0.0.1", "port": port, "dbname": "none", "user": "nobody"}
        monkeypatch.setattr("apps.core.database_watch.database_params", lambda: params)


class App:
    """Answers when it is let, with the number of the request."""

    def __init__(self) -> None:
        self.asked = 0
        self.go_on = asyncio.Event()

    async def __call__(self, _scope: Event, _receive: Any, send: Callable[[Event], Awaitable[None]]) -> None:
        self.asked += 1
        number = self.asked
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(number).encode()})


class Call:
    """One request with what came back."""

    def __init__(
        self,
        watch: DatabaseWatch,
        path: str = "/",
        *,
        method: str = "GET",
        page: bool = False,
        kind: bytes = b"text/plain",
    ) -> None:
        headers = [(b"accept", b"text/html" if page else b"*/*"), (b"content-type", kind)]
        self.reads = asyncio.Event()
        self.reads.set()
        scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}
        self.sent: list[Event] = []
        self.answered = asyncio.Event()
        self.task = asyncio.create_task(watch(scope, self.receive, self.send))

    async def receive(self) -> Event:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, event: Event) -> None:
        await self.reads.wait()
        self.sent.append(event)
        if event["type"] == "http.response.body":
            self.answered.set()

    async def answer(self) -> tuple[int, str]:
        await asyncio.wait_for(self.answered.wait(), 10)
        return self.sent[0]["status"], self.sent[1]["body"].decode()


def run(test: Callable[[App, DatabaseWatch], Awaitable[None]], *, answer_s: float = 0.3) -> None:
    async def whole() -> None:
        app = App()
        await test(app, DatabaseWatch(app, patience_s=PATIENCE_S, answer_s=answer_s))

    asyncio.run(whole())


def test_who_waits_and_who_comes_is_told_that_the_database_hangs(silent: socket.socket) -> None:
    async def test(app: App, watch: DatabaseWatch) -> None:
        waiting = [Call(watch, "/sectors/", page=True), Call(watch, "/api/v1/sectors", method="POST")]
        page, posted = [await call.answer() for call in waiting]
        later = await Call(watch, "/api/v1/sectors", method="POST").answer()

        assert page[0] == posted[0] == later[0] == 503
        assert "The database does not answer" in page[1]
        assert "http-equiv" in page[1]
        assert "What was asked may still be done" in posted[1]
        assert "may still be done" not in later[1]
        assert app.asked == 2
        app.go_on.set()
        await asyncio.gather(*(call.task for call in waiting))
        assert [len(call.sent) for call in waiting] == [2, 2]

    run(test)


def test_what_needs_no_database_is_answered_all_the_same(silent: socket.socket) -> None:
    async def test(app: App, watch: DatabaseWatch) -> None:
        await Call(watch).answer()
        app.go_on.set()

        assert await Call(watch, "/healthz").answer() == (200, "2")

    run(test)


def test_a_caller_who_cannot_be_told_stops_nobody(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(app: App, watch: DatabaseWatch) -> None:
        unreadable = Call(watch, kind=b"text/plain; x*=nope''%41", method="POST")
        deaf = Call(watch)
        deaf.reads.clear()
        assert (await Call(watch).answer())[0] == 503
        app.go_on.set()
        deaf.reads.set()
        await asyncio.gather(unreadable.task, deaf.task)
        monkeypatch.undo()
        watch.answer_s = 10
        while watch.is_hanging:
            await asyncio.sleep(0.02)

        assert (await Call(watch).answer())[0] == 200

    run(test)


@pytest.mark.django_db
def test_a_slow_answer_is_waited_for_while_the_database_answers() -> None:
    async def test(app: App, watch: DatabaseWatch) -> None:
        call = Call(watch)
        await asyncio.sleep(PATIENCE_S * 5)
        app.go_on.set()

        assert await call.answer() == (200, "1")
        assert not watch.is_hanging

    run(test, answer_s=10)


@pytest.mark.django_db
def test_requests_are_passed_on_again_once_the_database_answers(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(app: App, watch: DatabaseWatch) -> None:
        assert (await Call(watch).answer())[0] == 503
        monkeypatch.undo()
        watch.answer_s = 10
        app.go_on.set()
        while watch.is_hanging:
            await asyncio.sleep(0.02)

        assert await Call(watch).answer() == (200, "2")

    run(test)


def test_a_server_that_refuses_does_answer(silent: socket.socket) -> None:
    async def test(app: App, watch: DatabaseWatch) -> None:
        silent.close()
        call = Call(watch)
        await asyncio.sleep(PATIENCE_S * 5)
        app.go_on.set()

        assert await call.answer() == (200, "1")

    run(test)
