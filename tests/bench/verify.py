"""Speed of `POST /verify`: our web process on one core, asked from the other; beside it sophon-auth.

Both get the same bytes from the same generator over 16 kept connections: first as fast as they answer, then
at 80 % of their peak, where each request's time is taken from the moment when it was due.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import django

from tests.peers.programs import CACHE
from tests.servers import SITE, TEMPLATE, PostgresServer, RedisServer, tied_to_us

SECONDS: Final = 5.0
CONNECTIONS: Final = 16
SERVER_CORE, ASKER_CORE = 0, 1
PEER: Final = (
    Path(os.environ.get("SOPHON_AUTH", "")) if os.environ.get("SOPHON_AUTH") else CACHE / "go" / "sophon-auth"
)
TOKENS: Final = 20
"""Different tokens that are asked about in turn."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    peer: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What a run found."""

    rate: float
    p99_ms: float


class Asker(asyncio.Protocol):
    """One connection that asks, and waits for the whole answer."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.buffer = b""
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.run.idle.append(self)

    def ask(self, due: float) -> None:
        """Send the next question."""
        self.due = due
        self.transport.write(self.run.questions[self.run.sent % len(self.run.questions)])
        self.run.sent += 1

    def data_received(self, data: bytes) -> None:
        """Take an answer; it is whole once its length is there."""
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        assert head.startswith(b"HTTP/1.1 200"), self.buffer
        self.buffer = b""
        self.run.answered(self)


class Run:
    """One run: closed loop without a rate, open loop with one."""

    def __init__(self, questions: list[bytes], *, rate: float = 0.0, seconds: float = SECONDS) -> None:
        self.questions = questions
        self.rate = rate
        self.seconds = seconds
        self.sent = 0
        self.idle: list[Asker] = []
        self.times: list[float] = []
        self.begin = 0.0
        self.waiting = 0

    def answered(self, asker: Asker) -> None:
        """Note an answer, and ask again or rest."""
        now = time.perf_counter()
        self.times.append(now - asker.due)
        if self.rate:
            self.idle.append(asker)
            self.ask_due(now)
        elif now - self.begin < self.seconds:
            asker.ask(now)

    async def measure(self, port: int) -> Load:
        """Ask for so many seconds."""
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            await loop.create_connection(lambda: Asker(self), "127.0.0.1", port)
        self.begin = time.perf_counter()
        if self.rate:
            await self.pace()
        else:
            for asker in self.idle:
                asker.ask(time.perf_counter())
            await asyncio.sleep(self.seconds + 0.5)
        times = sorted(self.times)
        return Load(len(times) / self.seconds, times[len(times) * 99 // 100] * 1000)

    async def pace(self) -> None:
        """Ask when it is due, or as soon as a connection is free."""
        while (now := time.perf_counter()) - self.begin < self.seconds:
            self.ask_due(now)
            await asyncio.sleep(0.0005)
        await asyncio.sleep(0.5)

    def ask_due(self, now: float) -> None:
        """Ask what is due by now, as far as connections are free."""
        due = int((min(now - self.begin, self.seconds)) * self.rate)
        while self.sent < due and self.idle:
            self.idle.pop().ask(self.begin + self.sent / self.rate)


def question(caller: str, text: str) -> bytes:
    """Write a request as the Go client sends it."""
    body = json.dumps({"Token": text}).encode()
    head = (
        "POST /verify HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nAuthorization: Bearer {caller}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def load_run(port: int, questions: list[bytes], *, rate: float = 0.0, seconds: float = SECONDS) -> Load:
    """Run a load from the other core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {ASKER_CORE} & before or before)
    try:
        return asyncio.run(Run(questions, rate=rate, seconds=seconds).measure(port))
    finally:
        os.sched_setaffinity(0, before)


