"""What programs cost that are only there: the bound of the idle pool's figures on this machine.

The servers with the pool's settings and as many sessions, Celery's workers without a task, and Python that
sleeps, with the console's apps and without.  `tests.bench upkeep` measures it in the same run.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

import psycopg2

from poolsite.embedded.postgres import SETTINGS
from poolsite.settings.broker import broker_from_redis_url
from tests.bench.pool import Figure, bare_python, pss_mib
from tests.servers import SITE, PostgresServer, RedisServer

SESSIONS: Final = 16
"""Of the idle pool, about."""
BARE, WITH_APPS, CELERY = 7, 6, 3
"""Supervisor, signer, sealer, prover, devnet and two of kernels; both web processes, both of tasks, follower
and blocks; both of tasks and the sealer's."""
REST_S: Final = 5.0
"""So long all of them have been at rest when they are measured."""
BEGUN_S: Final = 300.0
IDLE_S: Final = float(os.environ.get("BENCH_IDLE_S") or 60)
REST_TICKS: Final = 5
"""Of CPU time, that a process at rest may take in `REST_S`."""
TICK_S: Final = 1.0 / os.sysconf("SC_CLK_TCK")

SLEEP: Final = "import time; time.sleep(1e6)"
APPS: Final = (
    "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'poolsite.settings.embedded'; "
    f"import django; django.setup(); {SLEEP}"
)
WORKER: Final = (
    "import sys; from celery import Celery; Celery('bare', broker=sys.argv[1]).worker_main("
    "['-q', 'worker', '-P', 'threads', '--without-gossip', '--without-mingle', '--without-heartbeat'])"
)


def cases() -> Iterator[Figure]:
    """Measure them side by side; nobody asks any of them for anything."""
    with floor() as groups:
        rest_wait(groups)
        before, began = {name: sum(map(cpu_s, pids)) for name, pids in groups.items()}, time.monotonic()
        time.sleep(IDLE_S)
        took_s = time.monotonic() - began
        whole_share, whole_mib = 0.0, 0.0
        for name, pids in groups.items():
            share = 100 * (sum(map(cpu_s, pids)) - before[name]) / took_s
            memory = sum(map(pss_mib, pids))
            # those of Celery have the console's apps in the pool: their memory stands in the line of these
            whole_share, whole_mib = whole_share + share, whole_mib + memory * ("Celery" not in name)
            yield Figure(f"floor, share of a core: {name}", share, "%", digits=2)
            yield Figure(f"floor, memory: {name}", memory, "MiB")
        yield Figure("floor, share of a core: all", whole_share, "%", digits=2)
        yield Figure("floor, memory: all but Celery, which is in those with apps", whole_mib, "MiB")


def run(case: Figure) -> Figure:
    """Return a figure; it was measured when it was listed."""
    return case


def rest_wait(groups: dict[str, list[int]]) -> None:
    """Wait until the last of them has begun and is at rest."""
    pids, until = [pid for of_group in groups.values() for pid in of_group], time.monotonic() + BEGUN_S
    time.sleep(REST_S)
    while time.monotonic() < until:
        before = {pid: cpu_s(pid) for pid in pids}
        time.sleep(REST_S)
        if all(cpu_s(pid) - was <= REST_TICKS * TICK_S for pid, was in before.items()):
            return
    raise RuntimeError("these processes do not come to rest")


@contextmanager
def floor() -> Iterator[dict[str, list[int]]]:
    """Run what the pool's programs rest on, and give their process ids by name."""
    with ExitStack() as stack:
        postgres, redis = PostgresServer(SETTINGS), RedisServer()
        for server in (postgres, redis):
            stack.callback(server.stop)
            server.start()
        for _ in range(SESSIONS):
            link = psycopg2.connect(host=str(postgres.sockets), user="postgres", dbname="postgres")
            stack.enter_context(closing(link))
        env = {**os.environ, "PYTHONPATH": str(SITE)}
        env.pop("DJANGO_SETTINGS_MODULE", None)  # Celery would load the console

        python = bare_python()

        def started(count: int, *words: str) -> list[int]:
            return [stack.enter_context(child([python, "-c", *words], env)) for _ in range(count)]

        broker = broker_from_redis_url(redis.url)[0]
        assert postgres.process is not None
        assert redis.process is not None
        server_pid, redis_pid = postgres.process.pid, redis.process.pid
        yield {
            f"PostgreSQL with {SESSIONS} sessions": [server_pid, *children(server_pid)],
            "Valkey with Celery's workers": [redis_pid],
            f"{BARE} of Python that sleep": started(BARE, SLEEP),
            f"{WITH_APPS} of Python with the console's apps that sleep": started(WITH_APPS, APPS),
            f"{CELERY} of Celery without a task": started(CELERY, WORKER, broker),
        }


@contextmanager
def child(command: list[str | Path], env: dict[str, str]) -> Iterator[int]:
    """Run a program, and end it."""
    with subprocess.Popen(
        command, env=env, cwd=SITE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def children(pid: int) -> list[int]:
    """Return the process ids of a process's children."""
    found = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(word) for words in found for word in words]


def cpu_s(pid: int) -> float:
    """Return the seconds of CPU time of a process; one that is gone ends the measurement."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert words[0] != "Z", f"process {pid} has ended"
    return TICK_S * sum(map(int, words[11:13]))
