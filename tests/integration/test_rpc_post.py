"""JSON-RPC by POST in a web process' loop: the same answers as Django's, callers forgotten at once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import httpx
import pytest

from apps.api.callers import principal_from_token
from apps.api.rpc import callers, limits
from apps.api.rpc.services.node import proxy
from apps.chain.models import Node
from apps.chain.node.link import link_to
from apps.chain.services.nodes import nodes_sync
from apps.chain.states import NodeCondition
from apps.users.models import Tenant, Token
from apps.users.rules.principals import Principal
from apps.users.selectors.rate_limits import RULES
from apps.users.services.tenants import tenant_update
from apps.users.services.tokens import token_revoke
from tests import people
from tests.fake_node import FakeNode, served
from tests.hub import WebProcess

HEAD = {"jsonrpc": "2.0", "id": 1, "method": "Filecoin.ChainHead", "params": []}


class WaitingNode(FakeNode):
    """A node with calls that may take long."""

    def do_StateSearchMsg(self, *_params: Any) -> Any:
        return None

    def do_StateMinerSectors(self, *_params: Any) -> Any:
        return []


@pytest.fixture
def node(transactional_db: None) -> Iterator[FakeNode]:
    proxy.OBJECT_CACHE.clear()
    proxy.NODES.clear()
    node = WaitingNode()
    with served(node) as url:
        nodes_sync([url])
        Node.objects.update(condition=NodeCondition.HEALTHY)
        yield node
    proxy.NODES.clear()


@pytest.fixture
def caller(node: FakeNode, pool_redis: str) -> Iterator[httpx.Client]:
    process = WebProcess()
    process.start()
    with httpx.Client(
        base_url=process.url.rpartition("/rpc/")[0],
        trust_env=False,
        timeout=30,
        limits=httpx.Limits(max_connections=64),
    ) as client:
        yield client
    process.stop()


def ask(caller: httpx.Client, body: Any = HEAD, *, token: str = "", path: str = "/rpc/v1") -> httpx.Response:
    headers = people.bearer(token) if token else {}
    return caller.post(path, content=body if isinstance(body, bytes) else json.dumps(body), headers=headers)


def test_a_call_is_answered_with_the_headers_of_both_sides(caller, node):
    answer = caller.post(
        "/rpc/v1", json=HEAD, headers={**people.bearer(people.token("read")), "X-Request-ID": "mine-1"}
    )

    assert answer.json() == {"jsonrpc": "2.0", "id": 1, "result": node.head.as_json()}
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "body", "with_token"),
    [
        ("POST", "/rpc/v1", json.dumps(HEAD), True),
        ("POST", "/rpc/v1", json.dumps([HEAD, {**HEAD, "id": 2, "method": "Filecoin.Nope"}]), True),
        ("POST", "/rpc/v1", "{", True),
        ("POST", "/rpc/v1", "", True),
        ("POST", "/rpc/v1", json.dumps(HEAD), False),
        ("POST", "/rpc/v9", json.dumps(HEAD), True),
        ("GET", "/rpc/v1", "", True),
        ("OPTIONS", "/rpc/v1", "", False),
    ],
)
def test_the_loop_answers_as_django_does(caller, client, method, path, body, with_token):
    headers = people.bearer(people.token("read")) if with_token else {}

    here = caller.request(method, path, content=body, headers=headers)
    there = client.generic(method, path, body, content_type="application/json", headers=headers)

    assert (here.status_code, here.text) == (there.status_code, there.content.decode())
    for name in ("content-type", "access-control-allow-origin"):
        assert here.headers.get(name) == there.headers.get(name)


def test_a_token_in_the_address_counts(caller):
    answer = caller.post("/rpc/v1", params={"token": people.token("read")}, json=HEAD)

    assert answer.status_code == 200


def test_a_caller_is_looked_up_once_and_forgotten_when_access_changes(caller, monkeypatch):
    lookups: list[str] = []

    def looked_up(text: str, *, source: str) -> Principal:
        lookups.append(text)
        return principal_from_token(text, source=source)

    monkeypatch.setattr("apps.api.rpc.callers.CACHED_S", 3600.0)
    monkeypatch.setattr("apps.api.rpc.callers.principal_from_token", looked_up)
    token = people.token("read", of="alice")
    until = time.monotonic() + 60
    while ask(caller, token=token).status_code == 200 and time.monotonic() < until:
        seen = len(lookups)
        if all(ask(caller, token=token).status_code == 200 for _ in range(3)) and len(lookups) == seen:
            break  # the subscription stands: three calls without a look-up
    assert len(lookups) == seen

    token_revoke(Token.objects.get(tenant__name="alice"))

    assert eventually_refused(caller, token)
    assert len(lookups) > seen


def test_a_disabled_tenant_is_refused(caller):
    token = people.token("read", of="alice")
    assert ask(caller, token=token).status_code == 200

    tenant_update(tenant=Tenant.objects.get(name="alice"), enabled=False)

    assert eventually_refused(caller, token)


def eventually_refused(caller: httpx.Client, token: str) -> bool:
    """Redis carries the word: it takes a moment, on a busy machine too."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if ask(caller, token=token).status_code == 401:
            return True
    return False


def test_without_redis_nobody_is_remembered(caller, redis_server):
    token = people.token("read", of="alice")
    assert ask(caller, token=token).status_code == 200
    redis_server.kill()
    until = time.monotonic() + 60
    while known_to_any() and time.monotonic() < until:
        time.sleep(0.01)

    token_revoke(Token.objects.get(tenant__name="alice"))

    assert ask(caller, token=token).status_code == 401