def on_one_core() -> Callable[[], None]:
    """Return a `preexec_fn` that ties a child to us and to the server's core."""
    tie = tied_to_us(signal.SIGKILL)

    def prepare() -> None:
        os.sched_setaffinity(0, {SERVER_CORE})
        tie()

    return prepare


@cache
def ours() -> tuple[int, list[bytes]]:
    """Start PostgreSQL, Redis and one web process of ours; gives port and questions."""
    postgres, redis = PostgresServer(), RedisServer()
    postgres.start()
    redis.start()
    atexit.register(postgres.stop)
    atexit.register(redis.stop)
    places = {"PGHOST": str(postgres.sockets), "PGDATABASE": TEMPLATE, "REDIS_URL": redis.url}
    os.environ.update(DJANGO_SETTINGS_MODULE="poolsite.settings.test", LOG_LEVEL="ERROR", **places)
    django.setup()
    people = importlib.import_module("tests.people")
    caller = people.token("read")
    asked = [people.token("write", of=f"tenant-{number}") for number in range(TOKENS)]
    link = socket.create_server(("127.0.0.1", 0))
    link.set_inheritable(True)
    child = subprocess.Popen(
        [sys.executable, "-m", "poolsite.web", str(link.fileno())],
        cwd=SITE,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.browser.site"},
        pass_fds=[link.fileno()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=on_one_core(),
    )
    atexit.register(child.kill)
    port = int(link.getsockname()[1])
    answer_wait(port, "/healthz")
    return port, [question(caller, text) for text in asked]


@cache
def peers() -> tuple[int, list[bytes]] | None:
    """Start sophon-auth with its own store and one processor; None where it is not built."""
    if not PEER.exists():
        return None
    folder = Path(tempfile.mkdtemp(prefix="pt-sophon-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    child = subprocess.Popen(
        [PEER, "--repo", folder, "--listen", f"127.0.0.1:{port}", "run"],
        env={**os.environ, "GOMAXPROCS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=on_one_core(),
    )
    atexit.register(child.kill)
    answer_wait(port, "/version")
    admin = (folder / "token").read_text().strip()
    asked = []
    for number in range(TOKENS):
        post(port, "/user/new", admin, {"Name": f"tenant-{number}", "State": 1}, method="PUT")
        made = post(port, "/genToken", admin, {"name": f"tenant-{number}", "perm": "write"})
        asked.append(json.loads(made)["token"])
    return port, [question(admin, text) for text in asked]


def post(port: int, path: str, token: str, body: dict[str, Any], *, method: str = "POST") -> bytes:
    """Call the peer's API."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), headers, method=method
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return bytes(answer.read())


def answer_wait(port: int, path: str, *, patience_s: float = 60.0) -> None:
    """Return when the server answers."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"no answer on port {port}")


@cache
def peak(whose: str) -> float:
    """Measure how many are answered in a second, after a warm-up."""
    port, questions = server(whose)
    load_run(port, questions, seconds=2.0)
    return load_run(port, questions).rate


def server(whose: str) -> tuple[int, list[bytes]]:
    """Return one of the two."""
    found = ours() if whose == "ours" else peers()
    assert found is not None
    return found


def fastest() -> Figure:
    """Compare the peaks."""
    other = peak("peers") if peers() is not None else None
    return Figure("verified tokens on one core", peak("ours"), "/s", peer=other, limit=other)


def under_load() -> Figure:
    """Compare the times at 80 % of each one's peak."""
    found = {}
    for whose in ("ours", "peers") if peers() is not None else ("ours",):
        port, questions = server(whose)
        found[whose] = load_run(port, questions, rate=0.8 * peak(whose)).p99_ms
    return Figure("p99 at 80 % of the peak", found["ours"], "ms", peer=found.get("peers"), limit=10)


def cases() -> list[Callable[[], Figure]]:
    """Return what is measured."""
    return [fastest, under_load]


def run(case: Callable[[], Figure]) -> Figure:
    """Measure one."""
    return case()
