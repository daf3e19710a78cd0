"""Windows of many miners open at once: what it takes until each has a job, and until each proof is sent.

Real task processes (Celery, threads) work on a PostgreSQL and a Redis of their own; the node takes 20 ms a
call, or 5, or 100, and works off the calls of one request one after the other.  Provers and the chain are
played by this process: jobs end all at once, and no message is selected.  CPU time is that of all task
processes, PostgreSQL's sessions and Redis; it holds on a busy machine too, times do not.
Run: BENCH_MINERS=200 python -m tests.bench proving_sends
"""

from __future__ import annotations

import atexit
import importlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import django
from blspy import G1Element, G2Element

from tests.bench.pool import Figure
from tests.servers import SITE, TEMPLATE, PostgresServer, RedisServer, tied_to_us

MINERS: Final = int(os.environ.get("BENCH_MINERS") or 200)
TENANT_MINERS: Final = 25
"""Miners of each tenant."""
PROVERS: Final = 2
"""Of each tenant."""
OPEN: Final = 10_000
"""Opening epoch of the windows."""
ROWS_BEFORE: Final = 38.0
"""CPU of a window, in times that of a row that Django reads and writes, when a head's sends were serial."""
ROWS: Final = 300
"""Read and written for that."""
PATIENCE_S: Final = 300.0
PROOF: Final = bytes(G1Element.generator()) + bytes(G2Element.generator()) + bytes(G1Element.generator())
"""Of the right form: three points of the groups."""
TICK_S: Final = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """What the windows of all miners took."""

    seconds: float
    """From the head's task until all have their jobs, and from the next one's until all are sent."""
    task_ms: float
    """CPU of task processes, for a window."""
    postgres_ms: float
    redis_ms: float
    calls: float
    """To the node, for a window."""
    requests: float


class Pool:
    """The rows, the servers, the node."""

    def __init__(self) -> None:
        self.postgres, self.redis = PostgresServer(), RedisServer()
        for server in (self.postgres, self.redis):
            server.start()
            atexit.register(server.stop)
        self.folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.env = {
            "DATABASE_URL": f"postgresql:///{TEMPLATE}?host={self.postgres.sockets}&user=postgres",
            "REDIS_URL": self.redis.url,
            "POOLSITE_VAR": self.folder.name,
            "FIL_PROOFS_PARAMETER_CACHE": self.folder.name,
            "DJANGO_SETTINGS_MODULE": "poolsite.settings.embedded",
            "LOG_LEVEL": "WARNING",
        }
        os.environ.update(self.env)
        django.setup()
        self.celery = importlib.import_module("poolsite.celery").app
        self.connection = importlib.import_module("django.db").connection
        argv = [sys.executable, "-m", "tests.bench.slow_node", "20"]
        node = subprocess.Popen(
            argv, cwd=SITE, stdout=subprocess.PIPE, text=True, preexec_fn=tied_to_us(signal.SIGKILL)
        )
        assert node.stdout is not None
        self.node = f"http://127.0.0.1:{int(node.stdout.readline())}/rpc/v1"
        self.link = importlib.import_module("apps.chain.node.link").link_to(self.node, "")
        self.fill()

    def fill(self) -> None:
        """Make miners with one deadline each, wallets, and a prover of each tenant."""
        make = importlib.import_module("tests.factories")
        chain = importlib.import_module("apps.chain.models")
        make.network("mainnet")
        chain.Node.objects.create(name="slow", url=self.node, position=0, condition="HEALTHY")
        self.make = make
        hardware = {"cpus": 2, "proofs": ["groth16"]}
        for number in range(MINERS):
            of = f"tenant-{number // TENANT_MINERS}"
            sender = make.wallet(of=of).address
            miner = make.miner(
                20_000 + number,
                of=of,
                worker=sender,
                owner=sender,
                proving_period_start=OPEN,
                works_from=OPEN,
                seal_proof=8,
                post_proof=8,
                sector_size=32 << 30,
                partition_sectors=2349,
            )
            make.deadline(
                miner,
                live=2,
                open_epoch=OPEN,
                period_start=OPEN,
                close_epoch=OPEN + 60,
                challenge_epoch=OPEN - 20,
                cutoff_epoch=OPEN - 70,
            )
            for prover in range(PROVERS if number % TENANT_MINERS == 0 else 0):
                make.worker(f"prover-{number}-{prover}", of=of, kinds=["window_post"], hardware=hardware)
        with self.connection.cursor() as cursor:
            cursor.execute("vacuum analyze")

    def clear(self) -> None:
        """Forget the proofs of the last run."""
        with self.connection.cursor() as cursor:
            cursor.execute("truncate proving_windowpost, sectors_job, messages_message cascade")
            cursor.execute("update sectors_worker set seen_at = now()")

    def count(self, text: str) -> int:
        """Return what a statement counts."""
        with self.connection.cursor() as cursor:
            cursor.execute(text)
            return int(cursor.fetchone()[0])

    def head(self, height: int) -> None:
        """Set the newest head and send what the follower sends."""
        row = self.make.head(height)
        self.celery.send_task("proving.submit", kwargs={"height": height, "key": row.key}, queue="proving")


