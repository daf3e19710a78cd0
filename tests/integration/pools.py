"""A pool of `make up` in a folder and on ports of its own, for tests that start, kill and stop it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

import httpx
import psycopg2

from poolsite.embedded.paths import PoolPaths
from poolsite.embedded.postgres import cluster_create, cluster_of, link_opens
from tests import template
from tests.servers import folder_new, port_free, tied_to_us

SITE = Path(__file__).resolve().parent.parent.parent
USER = "poolsite"
"""Of a pool's own PostgreSQL, and the name of its database."""


NO_CERTIFICATES: Final = False
"""For `verify`: httpx reads those of all authorities for each client, also where no TLS is spoken."""
LONGEST_PAUSE_S: Final = 0.25
"""Between two looks at what is waited for."""
LEAST_TICKS: Final = 100
"""Of 10 ms: fewer say nothing of how much other guests take."""
PATIENCE_S: Final = 60.0
"""The least that is waited for anything: a machine may stand still, and a patience not used up is free."""


def crowding() -> float:
    """Return how many times slower a process runs because others want the same cores; at least 1.

    Others are this machine's own processes, and the other guests of a host that it shares.
    """
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1), _stolen())


class _Ticks:
    """The last count of what other guests took, and the slowness that came of it."""

    total, stolen, factor = 0, 0, 1.0


def _stolen() -> float:
    """Return how many times slower all processes ran since the last look, as other guests ran instead."""
    ticks = [
        int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    ]
    total, stolen = sum(ticks) - ticks[3], ticks[7]  # all but idle; stolen
    if total - _Ticks.total >= LEAST_TICKS:
        share = (stolen - _Ticks.stolen) / (total - _Ticks.total)
        _Ticks.total, _Ticks.stolen, _Ticks.factor = total, stolen, 1 / max(1 - share, 0.05)
    return _Ticks.factor


def wait_until(condition: Any, *, within_s: float, what: str | Callable[[], str]) -> float:
    """Return the seconds until `condition()` is true.  Raises AssertionError naming `what`.

    The limits are for a machine that has a core to spare; with more work than cores they grow in proportion.
    What must be quick is measured by what is returned, or by what else happens meanwhile.
    """
    begin = time.monotonic()
    while time.monotonic() - begin < max(within_s, PATIENCE_S) * crowding():
        before_s = time.thread_time()
        if condition():
            return time.monotonic() - begin
        # a question to a pool is work of several processes: they have most of the time for what is awaited;
        # a look at a file is none, and a crowded machine makes neither rarer
        time.sleep(min(max(0.02, 30 * (time.thread_time() - before_s)), LONGEST_PAUSE_S))
    raise AssertionError(f"not within {max(within_s, PATIENCE_S)} s: {what() if callable(what) else what}")


