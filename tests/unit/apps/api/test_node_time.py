"""A tenant's budget of node time: what counts, what is refused, and that proving goes on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from apps.api.rpc.services.node import node_time
from apps.api.rpc.services.node.methods import COSTLY, LEVELS, OPERATOR_READS
from apps.api.rpc.services.node.node_time import NODE_TIME
from apps.api.rpc.threads import COSTLY_THREADS
from tests import people
from tests.fake_node import FakeNode
from tests.unit.apps.api.nodes import call, node_served

pytestmark = pytest.mark.django_db


@pytest.fixture
def node() -> Iterator[FakeNode]:
    with node_served() as node:
        yield node


class Clock:
    """The monotonic clock, which a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(node_time, "time", clock)
    NODE_TIME.clear()
    yield clock
    NODE_TIME.clear()


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """A node that needs 30 s for each costly call."""

    def slow(_: Any, method: str, __: Any) -> str:
        clock.now += 30
        return method

    monkeypatch.setattr(node_time, "node_call", slow)


def error_of(answer: Any) -> str:
    return str(answer.json().get("error", {}).get("message", ""))


def test_a_tenant_that_used_up_its_time_is_refused_until_it_is_back(
    client: Any, node: FakeNode, clock: Clock, busy: None
) -> None:
    token = people.token("read")
    assert call(client, "Filecoin.StateCompute", token=token).json()["result"] == "StateCompute"

    for method in ("StateCompute", "StateReplay", "StateMarketDeals"):
        refused = error_of(call(client, f"Filecoin.{method}", token=token))
        assert "20 s a minute of node time for methods like this is used up: try again in 31 s" in refused

    assert "result" in call(client, "Filecoin.ChainHead", token=token).json(), "what proving needs goes on"
    bob = call(client, "Filecoin.StateReplay", token=people.token("read", of="bob"))
    assert "result" in bob.json(), "another tenant has its own"
    clock.now += 31
    assert "result" in call(client, "Filecoin.StateReplay", token=token).json()


def test_the_operator_and_a_pool_without_a_budget_are_not_limited(
    client: Any, node: FakeNode, busy: None, settings: Any
) -> None:
    for _ in range(3):
        assert not error_of(call(client, "Filecoin.StateCompute", token=people.operator_token()))
    settings.NODE_TIME_S = 0
    for _ in range(3):
        assert not error_of(call(client, "Filecoin.StateCompute"))


def test_the_whole_chain_is_the_operators(client: Any, node: FakeNode) -> None:
    assert "take a snapshot from another node" in error_of(call(client, "Filecoin.ChainExport", 1, True, []))


def test_every_costly_method_is_a_read() -> None:
    assert {LEVELS[name] for name in COSTLY | OPERATOR_READS} == {"read"}


async def test_a_tenants_costly_calls_run_one_at_a_time() -> None:
    going = most = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal going, most
        with lock:
            going += 1
            most = max(most, going)
        time.sleep(0.01)
        with lock:
            going -= 1

    await asyncio.gather(*(COSTLY_THREADS.run("alice", work) for _ in range(4)))

    assert most == 1
