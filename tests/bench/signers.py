"""Two thousand signers on one web process: memory and work while nobody asks, and their return after a kill.

Each signer proves a key of its own.  They dial again as go-jsonrpc does, all at the same moment.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import importlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import django
import psutil  # type: ignore[import-untyped]
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from tests.servers import SITE, TEMPLATE, PostgresServer, RedisServer, tied_to_us

SIGNERS: Final = 2000
IDLE_S: Final = 20.0
FIRST_PAUSE_S, PAUSE_GROWTH, LAST_PAUSE_S = 0.1, 1.5, 5.0
"""go-jsonrpc's back-off between two dials."""
PATIENCE_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    peer: float | None = None
    limit: float | None = None


class Crowd:
    """The signers, in a loop of their own in a thread."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {token}"}
        self.here: set[int] = set()
        self.change = threading.Condition()
        self.keys = importlib.import_module("poolsite.filecoin.keys")
        self.signature_to_json = importlib.import_module("poolsite.filecoin.signature").signature_to_json
        threading.Thread(target=lambda: asyncio.run(self.run()), daemon=True).start()

    async def run(self) -> None:
        """Keep all of them connected."""
        await asyncio.gather(*(self.live(number) for number in range(SIGNERS)))

    async def live(self, number: int) -> None:
        """Be one signer, for ever."""
        key = self.keys.key_generate(
            "secp256k1", random_bytes=lambda size: (number + 1).to_bytes(4, "big") * (size // 4)
        )
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                options: dict[str, Any] = {"compression": None, "ping_interval": None, "open_timeout": 60}
                async with connect(self.url, additional_headers=self.headers, **options) as ws:
                    await self.serve(ws, number, key)
            except (OSError, InvalidHandshake, WebSocketException, TimeoutError):
                pass
            self.note(number, is_here=False)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * PAUSE_GROWTH, LAST_PAUSE_S)

    async def serve(self, ws: Any, number: int, key: Any) -> None:
        """Answer what comes down the channel."""
        policy = {"SupportAccounts": [], "SignBytes": base64.b64encode(bytes(32)).decode()}
        await ws.send(call(1, "Gateway.ListenWalletEvent", policy))
        asked = 1
        async for text in ws:
            frame = json.loads(text)
            if frame.get("method") == "xrpc.ch.close":  # it listens again, as venus-wallet does
                await asyncio.sleep(1.0)
                asked += 1
                await ws.send(call(asked, "Gateway.ListenWalletEvent", policy))
            if frame.get("method") != "xrpc.ch.val":
                continue
            event = frame["params"][1]
            if event["Method"] == "InitConnect":
                self.note(number, is_here=True)
                continue
            asked += 1
            answer = {"Id": event["Id"], "Payload": self.answer(event, key), "Error": ""}
            await ws.send(call(asked, "Gateway.ResponseWalletEvent", answer))

    def answer(self, event: dict[str, Any], key: Any) -> str:
        """Name the key, or sign with it."""
        if event["Method"] == "WalletList":
            value: Any = [str(self.keys.key_address(key))]
        else:
            asked = json.loads(base64.b64decode(event["Payload"]))
            value = self.signature_to_json(self.keys.key_sign(key, base64.b64decode(asked["ToSign"])))
        return base64.b64encode(json.dumps(value).encode()).decode()

    def note(self, number: int, *, is_here: bool) -> None:
        """Note that one came or went."""
        with self.change:
            (self.here.add if is_here else self.here.discard)(number)
            self.change.notify_all()

    def wait(self, count: int) -> float:
        """Wait until so many are connected; gives the seconds."""
        start = time.monotonic()
        with self.change:
            done = self.change.wait_for(lambda: len(self.here) == count, PATIENCE_S)
        assert done, f"{len(self.here)} of {count} are connected"
        return time.monotonic() - start


def call(number: int, method: str, *params: Any) -> str:
    """Write a call."""
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})


class Site:
    """Servers, one web process on a socket that outlives it, and the crowd."""

    def __init__(self) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        postgres, redis = PostgresServer(), RedisServer()
        postgres.start()
        redis.start()
        atexit.register(postgres.stop)
        atexit.register(redis.stop)
        places = {"PGHOST": str(postgres.sockets), "PGDATABASE": TEMPLATE, "REDIS_URL": redis.url}
        os.environ.update(DJANGO_SETTINGS_MODULE="poolsite.settings.test", LOG_LEVEL="ERROR", **places)
        django.setup()
        token = importlib.import_module("tests.people").token("read", scopes=["signer"])
        self.link = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.link.set_inheritable(True)
        self.web = self.start()
        self.crowd = Crowd(f"ws://127.0.0.1:{self.link.getsockname()[1]}/rpc/v1", token)
        self.first_s = self.crowd.wait(SIGNERS)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the web process."""
        web = subprocess.Popen(
            [sys.executable, "-m", "poolsite.web", str(self.link.fileno())],
            cwd=SITE,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.browser.site"},
            pass_fds=[self.link.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=tied_to_us(signal.SIGKILL),
        )
        atexit.register(web.kill)
        return web

    def again(self) -> None:
        """Kill the web process and start another."""
        self.web.kill()
        self.web.wait()
        self.web = self.start()


@cache
def site() -> Site:
    """Start everything once."""
    return Site()


def memory() -> Figure:
    """Measure the web process with all of them connected."""
    return Figure(
        f"memory of a web process with {SIGNERS:,} signers",
        psutil.Process(site().web.pid).memory_info().rss / 2**20,
        "MiB",
        limit=1.5 * 1024,
    )


def idle() -> Figure:
    """Measure its work while nobody asks."""
    process = psutil.Process(site().web.pid)
    time.sleep(5)
    before = process.cpu_times()
    time.sleep(IDLE_S)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return Figure("its share of a core while nobody asks", used / IDLE_S * 100, "%", limit=5)


def storm() -> Figure:
    """Measure how long all take to be back after a kill."""
    place = site()
    start = time.monotonic()
    place.again()
    place.crowd.wait(0)
    place.crowd.wait(SIGNERS)
    return Figure("all back after a kill of the process", time.monotonic() - start, "s", limit=30)


def cases() -> list[Callable[[], Figure]]:
    """Return what is measured."""
    return [memory, idle, storm]


def run(case: Callable[[], Figure]) -> Figure:
    """Measure one."""
    return case()
