"""A host waits for work: its answer is held, and goes with the job, with the host, or after its time."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from apps.api import job_wait
from apps.api.job_tells import FIRST
from apps.api.job_wait import JobWait
from apps.core.database_watch import DatabaseWatch
from apps.core.handler import IDLE_THREADS_MAX, RequestHandler
from apps.core.liveness import KEY, heartbeats
from apps.core.redis_clients import redis_client
from apps.sectors.models import Job
from tests import factories
from tests.people import token
from tests.waiting import until_async

pytestmark = pytest.mark.django_db(transaction=True)

WAIT_S = 86_400.0
"""How long what nothing ends is held here: longer than PATIENCE_S, after which a test has failed."""
PATIENCE_S = 300.0


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[JobWait]:
    """The wrapper over Django."""
    monkeypatch.setattr(job_wait, "WAIT_S", WAIT_S)
    monkeypatch.setattr(job_wait, "POLL_S", 0.05)
    handler = RequestHandler()
    yield JobWait(handler)
    handler.close()


class Host:
    """A registered host that asks for work."""

    def __init__(self, *, kinds: tuple[str, ...] = ("seal",), of: str = "alice") -> None:
        self.text = token("write", of=of, scopes=["sealer", "prover"])
        self.worker = factories.worker(of=of, kinds=list(kinds))
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.took_s = 0.0

    async def asks(self, app: JobWait | DatabaseWatch) -> Any:
        """Ask once; gives the answer."""
        self.events.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {self.text}".encode())]
        path = f"/api/v1/workers/{self.worker.uuid}/work"
        scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}

        async def send(event: dict[str, Any]) -> None:
            self.sent.append(event)

        began = time.monotonic()
        async with asyncio.timeout(PATIENCE_S):
            await app(scope, self.events.get, send)
        self.took_s = time.monotonic() - began
        body = b"".join(event.get("body", b"") for event in self.sent)
        told = {name.lower(): value for name, value in self.sent[0]["headers"]}
        assert told.get(b"content-length") in (None, str(len(body)).encode())
        return json.loads(body)

    @property
    def status(self) -> int:
        """The status that it got."""
        return int(self.sent[0]["status"])


@sync_to_async
def a_host(**how: Any) -> Host:
    return Host(**how)


@sync_to_async
def a_sector(of: str = "alice") -> None:
    factories.sector(factories.miner(of=of))


@sync_to_async
def lies_on(host: Host) -> None:
    Job.objects.update(sticky_worker=host.worker)


async def held(app: JobWait, count: int = 1) -> None:
    """Wait until so many answers are held."""
    async with asyncio.timeout(PATIENCE_S):
        await until_async(lambda: len(app.waiting) == count)


async def test_with_a_free_job_the_answer_goes_at_once(app: JobWait) -> None:
    await a_sector()
    host = await a_host()

    answer = await host.asks(app)

    assert (host.status, answer["is_free"]) == (200, True)


async def test_a_new_job_lets_the_held_answer_go(app: JobWait) -> None:
    host = await a_host()
    asking = asyncio.create_task(host.asks(app))
    await held(app)
    assert host.sent == []

    await a_sector()

    assert (await asking)["is_free"] is True
    assert app.waiting == set()


async def test_a_free_job_of_another_host_wakes_nobody_and_one_of_its_own_does(
    app: JobWait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_wait, "WAIT_S", 0.6)
    host, other = await a_host(), await a_host()
    await a_sector()
    await lies_on(other)
    assert (await host.asks(app))["is_free"] is False

    host.sent.clear()
    await lies_on(host)

    assert (await host.asks(app))["is_free"] is True


async def test_a_host_is_not_told_again_of_what_it_did_not_take(
    app: JobWait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_wait, "WAIT_S", 0.6)
    host = await a_host()
    await a_sector()
    assert (await host.asks(app))["is_free"] is True

    host.sent.clear()
    assert (await host.asks(app))["is_free"] is False

    host.sent.clear()
    await a_sector()
    assert (await host.asks(app))["is_free"] is True


async def test_one_new_job_wakes_few_of_many_hosts(app: JobWait, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_look() -> None:
        """Leave the looks to the test: the first of its own may come as late as the sector."""

    monkeypatch.setattr(app, "_poll", no_look)
    hosts = [await a_host() for _ in range(3 * FIRST)]
    asking = [asyncio.create_task(host.asks(app)) for host in hosts]
    await held(app, len(hosts))
    await a_sector()

    await app._holdings_end()
    await held(app, 2 * FIRST)
    await app._holdings_end()
    await held(app, 0)

    assert {answer["is_free"] for answer in await asyncio.gather(*asking)} == {True}


async def test_without_a_job_the_answer_goes_after_its_time(
    app: JobWait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_wait, "WAIT_S", 0.3)
    host = await a_host()

    answer = await host.asks(app)

    assert (host.status, answer["is_free"]) == (200, False)
    assert host.took_s >= 0.3


async def test_a_job_of_another_kind_or_tenant_wakes_nobody(
    app: JobWait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_wait, "WAIT_S", 0.6)
    prover, stranger = await a_host(kinds=("window_post",)), await a_host(of="bob")
    asking = [asyncio.create_task(host.asks(app)) for host in (prover, stranger)]
    await held(app, 2)

    await a_sector()

    assert [answer["is_free"] for answer in await asyncio.gather(*asking)] == [False, False]


async def test_many_hosts_wait_without_a_thread(app: JobWait) -> None:
    hosts = [await a_host() for _ in range(3 * IDLE_THREADS_MAX)]
    asking = [asyncio.create_task(host.asks(app)) for host in hosts]
    await held(app, len(hosts))

    assert isinstance(app.handler, RequestHandler)
    assert len(app.handler._free) <= IDLE_THREADS_MAX
    app.end()  # as a process that stops does

    assert {answer["is_free"] for answer in await asyncio.gather(*asking)} == {False}


async def test_a_host_that_leaves_is_not_held(app: JobWait) -> None:
    host = await a_host()
    asking = asyncio.create_task(host.asks(app))
    await held(app)

    host.events.put_nowait({"type": "http.disconnect"})

    await asking


async def test_more_hosts_than_a_process_holds_are_answered_at_once(
    app: JobWait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_wait, "MOST", 0)
    host = await a_host()

    assert (await host.asks(app))["is_free"] is False


@pytest.mark.usefixtures("pool_redis")
async def test_the_pools_own_sealer_is_known_to_live_while_it_waits(
    app: JobWait, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks less often than the patience with silent processes lasts."""
    monkeypatch.setattr(job_wait, "LIFE_EVERY_S", 0.05)
    hosts = [await a_host(of="pool"), await a_host()]
    asking = [asyncio.create_task(host.asks(app)) for host in hosts]
    await held(app, len(hosts))
    await asyncio.to_thread(redis_client().delete, KEY)

    async with asyncio.timeout(PATIENCE_S):
        while not (beats := await asyncio.to_thread(heartbeats)):
            await asyncio.sleep(0.01)

    app.end()
    await asyncio.gather(*asking)
    assert {name: beat.detail for name, beat in beats.items()} == {"sealer": hosts[0].worker.name}


