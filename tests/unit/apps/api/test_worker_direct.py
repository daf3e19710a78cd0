"""Hosts' requests before Django: what is answered there, and what Django's routes refuse as ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError

from apps.api.job_wait import JobWait
from apps.api.v1 import worker_direct
from apps.api.v1.worker_direct import WorkerDirect
from apps.core import clock
from apps.core.handler import RequestHandler
from apps.sectors.models import Job, Worker
from apps.users.models import RateLimit, Tenant, Token
from apps.users.selectors.rate_limits import RULES
from tests import factories
from tests.people import tenant, token
from tests.waiting import until_async

pytestmark = pytest.mark.django_db(transaction=True)

CLAIM = {"v": 1, "boot_id": "boot", "kinds": ["seal"], "stages": {"ADD_PIECE": 1}, "new_sectors": 1}
USUAL = {"host": "localhost", "accept": "*/*", "content-type": "application/json"}


class Handler(RequestHandler):
    """Django's, which counts what comes to it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        await super().__call__(scope, receive, send)


@pytest.fixture
def handler() -> Iterator[Handler]:
    handler = Handler()
    yield handler
    handler.close()


class Host:
    """A registered host with its token."""

    def __init__(self, *, of: str = "alice", perm: str = "write", **limits: Any) -> None:
        self.token = token(perm, of=of, **{"scopes": ["sealer"], **limits})
        self.worker = factories.worker(of=of, boot_id="boot", kinds=["seal"])

    async def asks(
        self, app: Any, what: str, body: Any = None, *, query: str = "", **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """Ask once; gives status, document and headers."""
        method, path = {
            "heartbeat": ("POST", f"/api/v1/workers/{self.worker.uuid}/heartbeat"),
            "work": ("GET", f"/api/v1/workers/{self.worker.uuid}/work"),
            "claim": ("POST", "/api/v1/jobs:claim"),
        }[what]
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        told = {**USUAL, "authorization": f"Bearer {self.token}", "content-length": str(len(data)), **headers}
        events: asyncio.Queue[Any] = asyncio.Queue()
        events.put_nowait({"type": "http.request", "body": data, "more_body": False})
        sent: list[dict[str, Any]] = []

        async def send(event: dict[str, Any]) -> None:
            sent.append(event)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), text.encode()) for name, text in told.items()],
        }
        await app(scope, events.get, send)
        text = b"".join(event.get("body", b"") for event in sent)
        head = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], json.loads(text), head


@sync_to_async
def a_host(**how: Any) -> Host:
    return Host(**how)


@sync_to_async
def change(act: Callable[[], Any]) -> Any:
    return act()


def a_sector() -> None:
    factories.sector(factories.miner(of="alice"))


async def test_what_hosts_send_is_answered_without_django(handler: Handler) -> None:
    host, app = await a_host(), WorkerDirect(handler)
    await change(lambda: Worker.objects.update(seen_at=clock.now() - timedelta(hours=1)))

    beaten, _, head = await host.asks(app, "heartbeat", {"v": 1, "boot_id": "boot", "last_error": "none"})
    waited = await host.asks(app, "work", query="wait=25")
    await change(a_sector)
    claimed = await host.asks(app, "claim", {**CLAIM, "worker_id": str(host.worker.uuid)})

    row = await change(lambda: Worker.objects.get(pk=host.worker.pk))
    job = await change(Job.objects.get)
    assert (beaten, head["content-type"], len(head["x-request-id"])) == (200, "application/json", 32)
    assert (row.last_error, clock.now() - row.seen_at < timedelta(minutes=1)) == ("none", True)
    assert (waited[0], waited[1].get("is_free", False)) == (200, False)
    assert [one["id"] for one in claimed[1]["jobs"]] == [str(job.uuid)]
    assert (job.state, job.worker_id, job.lease_token) == ("LEASED", host.worker.pk, 1)
    assert handler.asked == 0


REFUSALS: dict[str, tuple[dict[str, Any], Callable[[Host], Any], int]] = {
    "revoked": ({}, lambda _: Token.objects.update(revoked_at=clock.now()), 401),
    "expired": ({}, lambda _: Token.objects.update(expires_at=clock.now()), 401),
    "unknown": ({}, lambda _: Token.objects.all().delete(), 401),
    "account disabled": ({}, lambda _: Tenant.objects.filter(name="alice").update(enabled=False), 401),
    "level": ({"perm": "read"}, lambda _: None, 403),
    "scope": ({"scopes": ["signer"]}, lambda _: None, 403),
    "method": ({}, lambda _: Token.objects.update(methods=["rest.RegisterView"]), 403),
    "another's host": ({}, lambda _: Worker.objects.update(tenant=tenant("bob")), 404),
    "retired": ({}, lambda _: Worker.objects.update(retired_at=clock.now()), 409),
    "replaced": ({}, lambda _: Worker.objects.update(boot_id="later"), 409),
}


