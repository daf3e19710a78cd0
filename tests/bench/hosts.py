"""What idle hosts cost: real HTTP to a real web process, at the product's own intervals.

Each simulated host has a token, a row and a store of its own, keeps its connections as the product's client
does, and sends what an idle sealing host sends: a heartbeat with its machine and its store, a question for
work, a claim now and then.  Counted is the CPU time of the web process with its threads, of PostgreSQL with
all its sessions, and of Redis; what the simulation takes is not.  The same hosts through Django's views, as
all were before, are measured in the same run.  Run: python -m tests.bench hosts
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import django

from tests.acceptance.pool import descendants
from tests.bench.pool import Figure
from tests.bench.verify import answer_wait
from tests.bulk_rows import row_copies_insert
from tests.servers import SITE, TEMPLATE, PostgresServer, RedisServer, tied_to_us

HOSTS: Final = int(os.environ.get("BENCH_HOSTS") or 2_000)
FEW: Final = 40
"""Hosts in a run whose requests go through Django's views: 2,000 would need more than this machine."""
WARM_S, RUN_S = 12.0, 40.0
HEARD: Final = 0.9
"""Part of the due heartbeats without which a run counts for nothing: the machine had no time for it."""
LIMIT_MS: Final = 0.5
"""CPU time of an idle host in a second: 2,000 take half of two cores."""
UNUSUAL: Final = "Accept: application/json;q=0.9\r\n"
"""A header that the product's hosts do not send: such a request goes to Django's view."""
BESIDE: Final = "host of this version, while a job is free that lies on another host"
TICK_MS: Final = 1000 / os.sysconf("SC_CLK_TCK")