class Pool:
    """One pool; `with Pool() as pool` starts it and leaves nothing behind."""

    python: str | Path = sys.executable
    """What its programs are run by."""

    def __init__(self, *, web_processes: int = 2, has_tables: bool = False, **env: str) -> None:
        """`has_tables`: a first start that is not what the test is about finds its database migrated."""
        self.base = folder_new()
        self.base.chmod(0o755)  # PostgreSQL's account passes through
        self.var = self.base / "var"
        self.port = port_free()
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
            "POOLSITE_VAR": str(self.var),
            "PORT": str(self.port),
            "DEVNET_LISTEN": f"127.0.0.1:{port_free()}",
            "POOLSITE_NETWORK": "test",
            "POOLSITE_SNARK": "vanilla",  # no pool of a test makes parameters beside it
            "DISK_RESERVE_BYTES": "0",
            "POOLSITE_WEB_PROCESSES": str(web_processes),
            "DJANGO_SETTINGS_MODULE": "",
            **env,
        }
        for name in ("DATABASE_URL", "REDIS_URL", "CHAIN_URLS", "DJANGO_SETTINGS_MODULE", "COMPAT_PORTS"):
            if not self.env.get(name):
                self.env.pop(name, None)
        self.supervisor: subprocess.Popen[str] | None = None
        self.said = self.base / "terminal"
        if has_tables:
            tables_make(self.var)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        wait_until(self.is_gone, within_s=20, what=f"everything of {self.var} gone")
        shutil.rmtree(self.base, ignore_errors=True)
        shutil.rmtree(PoolPaths(self.var).sockets, ignore_errors=True)
        shutil.rmtree(PoolPaths(self.var).metrics, ignore_errors=True)

    def start(self, *, within_s: float = 60) -> float:
        """Run `make up`'s program; gives the seconds until a page answers."""
        self.begin()
        return wait_until(self.answers, within_s=within_s, what=lambda: f"an answering page\n{self.words()}")

    def begin(self) -> None:
        """Run `make up`'s program and wait for nothing."""
        with self.said.open("w") as out:
            self.supervisor = subprocess.Popen(
                [self.python, "-m", "poolsite.embedded"],
                cwd=SITE,
                env=self.env,
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def refused(self) -> str:
        """Run it where it must not start; gives what it said."""
        done = subprocess.run(
            [self.python, "-m", "poolsite.embedded"],
            cwd=SITE,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 1, done.stdout + done.stderr
        assert done.stderr == ""
        return done.stdout

    def words(self) -> str:
        """What stands on the terminal."""
        return self.said.read_text() if self.said.exists() else ""

    def get(self, path: str, *, timeout_s: float = PATIENCE_S) -> httpx.Response:
        """Ask the pool's page."""
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=timeout_s, verify=NO_CERTIFICATES)

    def is_running(self) -> bool:
        """Return whether its supervisor lives."""
        return self.supervisor is not None and self.supervisor.poll() is None

    def answers(self) -> bool:
        """Return whether a page answers; fails at once if the pool ended."""
        assert self.supervisor is not None
        assert self.supervisor.poll() is None, self.words()
        try:
            return self.get("/healthz", timeout_s=10).status_code == 200
        except httpx.TransportError:
            return False

    def rows(self) -> dict[str, dict[str, Any]]:
        """The supervisor's table by name."""
        entry = json.loads((self.var / "processes.json").read_text())
        return {row["name"]: row for row in entry["processes"]}

    def all_up(self) -> bool:
        """Return whether every process and step is where it should be."""
        return all(row["up"] for row in self.rows().values())

    def kill(self, name: str) -> None:
        """End one child as kill -9 does."""
        os.kill(self.rows()[name]["pid"], signal.SIGKILL)

    def is_gone(self) -> bool:
        """Return whether no process of this pool lives: each inherits the descriptor of one lock."""
        path = self.var / "children.lock"
        if not path.exists():
            return True
        with path.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def stop(self, *, within_s: float = 30) -> float:
        """Press Ctrl-C; gives the seconds until it ended."""
        begin = time.monotonic()
        if self.supervisor is not None and self.supervisor.poll() is None:
            self.supervisor.send_signal(signal.SIGINT)
            self.supervisor.wait(max(within_s, PATIENCE_S) * crowding())
        return time.monotonic() - begin


def tables_make(var: Path) -> None:
    """Make a pool's cluster, with all tables if they are kept: migrating takes 15 s of a core."""
    var.mkdir(mode=0o711)
    paths = PoolPaths(var)
    paths.sockets.mkdir(mode=0o711)
    cluster = cluster_of(paths)
    with Path(os.devnull).open() as lease:
        cluster_create(cluster, lease=lease.fileno())
    user, group = cluster.account or (None, None)
    server = subprocess.Popen(
        cluster.command(),
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        user=user,
        group=group,
        extra_groups=None if group is None else [],
        preexec_fn=tied_to_us(signal.SIGINT),
    )
    try:
        wait_until(lambda: link_opens(cluster.sockets), within_s=30, what="PostgreSQL answers")
        with contextlib.closing(
            psycopg2.connect(host=str(cluster.sockets), user=USER, dbname="postgres")
        ) as link:
            link.autocommit = True
            link.cursor().execute(f"create database {USER}")
        place = {"PGHOST": str(cluster.sockets), "PGUSER": USER, "PGDATABASE": USER}
        template.restore(cluster.programs, place)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