async def test_a_redis_that_hangs_keeps_no_host_from_its_job(
    app: JobWait, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_answers, noted = threading.Event(), []

    def life_note(living: dict[str, str]) -> None:
        noted.append(living)
        redis_answers.wait(PATIENCE_S)

    monkeypatch.setattr(job_wait, "LIFE_EVERY_S", 0.0)
    monkeypatch.setattr(job_wait, "life_note", life_note)
    host = await a_host(of="pool")
    asking = asyncio.create_task(host.asks(app))
    await held(app)
    async with asyncio.timeout(PATIENCE_S):
        await until_async(lambda: noted)
    await a_sector("pool")

    try:
        async with asyncio.timeout(PATIENCE_S / 2):
            answer = await asking
    finally:
        redis_answers.set()

    assert answer["is_free"] is True
    assert noted == [{"sealer": host.worker.name}]


async def test_a_held_answer_does_not_wait_for_the_database(app: JobWait) -> None:
    host, watch = await a_host(), DatabaseWatch(app, patience_s=0.05)
    asking = asyncio.create_task(host.asks(watch))
    await held(app)

    [request] = watch.waiting

    assert request.is_answered
    app.end()
    await asking


async def test_a_refused_host_is_told_at_once(app: JobWait) -> None:
    host, stranger = await a_host(), await a_host(of="bob")
    host.text = stranger.text

    answer = await host.asks(app)

    assert (host.status, answer["code"]) == (404, "worker_unknown")


async def test_when_the_process_ends_the_answers_go_spread(
    app: JobWait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_wait, "SPREAD_S", 1.0)
    hosts = [await a_host() for _ in range(8)]
    asking = [asyncio.create_task(host.asks(app)) for host in hosts]
    await held(app, len(hosts))

    app.end()
    await asyncio.sleep(0)
    assert len(app.waiting) > len(hosts) // 2
    answers = await asyncio.gather(*asking)

    assert [(host.status, answer["is_free"]) for host, answer in zip(hosts, answers, strict=True)] == [
        (200, False)
    ] * len(hosts)
    assert max(host.took_s for host in hosts) - min(host.took_s for host in hosts) > 0.1
