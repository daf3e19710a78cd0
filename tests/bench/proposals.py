"""CPU of all processes for one proposal of a client: market 2.0 over HTTP, market 1.2 over libp2p.

Site and libp2p door run in this process, a client and a node in another, whose time is not counted.
PostgreSQL's and Redis' is.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib
import json
import multiprocessing
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import django

from tests.servers import TEMPLATE, PostgresServer, RedisServer

PROPOSALS: Final = 100
WARM: Final = 20
RATE: Final = 20
"""Proposals a second that are sent."""
LIMIT_MS: Final = 15.0
ANSWER_LIMIT_MS: Final = 50.0
TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
ANSWERS: Final = {
    "StateDealProviderCollateralBounds": {"Min": "0", "Max": "0"},
    "StateVerifiedClientStatus": str(1 << 50),
    "StateMarketBalance": {"Escrow": str(10**24), "Locked": "0"},
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    peer: float | None = None
    limit: float | None = None


class Node(BaseHTTPRequestHandler):
    """Answers what a proposal asks of the chain."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        calls = asked if isinstance(asked, list) else [asked]
        found = [
            {"jsonrpc": "2.0", "id": one["id"], "result": ANSWERS[one["method"].partition(".")[2]]}
            for one in calls
        ]
        body = json.dumps(found if isinstance(asked, list) else found[0]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def client_run(link: Any) -> None:
    """Serve the node's answers, then send what is asked for, one proposal after the other at `RATE`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Node)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    link.send(server.server_port)
    while True:
        kind, port, requests = link.recv()
        link.send(asyncio.run(_libp2p(port, requests)) if kind == "libp2p" else _http(port, requests))


def _http(port: int, requests: list[tuple[str, dict[str, str], bytes]]) -> list[float]:
    connection, took = HTTPConnection("127.0.0.1", port), []
    for path, headers, body in requests:
        begin = time.perf_counter()
        connection.request("POST", path, body=body, headers=headers)
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == 200, said
        took.append(time.perf_counter() - begin)
        time.sleep(max(1 / RATE - took[-1], 0))
    return took


async def _libp2p(port: int, requests: list[bytes]) -> list[float]:
    client_class = importlib.import_module("tests.libp2p_client").Client
    cbor = importlib.import_module("poolsite.filecoin.cbor")
    took = []
    client = await client_class.connect(port)
    for request in requests:
        begin = time.perf_counter()
        answer = cbor.decode(await client.ask("/fil/storage/mk/1.2.1", request))
        assert answer["Accepted"], answer
        took.append(time.perf_counter() - begin)
        await asyncio.sleep(max(1 / RATE - took[-1], 0))
    return took


def cpu_of(group: int) -> float:
    """Return the CPU seconds of a process and of all that descend from it, ended ones included."""
    parents, spent = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
        spent[int(folder.name)] = sum(int(one) for one in fields[11:15]) * TICK_S

    def is_of(pid: int) -> bool:
        while pid and pid != group:
            pid = parents.get(pid, 0)
        return pid == group

    return sum(seconds for pid, seconds in spent.items() if is_of(pid))


class Desk:
    """Site, door and servers, with one miner whose market is open."""

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
        connections = importlib.import_module("django.db").connections
        connections.settings["default"]["CONN_MAX_AGE"] = 600  # as in the process of a door
        settings = importlib.import_module("django.conf").settings
        settings.REDIS_URL, settings.ALLOWED_HOSTS = redis.url, ["*"]
        pieces = tempfile.TemporaryDirectory(prefix="pt-bench-")
        atexit.register(pieces.cleanup)
        settings.PIECES_DIR, settings.PIECE_URLS_PRIVATE = pieces.name, True
        self.servers = [server.process.pid for server in (postgres, redis) if server.process is not None]
        context = multiprocessing.get_context("spawn")
        self.link, theirs = context.Pipe()
        context.Process(target=client_run, args=[theirs], daemon=True).start()
        factories = importlib.import_module("tests.factories")
        node = importlib.import_module("apps.chain.models").Node
        node.objects.create(url=f"http://127.0.0.1:{self.link.recv()}/rpc/v1", name="n", condition="HEALTHY")
        factories.head(1000)
        self.miner = factories.miner(2001, sector_size=32 << 30)
        people = importlib.import_module("tests.people")
        values = {"is_open": True, "waiting_deals": 100_000, "client_deals": 100_000}
        importlib.import_module("apps.market.services.markets").market_set(
            self.miner, values=values, by=people.principal()
        )
        epochs = importlib.import_module("apps.sectors.selectors.first_epochs")
        jobs = importlib.import_module("poolsite.wire.jobs").JobKind
        stages = epochs.STAGES[jobs.SEAL]
        name = f"work-seconds-{self.miner.tenant_id}-{self.miner.sector_size}-{jobs.SEAL}-{stages[0]}"
        name = f"{name}-{epochs.SLOWEST}"
        epochs.cache.set(name, 10_000.0, 3_600)  # as where sectors were sealed before
        self.web = importlib.import_module("tests.hub").WebProcess()
        self.web.start()
        self.libp2p_port = self.door_open()
        importlib.import_module("poolsite.web").memory_settle()  # as the web process does

    def door_open(self) -> int:
        """Open the miner's libp2p door in a thread; returns its port."""
        identity = importlib.import_module("poolsite.libp2p.identity").Identity
        listener_class = importlib.import_module("poolsite.libp2p.listener").Listener
        streams_class = importlib.import_module("apps.api.mk12.streams").Streams
        door = importlib.import_module("apps.api.mk12.answers").Door(self.miner.address)
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        listener = listener_class(
            identity.of_seed(bytes(32)), streams_class(door).protocols, agent="poolsite"
        )
        port: int = asyncio.run_coroutine_threadsafe(listener.open("127.0.0.1", 0), loop).result()
        return port

    def spent(self) -> float:
        """Return the CPU seconds of this process, PostgreSQL and Redis."""
        return time.process_time() + sum(cpu_of(pid) for pid in self.servers)

    def measure(self, kind: str, port: int, requests: list[Any]) -> tuple[float, float, float]:
        """Return milliseconds of CPU of a proposal, those of the servers, and the 99th percentile of time."""
        self.send(kind, port, requests[:WARM])
        began, own = self.spent(), time.process_time()
        took = sorted(self.send(kind, port, requests[WARM:]))
        spent, own = self.spent() - began, time.process_time() - own
        return spent / len(took) * 1000, (spent - own) / len(took) * 1000, took[len(took) * 99 // 100] * 1000

    def send(self, kind: str, port: int, requests: list[Any]) -> list[float]:
        """Have proposals sent; returns the seconds that each took."""
        self.link.send((kind, port, requests))
        took: list[float] = self.link.recv()
        return took


@cache
def desk() -> Desk:
    """Start everything once."""
    return Desk()


def over_http() -> tuple[float, float, float]:
    """Measure proposals of market 2.0."""
    bench, mk20 = desk(), importlib.import_module("tests.mk20")
    who, path = mk20.Mk20Client(), f"{mk20.PATH}/deal"
    document = mk20.document(who, bench.miner, b"data")
    header = who.header("POST", path) | {"Content-Type": "application/json"}
    bodies = (json.dumps({**document, "identifier": mk20.ulid()}).encode() for _ in range(PROPOSALS + WARM))
    return bench.measure("http", bench.web.port, [(path, header, body) for body in bodies])


def over_libp2p() -> tuple[float, float, float]:
    """Measure proposals of market 1.2."""
    bench, mk12 = desk(), importlib.import_module("tests.mk12")
    deals = importlib.import_module("tests.unit.devnet.deals")
    people = importlib.import_module("tests.unit.devnet.people")
    market = importlib.import_module("poolsite.filecoin.actors.market")
    address_parse = importlib.import_module("poolsite.filecoin.address").address_parse
    sized = importlib.import_module("tests.mk20").sized(b"data")

    def one(number: int) -> bytes:
        terms = market.DealProposal(
            piece_cid=sized.cid,
            piece_size=sized.padded_size,
            verified_deal=True,
            client=people.STRANGER.address,
            provider=address_parse(bench.miner.address),
            label=str(number),
            start_epoch=90_000,
            end_epoch=90_000 + importlib.import_module("poolsite.filecoin.deals").MIN_DURATION,
            storage_price_per_epoch=1,
            provider_collateral=5,
            client_collateral=0,
        )
        signed = deals.signed_by(people.STRANGER, terms)
        request: bytes = mk12.params(signed, key=uuid.uuid4(), url="https://a.example/x.car", size=4)
        return request

    return bench.measure("libp2p", bench.libp2p_port, [one(number) for number in range(PROPOSALS + WARM)])


def cases() -> Iterator[Figure]:
    """Measure, one door after the other."""
    for name, over in (("http", over_http), ("libp2p", over_libp2p)):
        cpu_ms, servers_ms, p99_ms = over()
        of_servers = f"(servers {servers_ms:.1f} ms)"
        yield Figure(f"CPU of a proposal over {name} {of_servers}", cpu_ms, "ms", limit=LIMIT_MS)
        yield Figure(
            f"answer to a proposal over {name}, 99 of 100 within", p99_ms, "ms", limit=ANSWER_LIMIT_MS
        )


def run(case: Figure) -> Figure:
    """Return a figure; it was measured when it was listed."""
    return case