@pytest.mark.parametrize("what", ["heartbeat", "claim"])
@pytest.mark.parametrize("name", REFUSALS)
async def test_what_is_refused_is_so_as_by_django(name: str, what: str, handler: Handler) -> None:
    limits, change_it, status = REFUSALS[name]
    host = await a_host(**limits)
    await change(a_sector)
    body = (
        {"v": 1, "boot_id": "boot"} if what == "heartbeat" else {**CLAIM, "worker_id": str(host.worker.uuid)}
    )
    await change(lambda: change_it(host))

    direct = await host.asks(WorkerDirect(handler), what, body)
    plain = await host.asks(handler, what, body)

    assert (direct[0], direct[1]) == (plain[0], plain[1])
    assert (direct[0], set(direct[1])) == (status, {"code", "message", "field"})
    assert await change(lambda: Job.objects.get().state) == "READY"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"v": 1, "v": 1, "boot_id": "boot"}',
        b'{"v": 1}',
        b'{"v": 1, "boot_id": "boot", "moon": 1}',
        b"[]",
    ],
)
async def test_what_is_no_heartbeat_is_refused_as_by_django(body: bytes, handler: Handler) -> None:
    host = await a_host()

    direct = await host.asks(WorkerDirect(handler), "heartbeat", body)
    plain = await host.asks(handler, "heartbeat", body)

    assert direct[:2] == plain[:2]
    assert direct[0] in (400, 422)


async def test_a_token_that_was_revoked_is_refused_from_the_next_request_on(handler: Handler) -> None:
    """Without a word in Redis: nothing of it is remembered."""
    host, app = await a_host(), WorkerDirect(handler)
    body = {"v": 1, "boot_id": "boot"}
    before = await host.asks(app, "heartbeat", body)
    await change(lambda: Token.objects.update(revoked_at=clock.now()))

    after = await host.asks(app, "heartbeat", body)

    assert (before[0], after[0], after[1]["code"]) == (200, 401, "token_refused")


@pytest.mark.usefixtures("pool_redis")
async def test_a_limited_tenants_requests_are_counted_once(handler: Handler) -> None:
    host = await a_host()
    await change(
        lambda: RateLimit.objects.create(tenant=tenant("alice"), service="rest", capacity=2, reset_ns=10**14)
    )
    RULES.clear()

    answers = [
        await host.asks(WorkerDirect(handler), "heartbeat", {"v": 1, "boot_id": "boot"}) for _ in range(3)
    ]

    RULES.clear()
    assert [answer[0] for answer in answers] == [200, 200, 429]


@pytest.mark.parametrize(
    "unusual", [{"idempotency_key": "k1"}, {"x_page_language": "zh-hans"}, {"accept": "text/html"}]
)
async def test_what_hosts_do_not_send_is_djangos(unusual: dict[str, str], handler: Handler) -> None:
    host = await a_host()

    await host.asks(WorkerDirect(handler), "heartbeat", {"v": 1, "boot_id": "boot"}, **unusual)

    assert handler.asked == 1


async def test_a_claim_whose_commit_nobody_knows_of_is_not_repeated(
    handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, claimed = await a_host(), []

    def lost(*_: Any, **how: Any) -> None:
        claimed.append(how)
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(worker_direct, "jobs_claim", lost)

    status, answer, head = await host.asks(
        WorkerDirect(handler), "claim", {**CLAIM, "worker_id": str(host.worker.uuid)}
    )

    assert (status, answer["code"], "retry-after" in head) == (503, "unavailable", True)
    assert (len(claimed), handler.asked) == (1, 0)


async def test_a_claim_that_waited_longer_than_its_host_leases_nothing(
    handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_direct, "PATIENCE_S", -1.0)
    host = await a_host()
    await change(a_sector)

    status, answer, head = await host.asks(
        WorkerDirect(handler), "claim", {**CLAIM, "worker_id": str(host.worker.uuid)}
    )

    assert (status, answer["code"], "retry-after" in head) == (503, "overloaded", True)
    assert (await change(Job.objects.get)).state == "READY"
    assert handler.asked == 0


async def test_a_question_is_held_for_as_long_as_it_says(handler: Handler) -> None:
    host, app = await a_host(), JobWait(WorkerDirect(handler))
    asking = asyncio.create_task(host.asks(app, "work", query="wait=9999"))
    async with asyncio.timeout(60):
        await until_async(lambda: app.waiting)

    [holding] = app.waiting
    app.end()

    assert (holding.wait_s, (await asking)[0]) == (25, 200)


@pytest.mark.parametrize("wait", ["0", "-1", "1.5", "x", "99999"])
async def test_a_time_that_is_none_is_refused(wait: str, handler: Handler) -> None:
    host = await a_host()

    status, answer, _ = await host.asks(WorkerDirect(handler), "work", query=f"wait={wait}")

    assert (status, answer["field"]) == (400, "wait")