@cache
def pool() -> Pool:
    """Start everything once."""
    return Pool()


def cpu_s(pids: Sequence[int]) -> float:
    """Return the CPU time of processes and of their children, ended ones included."""
    total, waiting = 0, list(pids)
    for pid in waiting:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
        waiting += map(int, children)
    return total * TICK_S


class Tasks:
    """Task processes of the proving queue, as a pool runs them."""

    def __init__(self, processes: int, *, cpus: Sequence[int] = ()) -> None:
        of = pool()
        self.children = []
        for number in range(processes):
            argv = [sys.executable, "-m", "celery", "-q", "-A", "poolsite", "worker", "--concurrency", "8"]
            argv += ["-Q", "proving", "--without-gossip", "--without-mingle", "--without-heartbeat"]
            argv += ["-n", f"bench-{number}@%h", "-l", "WARNING"]
            env = (
                os.environ | of.env | {"POOLSITE_PROCESS": f"tasks-{number}", "DATABASE_CONN_MAX_AGE": "600"}
            )
            env |= {"CELERY_SKIP_CHECKS": "1", "C_FORCE_ROOT": "1", "MALLOC_ARENA_MAX": "2"}
            child = subprocess.Popen(argv, cwd=SITE, env=env, preexec_fn=tied_to_us(signal.SIGKILL))
            if cpus:
                os.sched_setaffinity(child.pid, {cpus[number % len(cpus)]})
            self.children.append(child)

    def pids(self) -> list[int]:
        """Return their numbers."""
        return [child.pid for child in self.children]

    def stop(self) -> None:
        """End them."""
        for child in self.children:
            child.terminate()
        for child in self.children:
            child.wait(60)


def wait_count(text: str, many: int) -> None:
    """Return when a statement counts so many."""
    until = time.monotonic() + PATIENCE_S
    while (found := pool().count(text)) < many:
        if time.monotonic() > until:
            raise RuntimeError(f"{found} of {many}: {text}")
        time.sleep(0.1)


JOBS: Final = "select count(*) from proving_proofattempt where state = 'RUNNING'"
SENT: Final = "select count(*) from proving_windowpost where state = 'SENT'"
MESSAGES: Final = "select count(*) from messages_message where kind = 'window_post'"


