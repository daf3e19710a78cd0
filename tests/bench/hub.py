"""Speed of the hub: signatures asked by plain threads, answered by signers on the sockets of a web process.

Callers and web process share one interpreter, the ten signers another.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib
import logging
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import django
import structlog

from tests.servers import TEMPLATE, PostgresServer, RedisServer

SIGNERS: Final = 10
RATE: Final = 500
"""Requests a second that are asked for."""
SECONDS: Final = 4.0
CALLERS: Final = 40


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    peer: float | None = None
    limit: float | None = None


def key_of(number: int) -> Any:
    """Return a signer's key."""
    keys = importlib.import_module("poolsite.filecoin.keys")
    return keys.key_generate("secp256k1", random_bytes=lambda size: bytes([number + 1]) * size)


def signers_run(url: str, token: str, ready: Any) -> None:
    """Run the signers, in a process of their own."""
    logging.disable(logging.INFO)
    signing = importlib.import_module("workers.signer.signing")
    sealing = importlib.import_module("workers.signer.encryption")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    folder, signers = Path(tempfile.mkdtemp(prefix="pt-hub-")), []
    for number in range(SIGNERS):
        place = folder / str(number)
        place.mkdir()
        (place / "policy.toml").write_text('version = 1\n[[rule]]\nname = "all"\n')
        signer = signing.Signer(place, cost=sealing.Cost(1, 8, 1))
        signer.store.password_set("bench")
        signer.store.add(key_of(number))
        signers.append(signer)
    asyncio.run(listen(signers, url, token, ready))


async def listen(signers: list[Any], url: str, token: str, ready: Any) -> None:
    """Keep the signers connected."""
    hub = importlib.import_module("workers.signer.gateway")
    links = [hub.GatewayLink(signer, url=url, token=lambda: token) for signer in signers]
    running = [asyncio.create_task(link.run()) for link in links]
    await asyncio.gather(*(link.is_connected.wait() for link in links))
    ready.set()
    await asyncio.gather(*running)


class Hub:
    """Servers, a web process and ten connected signers."""

    def __init__(self) -> None:
        postgres, redis = PostgresServer(), RedisServer()
        postgres.start()
        redis.start()
        atexit.register(postgres.stop)
        atexit.register(redis.stop)
        os.environ.update(
            DJANGO_SETTINGS_MODULE="poolsite.settings.test",
            PGHOST=str(postgres.sockets),
            PGDATABASE=TEMPLATE,
            LOG_LEVEL="ERROR",
        )
        django.setup()
        importlib.import_module("django.conf").settings.REDIS_URL = redis.url
        self.people = importlib.import_module("tests.people")
        self.web = importlib.import_module("tests.hub").WebProcess()
        self.web.start()
        importlib.import_module("poolsite.web").memory_settle()  # as the web process does
        self.messages = self.signers_connect()

    def signers_connect(self) -> list[Any]:
        """Connect the signers, each with a key of its own; gives a message per key."""
        token = self.people.token("read", scopes=["signer"])
        context = multiprocessing.get_context("spawn")
        ready = context.Event()
        context.Process(target=signers_run, args=[self.web.ws, token, ready], daemon=True).start()
        assert ready.wait(60)
        keys = importlib.import_module("poolsite.filecoin.keys")
        return [self.request(str(keys.key_address(key_of(number)))) for number in range(SIGNERS)]

    def request(self, sender: str) -> Any:
        """Return something to sign for an address."""
        address = importlib.import_module("poolsite.filecoin.address").address_parse
        wire = importlib.import_module("poolsite.filecoin.message")
        fields = {"value": 1, "gas_limit": 10, "gas_fee_cap": 1, "gas_premium": 1, "nonce": 0}
        one = wire.Message(to=address("f01234"), from_=address(sender), **fields)
        service = importlib.import_module("apps.gateway.services.signatures")
        return service.WalletSignRequest(
            sender, ["alice"], one.cid.data, "message", wire.message_to_cbor(one)
        )

    def sign(self, requests: list[Any]) -> float:
        """Have something signed; gives the seconds that it took."""
        start = time.perf_counter()
        answers = importlib.import_module("apps.gateway.services.signatures").wallet_sign_all(requests)
        assert not any(isinstance(answer, Exception) for answer in answers), answers
        return time.perf_counter() - start


@cache
def hub() -> Hub:
    """Start everything once."""
    return Hub()


def paced() -> list[float]:
    """Ask at a steady rate; gives each request's time from the moment when it was due."""
    bench, rng = hub(), random.Random(1)
    begin = time.perf_counter() + 0.1

    def one(number: int) -> float:
        due = begin + number / RATE
        time.sleep(max(due - time.perf_counter(), 0))
        bench.sign([rng.choice(bench.messages)])
        return time.perf_counter() - due

    with ThreadPoolExecutor(CALLERS) as pool:
        return sorted(pool.map(one, range(int(RATE * SECONDS))))


def one_at_a_time() -> Figure:
    """Time one request after the other."""
    bench = hub()
    times = sorted(bench.sign([bench.messages[number % SIGNERS]]) for number in range(300))
    return Figure("one signature through the hub, median", times[150] * 1000, "ms")


def batch() -> Figure:
    """Time a hundred at once."""
    bench = hub()
    requests = [bench.messages[number % SIGNERS] for number in range(100)]
    best = min(bench.sign(requests) for _ in range(5))
    return Figure("signatures in batches of 100", 100 / best, "/s")


def under_load() -> Figure:
    """Time requests at a steady rate."""
    times = paced()
    return Figure(
        f"p99 at {RATE} signatures/s, {SIGNERS} signers", times[len(times) * 99 // 100] * 1000, "ms", limit=50
    )


def cases() -> list[Callable[[], Figure]]:
    """Return what is measured."""
    return [one_at_a_time, batch, under_load]


def run(case: Callable[[], Figure]) -> Figure:
    """Measure one."""
    return case()