def cpu_ms(pid: int) -> float:
    """Return the CPU time of a process with all its threads, and of those that it waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(map(int, fields[11:15])) * TICK_MS


def tree_cpu_ms(pid: int) -> float:
    """Return the same of a process and all below it."""
    whole = 0.0
    for one in (pid, *descendants(pid)):
        with contextlib.suppress(OSError):
            whole += cpu_ms(one)
    return whole


class Site:
    """PostgreSQL, Redis, one web process, and the rows of the hosts."""

    def __init__(self) -> None:
        self.postgres = PostgresServer(("autovacuum=off", "shared_buffers=128MB"))
        self.redis = RedisServer()
        self.postgres.start()
        self.redis.start()
        atexit.register(self.postgres.stop)
        atexit.register(self.redis.stop)
        places = {"PGHOST": str(self.postgres.sockets), "PGDATABASE": TEMPLATE, "REDIS_URL": self.redis.url}
        os.environ.update(DJANGO_SETTINGS_MODULE="poolsite.settings.test", **places)
        django.setup()
        self.hosts = hosts_make()
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        listener.set_inheritable(True)
        self.port = int(listener.getsockname()[1])
        self.web = subprocess.Popen(
            [sys.executable, "-m", "poolsite.web", str(listener.fileno())],
            cwd=SITE,
            # A line for each request, as the product writes it, is a part of the cost.
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.browser.site", "LOG_LEVEL": "INFO"},
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=tied_to_us(signal.SIGKILL),
        )
        atexit.register(self.web.kill)
        answer_wait(self.port, "/healthz")

    def job_free(self) -> None:
        """Have a sealing job free that lies on a host which does not ask: nobody can take it."""
        make, models = (
            importlib.import_module("tests.factories"),
            importlib.import_module("apps.sectors.models"),
        )
        sector = make.sector(models.Job.miner.field.related_model.objects.get())
        models.Job.objects.filter(sector=sector).update(
            sticky_worker=models.Worker.objects.get(name="sealer-0")
        )
        importlib.import_module("django.db").connection.close()

    def cpu(self) -> Cpu:
        """Return what all have taken until now."""
        assert self.postgres.process is not None
        assert self.redis.process is not None
        postgres, redis = self.postgres.process.pid, self.redis.process.pid
        return Cpu(tree_cpu_ms(self.web.pid), tree_cpu_ms(postgres), tree_cpu_ms(redis))


@dataclass(frozen=True, slots=True)
class Cpu:
    """Milliseconds of CPU time."""

    web: float
    postgres: float
    redis: float

    def since(self, before: Cpu, *, parts: float) -> Cpu:
        """Return what was taken since, divided."""
        pairs = ((self.web, before.web), (self.postgres, before.postgres), (self.redis, before.redis))
        return Cpu(*((now - then) / parts for now, then in pairs))

    def less(self, bare: Cpu, *, parts: float) -> Cpu:
        """Return what is left of each without a part of what is taken in any case."""
        pairs = ((self.web, bare.web), (self.postgres, bare.postgres), (self.redis, bare.redis))
        return Cpu(*(whole - least / parts for whole, least in pairs))


@dataclass(slots=True)
class SimulatedHost:
    """One host as the console knows it."""

    uuid: str
    token: str
    store: str
    idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)
    """Connections that nobody uses, and since when."""


def hosts_make() -> list[SimulatedHost]:
    """Make the rows: a real host with token and store, then copies of it."""
    make, people = importlib.import_module("tests.factories"), importlib.import_module("tests.people")
    digest = importlib.import_module("apps.users.selectors.tokens").token_digest
    make.head(1000)
    make.network()
    make.miner(1000)
    first = make.worker("sealer-0", kinds=["seal", "unseal"], boot_id="boot")
    make.store(first, "store-0")
    people.token("write", of="alice", scopes=["sealer"])
    detect = importlib.import_module("apps.messages.services.recovery.detect")
    database = importlib.import_module("django.db")
    with database.transaction.atomic():  # else each claim would look for a restore
        detect.restore_check(now=first.seen_at)
    connection = database.connection
    one, rows = "id = (select min(id) from {table})", f"generate_series(1, {HOSTS}) n"
    uuid = {"uuid": "gen_random_uuid()"}
    digests = "(array[" + ",".join(f"'{digest(f'token-{n}')}'" for n in range(1, HOSTS + 1)) + "])[n]"
    base = "(select min(id) from {table}) + n"
    with connection.cursor() as cursor:
        for table, changed in (
            ("sectors_worker", {**uuid, "uid": "'host-' || n", "name": "'sealer-' || n"}),
            ("sectors_store", {**uuid, "uid": "'store-' || n", "name": "'store-' || n"}),
            (
                "sectors_storeattachment",
                {
                    "store_id": base.format(table="sectors_store"),
                    "worker_id": base.format(table="sectors_worker"),
                },
            ),
        ):
            row_copies_insert(cursor, table, of=one.format(table=table), changed=changed, rows=rows)
        key = "uuid = (select uuid from users_token where name = 'alice-write')"
        changed = {**uuid, "name": "'host-' || n", "digest": digests}
        row_copies_insert(cursor, "users_token", of=key, changed=changed, rows=rows)
        cursor.execute("vacuum analyze")
        cursor.execute("select uuid::text from sectors_worker where name <> 'sealer-0' order by id")
        uuids = [row[0] for row in cursor.fetchall()]
    connection.close()
    return [SimulatedHost(uuid, f"token-{n}", f"store-{n}") for n, uuid in enumerate(uuids, 1)]


@cache
def site() -> Site:
    """Start it once."""
    return Site()


class Farm:
    """Hosts that do nothing but wait for work, for a while."""

    def __init__(self, port: int, hosts: list[SimulatedHost], *, header: str, is_new: bool) -> None:
        self.port, self.hosts, self.header, self.is_new = port, hosts, header, is_new
        self.counts = {"heartbeat": 0, "work": 0, "claim": 0, "connection": 0}
        bell = importlib.import_module("workers.console.work_bell")
        client = importlib.import_module("workers.console.client")
        policy = importlib.import_module("apps.sectors.rules.policy").SealingPolicy()
        self.heartbeat_s = float(policy.heartbeat_s)
        self.claim_s = bell.CLAIM_ANYWAY_S if is_new else 10.0
        self.kept_s = client.KEPT_S if is_new else 5.0  # httpx's default
        self.work_query = f"?wait={policy.work_wait_s}" if is_new else ""
        self.late = 0.0
        """Longest that a heartbeat's answer took."""

    async def run(self, run_s: float, *, measure: Callable[[], Cpu], warm_s: float) -> Cpu:
        """Let them be idle; gives the CPU time of a host in a second, once all have begun."""
        tasks = [asyncio.create_task(part(host)) for host in self.hosts for part in (self.beat, self.wait)]
        await asyncio.sleep(warm_s)
        self.counts, self.late = dict.fromkeys(self.counts, 0), 0.0
        before, began = measure(), time.monotonic()
        await asyncio.sleep(run_s)
        after, took_s = measure(), time.monotonic() - began
        failed = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for host in self.hosts:
            for _, _, writer in host.idle:
                writer.close()
            host.idle.clear()
        for task in failed:
            task.result()
        return after.since(before, parts=took_s * len(self.hosts))

    async def beat(self, host: SimulatedHost) -> None:
        """Send heartbeats."""
        hardware = {"cpus": 64, "ram_bytes": 1 << 40, "disk_total_bytes": 1 << 43, "cpu_model": "a model"}
        store = {"uid": host.store, "name": host.store, "path": "/mnt/store-0", "condition": "READY"}
        sizes = {"total_bytes": 1 << 40, "free_bytes": 1 << 39, "sectors": 3, "weight": 1}
        await asyncio.sleep(random.uniform(0, self.heartbeat_s))  # spreads them, no secret
        due, number = time.monotonic(), 0
        while True:
            number += 1
            free = (1 << 42) - (number << 12)  # a host's log grows
            hardware["disk_free_bytes"] = free
            body = {"v": 1, "boot_id": "boot", "hardware": hardware, "attached": [store | sizes]}
            began = time.monotonic()
            answer = await self.ask(host, "POST", f"workers/{host.uuid}/heartbeat", body)
            self.late = max(self.late, time.monotonic() - began)
            assert answer["v"] == 1, answer
            self.counts["heartbeat"] += 1
            due += self.heartbeat_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def wait(self, host: SimulatedHost) -> None:
        """Ask for work, and claim now and then although there is none, as `WorkBell` and `Agent` do."""
        await asyncio.sleep(random.uniform(0, self.heartbeat_s))  # as above
        stages = {"ADD_PIECE": 1, "PC1": 14, "PC2": 1, "C1": 2, "C2": 1, "PERSIST": 1, "FINALIZE": 1}
        kinds = ["seal", "unseal", "snap_up", "rebuild"]
        body = {"v": 1, "worker_id": host.uuid, "boot_id": "boot", "kinds": kinds, "stages": stages}
        claimed = -self.claim_s * random.random()
        claimed += time.monotonic()
        while True:
            if time.monotonic() - claimed >= self.claim_s:
                claimed = time.monotonic()
                answer = await self.ask(host, "POST", "jobs:claim", {**body, "new_sectors": 14, "max": 8})
                assert not answer.get("jobs"), answer
                self.counts["claim"] += 1
            answer = await self.ask(host, "GET", f"workers/{host.uuid}/work{self.work_query}", None)
            assert not answer["is_free"], answer
            self.counts["work"] += 1

    async def ask(self, host: SimulatedHost, method: str, path: str, body: Any) -> Any:
        """Send one request over a connection that is still open, or a new one."""
        data = b"" if body is None else json.dumps(body).encode()
        sized = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n" if data else ""
        usual = "" if self.header else "Accept: */*\r\n"
        head = (
            f"{method} /api/v1/{path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n{usual}{self.header}"
            "Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nUser-Agent: python-httpx/0.28.1\r\n"
            f"{sized}Authorization: Bearer {host.token}\r\n\r\n"
        )
        reader, writer = await self.connection(host)
        writer.write(head.encode() + data)
        status = await reader.readline()
        length = 0
        while (line := await reader.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        answer = await reader.readexactly(length)
        assert status.startswith(b"HTTP/1.1 200"), (path, status, answer[:300])
        host.idle.append((time.monotonic(), reader, writer))
        return json.loads(answer)

    async def connection(self, host: SimulatedHost) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return one that is free and that neither side has given up."""
        while host.idle:
            since, reader, writer = host.idle.pop()
            if time.monotonic() - since < self.kept_s and not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        self.counts["connection"] += 1
        return await asyncio.open_connection("127.0.0.1", self.port)


def measured(hosts: int, *, header: str, is_new: bool) -> tuple[Cpu, Farm]:
    """Return the CPU time of an idle host in a second, and the run."""
    here = site()
    farm = Farm(here.port, here.hosts[:hosts], header=header, is_new=is_new)
    cpu = asyncio.run(farm.run(RUN_S, measure=here.cpu, warm_s=WARM_S))
    due = hosts * RUN_S / farm.heartbeat_s
    assert farm.counts["heartbeat"] >= HEARD * due, (
        f"{farm.counts['heartbeat']} of {due:.0f} heartbeats heard"
    )
    return cpu, farm


def without_hosts() -> Cpu:
    """Return the CPU time of all in a second while nobody asks."""
    before = site().cpu()
    time.sleep(RUN_S)
    return site().cpu().since(before, parts=RUN_S)


def cases() -> Iterator[Figure]:
    """Measure all in one run."""
    runs = (
        ("host of the last version, by Django's views", FEW, UNUSUAL, False, None),
        ("host of the last version", HOSTS // 4, "", False, None),
        ("host of this version", HOSTS, "", True, LIMIT_MS),
        (BESIDE, HOSTS, "", True, LIMIT_MS),
    )
    bare = without_hosts()
    yield Figure("web process and PostgreSQL without hosts: CPU in a second", bare.web + bare.postgres, "ms")
    for name, hosts, header, is_new, limit in runs:
        if name == BESIDE:
            site().job_free()
        taken, farm = measured(hosts, header=header, is_new=is_new)
        cpu = taken.less(bare, parts=hosts)
        what = f"{hosts:,} idle, each a {name}"
        whole = cpu.web + cpu.postgres
        yield Figure(f"{what}: CPU in a second", whole, "ms", limit=limit, digits=3)
        yield Figure("  of it the web process", cpu.web, "ms", digits=3)
        yield Figure("  of it PostgreSQL", cpu.postgres, "ms", digits=3)
        yield Figure("  besides, Redis", cpu.redis, "ms", digits=3)
        for kind, count in farm.counts.items():
            yield Figure(f"  {kind}s of a host in a minute", 60 * count / RUN_S / hosts, "", digits=2)
        yield Figure("  longest that a heartbeat waited for its answer", farm.late, "s")


def run(case: Figure) -> Figure:
    """Return a figure; it was measured when it was listed."""
    return case
