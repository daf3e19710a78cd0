"""Console machines of one pool, each run from a checkout of its own, and what no upgrade of them stops."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg2
from psycopg2.extensions import connection

from apps.core.leader import BLOCKS_LOCK, FOLLOWER_LOCK
from tests.acceptance.chain import Chain
from tests.acceptance.disturbances import Disturbance
from tests.acceptance.machines import machine_kill, machine_start
from tests.acceptance.pool import RunningPool
from tests.acceptance.soak import BEHIND, Soak
from tests.integration.pools import NO_CERTIFICATES, SITE, wait_until

LOCKS: Final = {FOLLOWER_LOCK: "follower", BLOCKS_LOCK: "blocks"}
HOLDERS: Final = """
select objid::bigint, application_name from pg_locks join pg_stat_activity using (pid)
where locktype = 'advisory' and granted and classid = 0 and objsubid = 1 and objid = any(%s::oid[])
"""
SHARED_FILES: Final = ("keys", "tokens", "operator.json")
"""What two machines of the versions before `make console` had to have alike."""
PUSH_EVERY_S: Final = 0.5


def checkout(commit: str, folder: Path) -> Path:
    """Write the tree of a commit into a folder.  Raises CalledProcessError where it is not known here."""
    folder.mkdir()
    made = subprocess.run(["git", "archive", commit], cwd=SITE, check=True, capture_output=True)
    subprocess.run(["tar", "x", "-C", str(folder)], input=made.stdout, check=True)
    return folder


class ConsoleMachine(RunningPool):
    """A machine with a console and nothing else; database, Redis and chain are elsewhere."""

    def __init__(self, name: str, tree: Path, **env: str) -> None:
        super().__init__(web_processes=1, has_kernels=True, has_tables=False, POOLSITE_MACHINE=name, **env)
        self.name, self.tree = name, tree

    def begin(self) -> None:
        """Run `make up`'s program of its checkout."""
        with self.said.open("a") as out:
            self.supervisor = subprocess.Popen(
                [self.python, "-m", "poolsite.embedded"],
                cwd=self.tree,
                env=self.env,
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
            )

    @contextlib.contextmanager
    def database(self) -> Iterator[connection]:
        """A connection to the pool's database."""
        with contextlib.closing(psycopg2.connect(self.env["DATABASE_URL"])) as link:
            yield link

    def share(self, other: ConsoleMachine) -> None:
        """Copy keys, tokens and operator.json to another machine, as older versions need them."""
        for name in SHARED_FILES:
            copy = shutil.copytree if (self.var / name).is_dir() else shutil.copy2
            copy(self.var / name, other.var / name)

    def migrate(self, tree: Path) -> str:
        """Run `make migrate` of another checkout; gives what it said."""
        done = subprocess.run(
            [self.python, "-m", "poolsite.embedded.migration"],
            cwd=tree,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


class Program:
    """A program of a host, which reaches the consoles over one address."""

    def __init__(self, name: str, tree: Path, words: list[str], *, env: Mapping[str, str], log: Path) -> None:
        self.name, self.tree, self.words, self.env, self.log = name, tree, words, dict(env), log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it from its checkout."""
        self.process = machine_start(
            [sys.executable, "-m", *self.words], log=self.log, env=self.env, cwd=self.tree
        )

    def stop(self) -> None:
        """End it as its unit does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(60)
            machine_kill(self.process)
            self.process = None

    def update(self, tree: Path) -> Disturbance:
        """Run it from another checkout; gives when it was away."""
        begin = time.time()
        self.stop()
        self.tree = tree
        self.start()
        return Disturbance(self.name, "upgraded", begin, time.time())


class Repeated(threading.Thread):
    """Does something every so often until it is told to end; what it met with is raised then."""

    def __init__(self, act: Callable[[], None], every_s: float) -> None:
        super().__init__(daemon=True)
        self.act, self.every_s = act, every_s
        self.ended = threading.Event()
        self.fault: BaseException | None = None

    def run(self) -> None:
        """Act every so often until told to end, or until an act fails."""
        while self.fault is None and not self.ended.wait(self.every_s):
            try:
                self.act()
            except BaseException as fault:  # noqa: BLE001  # raised where the thread is joined
                self.fault = fault

    def __enter__(self) -> Repeated:
        self.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.ended.set()
        self.join(120)
        if kind is None and self.fault is not None:
            raise self.fault


class Leaders:
    """Who held the leaders' locks, and for how long nobody did."""

    def __init__(self, url: str) -> None:
        self.link = psycopg2.connect(url)
        self.link.autocommit = True
        self.order: dict[str, list[str]] = defaultdict(list)
        """The holders of each lock, one after the other."""
        self.free_s: dict[str, float] = defaultdict(float)
        """The longest time between two holders."""
        self.last: dict[str, float] = {}

    def look(self) -> None:
        """Note who holds the locks now."""
        with self.link.cursor() as cursor:
            cursor.execute(HOLDERS, [list(LOCKS)])
            now = time.monotonic()
            for key, holder in cursor.fetchall():
                lock = LOCKS[key]
                self.free_s[lock] = max(self.free_s[lock], now - self.last.get(lock, now))
                self.last[lock] = now
                if self.order[lock][-1:] != [holder]:
                    self.order[lock].append(holder)

    def __str__(self) -> str:
        return ", ".join(
            f"{lock} led by {len(order)} one after the other, {self.free_s[lock]:.1f} s between two at most"
            for lock, order in sorted(self.order.items())
        )


class Pushes:
    """Payments of a program: each is pushed under its own id until the pool answers."""

    def __init__(self, url: str, token: str, message: dict[str, Any]) -> None:
        self.url, self.token, self.message = url, token, message
        self.names: list[str] = []
        self.repeated: Counter[str] = Counter()
        self.slowest_s = 0.0

    def push(self) -> None:
        """Push one more."""
        name, began = f"during-upgrade-{len(self.names)}", time.monotonic()
        self.names.append(name)
        while (fault := self._refusal(name)) is not None:
            self.repeated[fault] += 1
            assert time.monotonic() - began < 120, fault
            time.sleep(0.2)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def _refusal(self, name: str) -> str | None:
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "Message.PushMessageWithId",
            "params": [name, self.message, None],
        }
        try:
            answer = httpx.post(
                f"{self.url}/rpc/v0",
                json=body,
                headers={"Authorization": f"Bearer {self.token}"},
                timeout=30,
                verify=NO_CERTIFICATES,
            )
            entry = answer.json()
        except httpx.TransportError as fault:
            return type(fault).__name__
        except json.JSONDecodeError:
            return f"HTTP {answer.status_code}"
        return None if entry.get("result") == name else str(entry.get("error"))

    def require_paid_once(self, chain: Chain, machine: RunningPool) -> None:
        """Require that each message is on the chain once, under the CID that the pool tells."""
        sender, to = self.message["From"], chain.identity(self.message["To"])
        cids = []
        for name in self.names:
            wait_until(
                lambda name=name: machine.read(f"/api/v1/messages/{name}")["state"] == "LANDED",
                within_s=60,
                what=machine.diagnosis,
            )
            cids.append(machine.read(f"/api/v1/messages/{name}")["cid"])
        paid = [
            row.cid
            for row in chain.executed()
            if (row.sender, row.to, row.method) == (chain.identity(sender), to, 0)
        ]
        assert sorted(paid) == sorted(cids)

    def __str__(self) -> str:
        again = ", ".join(f"{count} times after {why}" for why, count in self.repeated.items()) or "never"
        return f"{len(self.names)} messages, the slowest answer {self.slowest_s:.1f} s, repeated {again}"


class Undisturbed:
    """Stands for what disturbs a soak: here nothing is excused but the restart of the one signer."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.done: list[Disturbance] = []

    def height(self) -> int:
        """The chain's."""
        return self.chain.height()


def judged(soak: Soak) -> Repeated:
    """Judge a soak while it goes on: a node has the states of its newest epochs at hand."""
    return Repeated(lambda: soak.judge(soak.pool.chain.height() - BEHIND), 4.0)


def program_env(machine: RunningPool) -> dict[str, str]:
    """Return the environment variables of a host's programs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "POOLSITE"))}
    return kept | {"NUMBA_CACHE_DIR": str(machine.var / "numba")}
