"""What the console adds to a node's call that it passes on: the median over POST, one call at a time.

The node is the tests' tiny one, the console the whole site under uvicorn with PostgreSQL and Redis, both in
this process.  The addition is the median through the console less the median straight at the node.
"""

from __future__ import annotations

import asyncio
import importlib
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from tests.bench.messager import server_start
from tests.servers import RedisServer

WARM, ASKED = 50, 500
"""Calls before and in a measurement."""

LIMIT_MS: Final = 1.5


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement."""

    name: str
    measure: Callable[[Site], float]
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    peer: float | None
    limit: float | None


@dataclass(frozen=True, slots=True)
class Site:
    """Where the node and the console are."""

    node_url: str
    console_url: str
    token: str
    key: str
    """Of the head, an object that never changes."""


def cases() -> list[Case]:
    """List the measurements."""
    return [
        Case("passing on ChainHead, added to the node's own time, median", head_added, LIMIT_MS),
        Case("passing on over a socket, added to the node's own time, median", socket_added, LIMIT_MS),
        Case("an immutable tipset out of the memory, median", object_kept),
    ]


def run(case: Case) -> Figure:
    """Measure one case."""
    with site() as place:
        return Figure(case.name, case.measure(place), "ms", None, case.limit)


@contextmanager
def site() -> Iterator[Site]:
    """Run the console with one node."""
    server_start()
    call_command("flush", verbosity=0, interactive=False)
    cache = RedisServer()
    cache.start()
    settings.REDIS_URL = cache.url
    # Only now: these need Django's settings.
    hub, people, tiny = (importlib.import_module(f"tests.{name}") for name in ("hub", "people", "fake_node"))
    models, states = (importlib.import_module(f"apps.chain.{name}") for name in ("models", "states"))
    node, process = tiny.FakeNode(), hub.WebProcess()
    node.mine()
    with tiny.served(node) as url:
        models.Node.objects.create(url=url, condition=states.NodeCondition.HEALTHY)
        importlib.import_module("apps.api.rpc.services.node.proxy").NODES.clear()
        process.start()
        try:
            yield Site(url, process.url, people.token("read"), node.head.cid)
        finally:
            process.stop()
            connection.close()
            cache.stop()


def median_ms(ask: Callable[[], Any]) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(WARM + ASKED):
        began = time.perf_counter()
        ask()
        times.append(time.perf_counter() - began)
    return statistics.median(times[WARM:]) * 1000


def posted_ms(url: str, token: str, method: str, params: list[Any]) -> float:
    """Return the median time of a POST."""
    body = {"jsonrpc": "2.0", "id": 1, "method": f"Filecoin.{method}", "params": params}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(headers=headers, trust_env=False) as client:

        def ask() -> None:
            assert "result" in client.post(url, json=body).json()

        return median_ms(ask)


def head_added(place: Site) -> float:
    """Ask for the head both ways."""
    straight = posted_ms(place.node_url, "", "ChainHead", [])
    return posted_ms(place.console_url, place.token, "ChainHead", []) - straight


def object_kept(place: Site) -> float:
    """Ask for a tipset that is kept."""
    return posted_ms(place.console_url, place.token, "ChainGetTipSet", [[{"/": place.key}]])


def socket_added(place: Site) -> float:
    """Ask for the head over a socket, as a long-lived program does."""
    straight = posted_ms(place.node_url, "", "ChainHead", [])
    return asyncio.run(_socket_ms(place)) - straight


async def _socket_ms(place: Site) -> float:
    client = importlib.import_module("websockets.asyncio.client")
    url = f"ws{place.console_url.removeprefix('http')}"
    headers = {"Authorization": f"Bearer {place.token}"}
    times = []
    async with client.connect(url, additional_headers=headers, proxy=None) as socket:
        for number in range(WARM + ASKED):
            began = time.perf_counter()
            frame = f'{{"jsonrpc":"2.0","id":{number},"method":"Filecoin.ChainHead","params":[]}}'
            await socket.send(frame)
            assert '"result"' in await socket.recv()
            times.append(time.perf_counter() - began)
    return statistics.median(times[WARM:]) * 1000
