"""The whole pool as `make up` runs it, driven from outside: REST, JSON-RPC, the chain, and signals."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg2
from psycopg2.extensions import connection

from poolsite.embedded.paths import PoolPaths
from tests import kept_kernels
from tests.acceptance.chain import Chain, NodeRefused
from tests.integration.pools import NO_CERTIFICATES, Pool, wait_until
from workers.storage.page_drives import FILE_NAME

PERIOD_S: Final = 60
"""Proving period of the network `test`: 60 epochs of one second."""

MINER_S: Final = 240
"""The pool's miner exists within this time of the start; measured 12 to 35 s, on a very busy machine 90 s."""

SEALED_S: Final = 180
"""A lone 2 KiB sector is sealed and committed within this; measured 18 to 30 s, on such a machine 67 s."""

GRANDCHILDREN: Final = {
    "sealer-celery": ("sealer", "workers.celery"),
    "sealer-broker": ("sealer", "valkey-server"),
    "sealer-kernels": ("sealer", "workers.processors"),
    "prover-kernels": ("prover", "workers.processors"),
}
"""Processes that the supervisor does not start itself: below which child, and a word of their command."""


class RunningPool(Pool):
    """A pool with everything in it."""

    def __init__(
        self, *, web_processes: int = 2, has_kernels: bool = True, has_tables: bool = False, **env: str
    ) -> None:
        super().__init__(web_processes=web_processes, has_tables=has_tables, **env)
        self.listen = self.env["DEVNET_LISTEN"]
        self.chain = Chain(self.listen)
        if has_kernels:
            # compiled by the first test that needs them, as in a checkout that was used before
            kernels = kept_kernels.folder()
            kernels.mkdir(parents=True, exist_ok=True)
            self.var.mkdir(mode=0o711, exist_ok=True)
            (self.var / "numba").symlink_to(kernels)

    def __exit__(self, *_: object) -> None:
        self.chain.client.close()
        super().__exit__()

    @property
    def operator(self) -> dict[str, str]:
        """What scripts drive a running pool with."""
        entry: dict[str, str] = json.loads((self.var / "operator.json").read_text())
        return entry

    # What a script asks

    def ask(self, method: str, path: str, *, token: str | None = None, **how: Any) -> httpx.Response:
        """Ask REST, as the operator if no token is given."""
        headers = {"Authorization": f"Bearer {token or self.operator['admin_token']}"}
        if "content" in how:
            headers["Content-Type"] = "application/json"
        headers |= how.pop("headers", {})
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.request(method, url, headers=headers, timeout=60, verify=NO_CERTIFICATES, **how)

    def read(self, path: str) -> Any:
        """The answer of a GET that must succeed."""
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def rpc(self, method: str, *params: Any, token: str | None = None) -> Any:
        """Call the messager as a Go client does."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        return self.ask("POST", "/rpc/v0", token=token, json=body).json()

    def miner(self) -> str:
        """The address of the pool's miner; empty while it is not made."""
        try:
            rows = self.read("/api/v1/miners")["results"]
        except (httpx.TransportError, AssertionError, OSError):
            return ""
        return str(rows[0]["address"]) if rows and rows[0]["state"] == "ACTIVE" else ""

    def wait_miner(self) -> str:
        """The pool's miner, once it is made."""
        wait_until(self.miner, within_s=MINER_S, what=lambda: f"the pool's miner\n{self.diagnosis()}")
        return self.miner()

    def wait_all_up(self) -> float:
        """Seconds until all processes run and /readyz says so."""
        took_s = wait_until(self.all_up, within_s=MINER_S, what=self.diagnosis)
        return took_s + wait_until(self.is_ready, within_s=MINER_S, what=lambda: self.get("/readyz").text)

    def is_ready(self) -> bool:
        """Whether every process gave its heartbeat."""
        with contextlib.suppress(httpx.TransportError):
            return self.get("/readyz").status_code == 200
        return False

    def pledge(self, miner: str, count: int = 1) -> list[str]:
        """Begin sectors; gives their ids."""
        answer = self.ask("POST", f"/api/v1/miners/{miner}/sectors", json={"count": count})
        assert answer.status_code == 201, answer.text
        return [row["uuid"] for row in answer.json()["sectors"]]

    def sector(self, uuid: str) -> dict[str, Any]:
        """One sector as REST shows it; empty while the pool cannot answer."""
        with contextlib.suppress(httpx.TransportError):
            answer = self.ask("GET", f"/api/v1/sectors/{uuid}")
            if answer.status_code == 200:
                entry: dict[str, Any] = answer.json()
                return entry
        return {}

    def wait_active(self, miner: str, numbers: set[int], *, within_s: float) -> float:
        """Seconds until the chain counts all these sectors."""

        def are_active() -> bool:
            with contextlib.suppress(httpx.TransportError, NodeRefused):
                return numbers <= self.chain.active(miner)
            return False

        return wait_until(are_active, within_s=within_s, what=self.diagnosis)

    def wait_state(self, uuid: str, *states: str, within_s: float = SEALED_S) -> float:
        """Seconds until a sector is in one of these states."""
        return wait_until(
            lambda: self.sector(uuid).get("state") in states,
            within_s=within_s,
            what=lambda: f"{states}: {json.dumps(self.sector(uuid), indent=1)}\n{self.diagnosis()}",
        )

    # What the machine shows

    @contextlib.contextmanager
    def database(self) -> Iterator[connection]:
        """A connection to the pool's database: to watch rows, and to hold one fast."""
        link = psycopg2.connect(
            host=str(PoolPaths(self.var).sockets / "pg"), user="poolsite", dbname="poolsite"
        )
        try:
            yield link
        finally:
            link.close()

    def rows_of(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows of one query."""
        with self.database() as link, link.cursor() as cursor:
            cursor.execute(sql, params)
            return cursor.fetchall()

    def pid(self, name: str) -> int:
        """The process id of a child or grandchild of the supervisor."""
        if name not in GRANDCHILDREN:
            return int(self.rows()[name]["pid"])
        parent, word = GRANDCHILDREN[name]
        found = [pid for pid in descendants(self.pid(parent)) if word in command_of(pid)]
        assert found, f"no {name} below {parent}"
        return found[0]

    def has(self, name: str) -> bool:
        """Whether a process runs."""
        try:
            return Path(f"/proc/{self.pid(name)}").exists()
        except (AssertionError, KeyError, TypeError):
            return False

    def has_other(self, name: str, *, than: int) -> bool:
        """Whether a process of this name runs that is not that one; while one dies there may be none."""
        try:
            pid = self.pid(name)
        except (AssertionError, KeyError, TypeError):
            return False
        return pid != than and Path(f"/proc/{pid}").exists()

    def send(self, name: str, number: signal.Signals) -> int:
        """Send a signal to a process; gives its process id."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def kill(self, name: str) -> None:
        """End a process as kill -9 does."""
        self.send(name, signal.SIGKILL)

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[int]:
        """Hold a process still; it goes on afterwards if it still lives."""
        pid = self.send(name, signal.SIGSTOP)
        try:
            yield pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def diagnosis(self) -> str:
        """What a person would look at first when a test fails."""
        parts = [self.words()]
        with contextlib.suppress(OSError, ValueError):
            parts.append("\n".join(f"{row}" for row in self.rows().values()))
        for sql in (
            "select number, state, active, error from sectors_sector order by number",
            "select id, state, nonce, height, error from messages_message order by created_at desc limit 12",
        ):
            with contextlib.suppress(psycopg2.Error):
                parts.append("\n".join(f"{row}" for row in self.rows_of(sql)))
        for path in sorted((self.var / "log").glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()
            loud = [line for line in lines if '"error"' in line or '"warning"' in line or "Error" in line]
            parts.append(f"== {path.name}\n" + "\n".join(line[:600] for line in (*loud[-4:], *lines[-3:])))
        return "\n".join(parts)


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        here = waiting.pop()
        for path in Path(f"/proc/{here}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                below = [int(word) for word in path.read_text().split()]
                found += below
                waiting += below
    return found


def command_of(pid: int) -> str:
    """The words with which a process was started; empty if it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def dice() -> random.Random:
    """The run's random source; its seed is printed, POOLSITE_TEST_SEED repeats a run."""
    seed = int(os.environ.get("POOLSITE_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"seed {seed} (POOLSITE_TEST_SEED={seed} repeats it)")
    return random.Random(seed)


def drives_name(pool: RunningPool, folder: Path) -> list[Path]:
    """Name two new drives for layers in the host file of a pool that is not started; return them."""
    drives = [folder / "nvme1", folder / "nvme2"]
    for drive in drives:
        drive.mkdir()
        (drive / FILE_NAME).touch()
    own = pool.var / "sealer"
    own.mkdir(parents=True)
    names = ", ".join(f'"{drive}"' for drive in drives)
    (own / "config.toml").write_text(
        f"[slots]\npc1 = 16\n[layers]\ndrives = [{names}]\nsectors = 16\nwait_minutes = 0\n"
    )
    return drives