def windows_move(tasks: Tasks, *, call_ms: float) -> Cost:
    """Bring the windows of all miners from the challenge to the message."""
    of = pool()
    of.clear()
    servers = [of.postgres.process, of.redis.process]
    postgres, redis = (server.pid for server in servers if server is not None)
    own = of.connection.connection.get_backend_pid()
    groups = [tasks.pids(), [postgres], [redis], [own]]
    of.link.call("Bench.Reset", [call_ms / 1000, []])
    before, seconds = [cpu_s(pids) for pids in groups], 0.0

    def timed(height: int, done: str) -> None:
        nonlocal seconds
        began = time.monotonic()
        of.head(height)
        wait_count(done, MINERS)
        seconds += time.monotonic() - began

    timed(OPEN - 10, JOBS)
    with of.connection.cursor() as cursor:
        cursor.execute(
            'update sectors_job set state = \'DONE\', proof = %s, result = \'{"worker": "p", "faults": []}\'',
            [PROOF],
        )
    timed(OPEN + 10, SENT)
    time.sleep(1.0)  # what a task does after its last row counts too
    assert of.count(MESSAGES) == MINERS
    took = [(cpu_s(pids) - old) * 1000 / MINERS for pids, old in zip(groups, before, strict=True)]
    task_ms, postgres_ms, redis_ms, own_ms = took
    counts = of.link.call("Bench.Counts", [])
    return Cost(
        seconds,
        task_ms,
        postgres_ms - own_ms,  # without this process's session, which counts what is done
        redis_ms,
        counts["calls"] / MINERS,
        counts["requests"] / MINERS,
    )


def row_ms() -> float:
    """Return the CPU time, PostgreSQL's too, of one row that Django reads and writes: what costs here."""
    of, wallets = pool(), importlib.import_module("apps.wallets.models").Wallet.objects
    keys = list(wallets.values_list("pk", flat=True))
    backend = of.connection.connection.get_backend_pid()
    found = []
    for _ in range(3):
        began = time.process_time() + cpu_s([backend])
        for at in range(ROWS):
            row = wallets.get(pk=keys[at % len(keys)])
            row.label = f"read {at} times"
            row.save()
        found.append((time.process_time() + cpu_s([backend]) - began) * 1000 / ROWS)
    return min(found)


def measured(processes: int, *call_ms: float, cpus: Sequence[int] = ()) -> list[Cost]:
    """Measure with so many task processes, which have moved windows before."""
    tasks = Tasks(processes, cpus=cpus)
    try:
        windows_move(tasks, call_ms=0)
        return [windows_move(tasks, call_ms=one) for one in call_ms]
    finally:
        tasks.stop()


def cases() -> Iterator[Figure]:
    """Yield what is measured, one after the other."""
    yield from one_process()
    yield from two_processes()


def one_process() -> list[Figure]:
    """Measure one task process with nodes of 20, 5 and 100 ms a call."""
    usual, quick, slow = measured(1, 20, 5, 100)
    cpu_ms = usual.task_ms + usual.postgres_ms + usual.redis_ms
    of = f"a window of {MINERS}"
    return [
        Figure(f"{of}, CPU of task processes", usual.task_ms, "ms"),
        Figure(f"{of}, CPU of PostgreSQL", usual.postgres_ms, "ms"),
        Figure(f"{of}, CPU of Redis", usual.redis_ms, "ms"),
        Figure(f"{of}, CPU of all", cpu_ms, "ms"),
        Figure(
            f"{of}, CPU of all, in rows that Django reads and writes", cpu_ms / row_ms(), "", ROWS_BEFORE / 4
        ),
        Figure(f"{of}, calls to the node", usual.calls, ""),
        Figure(f"{of}, requests to the node", usual.requests, ""),
        Figure(f"{MINERS} windows, node of 5 ms a call", quick.seconds, "s"),
        Figure(f"{MINERS} windows, node of 20 ms a call", usual.seconds, "s"),
        Figure(f"{MINERS} windows, node of 100 ms a call", slow.seconds, "s", 2 * quick.seconds),
    ]


def two_processes() -> list[Figure]:
    """Measure one and two task processes, each on a CPU of its own."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:  # a CPU for each
        return []
    [alone] = measured(1, 20, cpus=cpus)
    [both] = measured(2, 20, cpus=cpus)
    name = f"{MINERS} windows, two task processes for one's time"
    return [Figure(name, both.seconds / alone.seconds, "", 0.6, digits=2)]


def run(case: Figure) -> Figure:
    """Return a figure; it was measured when it was listed."""
    return case