def known_to_any() -> bool:
    return any(memory._known for memory in list(callers.caller_cache._values.values()))


@contextmanager
def held_up(caller: httpx.Client, node: FakeNode, method: str, token: str) -> Iterator[None]:
    """Call a method forty times, which the node does not answer; a tenant's share of the threads is 32."""
    going, gate = threading.Semaphore(0), threading.Event()

    def slow(name: str, _params: list[Any]) -> None:
        if name == method:
            going.release()
            gate.wait(60)

    node.refuses = slow
    call = {**HEAD, "method": f"Filecoin.{method}", "params": []}
    waiting = [threading.Thread(target=lambda: ask(caller, call, token=token)) for _ in range(40)]
    try:
        for at, thread in enumerate(waiting):
            thread.start()
            assert at >= 32 or going.acquire(timeout=60)  # one by one: the node's backlog is short
        yield
    finally:
        gate.set()
        for thread in waiting:
            if thread.ident is not None:
                thread.join()


def test_long_calls_hold_up_no_other(caller, node):
    token = people.token("read")
    with held_up(caller, node, "StateSearchMsg", token):
        assert ask(caller, token=token).status_code == 200


def test_slow_reads_of_one_tenant_hold_up_no_other(caller, node):
    alice, bob = people.token("read", of="alice"), people.token("read", of="bob")
    version = {**HEAD, "method": "Gateway.Version"}
    with held_up(caller, node, "StateMinerSectors", alice):
        RULES.clear()  # so that each call needs a query, and with it a thread
        assert ask(caller, token=bob).status_code == 200
        RULES.clear()
        assert ask(caller, version, token=bob).status_code == 200
        RULES.clear()
        assert ask(caller, version, token=alice).status_code == 200


def test_a_body_over_the_limit_is_refused_while_it_arrives(caller, settings):
    settings.RPC_REQUEST_MAX_BYTES = 100
    headers = people.bearer(people.token("read"))

    answer = caller.post("/rpc/v1", content=iter([b" " * 80, b" " * 80]), headers=headers)

    assert answer.status_code == 500
    assert "bigger than maximum" in answer.text


@pytest.mark.parametrize("path", ["/rpc/v1", "/api/v1/messages"])
def test_who_sends_too_much_reads_why(caller, settings, path):
    """A client that reads only once it has sent all: as Python's own, curl's and many more."""
    settings.RPC_REQUEST_MAX_BYTES = 1 << 20
    request = Request(str(caller.base_url.join(path)), b" " * (20 << 20), people.bearer(people.token("read")))

    with pytest.raises(HTTPError) as refusal:
        urlopen(request, timeout=60)

    assert refusal.value.code == (500 if path.startswith("/rpc/") else 413)
    assert b"at most 4194304 bytes" in (words := refusal.value.read()) or b"maximum 1048576 allowed" in words


def slow_body(size: int, go: threading.Event) -> Iterator[bytes]:
    """A large request of which the last byte is missing for a while."""
    yield json.dumps(HEAD).encode() + b" " * size
    go.wait(60)
    yield b" "


def test_large_bodies_under_way_have_a_room_and_small_ones_pass(caller, settings):
    settings.RPC_INFLIGHT_MAX_BYTES = 4 << 20  # two for each tenant
    alice, bob, go = people.token("read", of="alice"), people.token("read", of="bob"), threading.Event()
    answers: list[httpx.Response] = []

    def large(token: str, size: int) -> threading.Thread:
        send = lambda: answers.append(  # noqa: E731
            caller.post("/rpc/v1", content=slow_body(size, go), headers=people.bearer(token))
        )
        thread = threading.Thread(target=send)
        thread.start()
        return thread

    running = [large(alice, 1_500_000)]
    try:
        until = time.monotonic() + 60
        while limits.MEMORY.used["alice"] < 1_400_000 and time.monotonic() < until:
            time.sleep(0.01)
        refused = ask(caller, json.dumps(HEAD).encode() + b" " * 1_500_000, token=alice)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["error"]["code"] == -32000
        assert "4194304 bytes available for large requests are" in refused.json()["error"]["message"]
        assert ask(caller, token=alice).status_code == 200
        other = ask(caller, json.dumps(HEAD).encode() + b" " * 1_500_000, token=bob)
        assert other.status_code == 200
    finally:
        go.set()
        for thread in running:
            thread.join()
    assert [one.status_code for one in answers] == [200]
    assert not limits.MEMORY.used


def test_a_body_that_never_comes_is_not_waited_for(caller, monkeypatch):
    monkeypatch.setattr("apps.api.rpc.transport.post.ARRIVAL_S", 0.2)
    never = threading.Event()

    def body() -> Iterator[bytes]:
        yield b"{"
        never.wait(60)
        yield b"}"

    threading.Timer(1.0, never.set).start()
    answer = caller.post("/rpc/v1", content=body(), headers=people.bearer(people.token("read")))

    assert answer.status_code == 408
    assert "did not arrive within" in answer.json()["error"]["message"]


def test_a_nodes_answer_that_is_too_large_is_named(caller, node, settings):
    settings.NODE_RESPONSE_MAX_BYTES = 50
    link_to.cache_clear()

    answer = ask(caller, token=people.token("read")).json()

    link_to.cache_clear()
    assert "/rpc/v1: the response is larger than 50 bytes" in answer["error"]["message"]


def test_other_addresses_are_djangos(caller):
    assert caller.get("/healthz").status_code == 200
    assert caller.get("/rpc/v1/deeper").status_code == 404
