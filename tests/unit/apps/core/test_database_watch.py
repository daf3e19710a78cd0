"""While the database hangs every caller is told so, within seconds, and nobody's thread is taken."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from apps.api.auth.verify import VerifyPost
from apps.api.limits import BodyLimit
from apps.api.rpc.transport.post import RpcPost
from apps.core.database_watch import DatabaseWatch
from tests.waiting import until_async

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
        length: int = 0,
        pieces: int = 1,
    ) -> None:
        headers = [(b"accept", b"text/html" if page else b"*/*"), (b"content-type", kind)]
        headers += [(b"content-length", b"%d" % length)] if length else []
        self.length, self.pieces, self.left = length, pieces, pieces
        self.reads = asyncio.Event()
        self.reads.set()
        scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}
        self.sent: list[Event] = []
        self.answered = asyncio.Event()
        self.task = asyncio.create_task(watch(scope, self.receive, self.send))

    async def receive(self) -> Event:
        self.left -= 1
        return {"type": "http.request", "body": bytes(self.length // self.pieces), "more_body": self.left > 0}

    async def send(self, event: Event) -> None:
        await self.reads.wait()
        self.sent.append(event)
        if event["type"] == "http.response.body" and not event.get("more_body"):
            self.answered.set()

    async def answer(self) -> tuple[int, str]:
        await asyncio.wait_for(self.answered.wait(), 60)
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
        assert "The database is not responding" in page[1]
        assert "http-equiv" in page[1]
        assert "Your request may still be carried out" in posted[1]
        assert "may still be carried out" not in later[1]
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


def test_a_begun_json_rpc_call_waits_and_later_ones_are_refused(silent: socket.socket) -> None:
    async def test(app: App, watch: DatabaseWatch) -> None:
        begun = Call(watch, "/rpc/v0", method="POST", kind=b"application/json")
        page = Call(watch, "/sectors/", page=True)
        assert (await page.answer())[0] == 503
        later = await Call(watch, "/rpc/v0", method="POST", kind=b"application/json").answer()

        assert later[0] == 503
        assert json.loads(later[1])["code"] == "unavailable"
        assert (begun.sent, app.asked) == ([], 2)
        app.go_on.set()
        assert await begun.answer() == (200, "1")

    run(test)


@pytest.mark.parametrize("path", ["/verify", "/api/v1/miners/f01000/pieces", "/rpc/v1"])
def test_a_caller_who_sends_much_is_told_and_may_send_it_all(silent: socket.socket, path: str) -> None:
    """Whole: as the web process has it, where what is before Django asks the database too."""

    async def stuck(_scope: Event) -> str:
        await asyncio.Event().wait()
        return ""

    async def test(app: App, watch: DatabaseWatch) -> None:
        watch.app = BodyLimit(VerifyPost(RpcPost(app)), owner_of=stuck)
        first = Call(watch, "/api/v1/miners/f01000/pieces", method="POST", length=1 << 20)
        assert (await first.answer())[0] == 503
        later = Call(watch, path, method="POST", length=1 << 20, pieces=3)
        status, _ = await later.answer()
        await asyncio.wait_for(later.task, 60)

        assert (status, later.left, app.asked) == (503, 0, 0)
        first.task.cancel()

    run(test)


def test_a_call_that_takes_its_time_is_looked_for_ever_more_rarely() -> None:
    async def test(app: App, watch: DatabaseWatch) -> None:
        looks = []

        async def answers() -> bool:
            looks.append(asyncio.get_running_loop().time())
            return False

        watch._is_silent = answers  # type: ignore[method-assign]  # the test's own
        call = Call(watch, "/rpc/v0", method="POST")
        await asyncio.sleep(PATIENCE_S * 20)
        app.go_on.set()
        await call.answer()

        assert 1 < len(looks) < 8, "every half of the patience it were forty"

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
        await until_async(lambda: not watch.is_hanging)

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


def test_one_slow_answer_of_the_database_refuses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_s = 0.2
    opened: list[float] = []

    def slow(*, timeout_s: float) -> None:
        time.sleep(1.5 * answer_s)
        opened.append(timeout_s)

    monkeypatch.setattr("apps.core.database_watch.session_try", slow)

    async def test(app: App, watch: DatabaseWatch) -> None:
        waits = Call(watch)
        while not opened:
            await asyncio.sleep(0.01)
            assert not watch.is_hanging
        comes = Call(watch)
        app.go_on.set()

        assert [await waits.answer(), await comes.answer()] == [(200, "1"), (200, "2")]

    run(test, answer_s=answer_s)


def test_slow_answers_end_the_hanging_too(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_s = 0.4

    def slow(*, timeout_s: float) -> None:
        time.sleep(1.4 * answer_s)

    monkeypatch.setattr("apps.core.database_watch.session_try", slow)

    async def test(_app: App, watch: DatabaseWatch) -> None:
        watch.is_hanging = True
        assert not await watch._is_silent(), "it would never be left where each session opens that slowly"
        watch.is_hanging = False

    run(test, answer_s=answer_s)


def test_who_comes_is_served_as_soon_as_the_database_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[bool] = []

    def hangs_twice(*, timeout_s: float) -> None:
        tries.append(True)
        if len(tries) <= 2:
            raise TimeoutError

    monkeypatch.setattr("apps.core.database_watch.session_try", hangs_twice)

    async def test(app: App, watch: DatabaseWatch) -> None:
        watch.patience_s = 5
        call = Call(watch)
        await asyncio.sleep(0)
        for one in watch.waiting:
            one.check_after -= 60
        assert (await call.answer())[0] == 503
        begun = asyncio.get_running_loop().time()
        await until_async(lambda: not watch.is_hanging)
        assert asyncio.get_running_loop().time() - begun < watch.patience_s / 2
        app.go_on.set()
        assert (await Call(watch).answer())[0] == 200

    run(test)


@pytest.mark.django_db
def test_requests_are_passed_on_again_once_the_database_answers(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(app: App, watch: DatabaseWatch) -> None:
        assert (await Call(watch).answer())[0] == 503
        monkeypatch.undo()
        watch.answer_s = 10
        app.go_on.set()
        await until_async(lambda: not watch.is_hanging)

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
