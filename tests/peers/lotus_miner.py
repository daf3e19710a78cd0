"""lotus-miner as its own process, whose node is a pool; windows and winning are the pool's."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Final, Self

import httpx

from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.servers import port_free, tied_to_us

INIT_S: Final = 300
"""For the message that creates a miner, five epochs deep."""
COMMAND_S: Final = 120
START_S: Final = 180


class LotusMinerRefused(Exception):
    """What its own API gave as an error."""


class LotusMiner:
    """A lotus-miner with a repository of its own and one store."""

    def __init__(self, program: Path, folder: Path, *, pool: RunningPool, token: str) -> None:
        self.program, self.folder = program, folder
        self.port = port_free()
        self.log_path = folder / "lotus-miner.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.env = os.environ | {
            "FULLNODE_API_INFO": f"{token}:/ip4/127.0.0.1/tcp/{pool.port}/http",
            "LOTUS_MINER_PATH": str(folder / "repository"),
            "LOTUS_API_LISTENADDRESS": f"/ip4/127.0.0.1/tcp/{self.port}/http",
            "LOTUS_API_REMOTELISTENADDRESS": f"127.0.0.1:{self.port}",
            # else it waits a day for others to send with
            "LOTUS_SEALING_MAXPRECOMMITBATCH": "1",
            "LOTUS_SEALING_MAXCOMMITBATCH": "1",
            "LOTUS_SUBSYSTEMS_DISABLEWINDOWPOST": "true",
            "LOTUS_SUBSYSTEMS_DISABLEWINNINGPOST": "true",
            "TRUST_PARAMS": "1",
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def run(self, *words: str, within_s: float = COMMAND_S) -> str:
        """Return what one of its commands prints."""
        done = subprocess.run(
            [self.program, *words],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr[-3000:]}\n{self.log()}"
        return done.stdout

    def init(self, *, owner: str, worker: str) -> None:
        """Have a miner created on the chain, whose address `miner` is once it runs."""
        roles = ("--owner", owner, "--worker", worker)
        self.run("init", "--nosync", *roles, "--sector-size", "2KiB", "--no-local-storage", within_s=INIT_S)

    def start(self) -> None:
        """Start it, and wait until its commands reach it."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "run", "--nosync"],
                env=self.env,
                stdout=log,
                stderr=log,
                preexec_fn=tied_to_us(signal.SIGKILL),
            )
        wait_until(self.answers, within_s=START_S, what=self.log)

    def kill(self) -> None:
        """End it as kill -9 does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def answers(self) -> bool:
        """Return whether its own API takes calls; fail with its log if it has ended."""
        assert self.process is None or self.process.poll() is None, self.log()
        with contextlib.suppress(OSError, httpx.HTTPError):
            return bool(self.call("ActorAddress"))
        return False

    @property
    def miner(self) -> str:
        """Its miner's address."""
        return f"f{self.call('ActorAddress')[1:]}"

    def state(self, number: int) -> str:
        """Return the state of a sector; empty if it has none."""
        with contextlib.suppress(LotusMinerRefused):
            return str(self.call("SectorsStatus", number, False)["State"])
        return ""

    def call(self, method: str, *params: Any) -> Any:
        """Call its own API.  Raises LotusMinerRefused."""
        token = (self.folder / "repository" / "token").read_text(encoding="ascii")
        body = {"jsonrpc": "2.0", "id": 1, "method": f"Filecoin.{method}", "params": list(params)}
        url, headers = f"http://127.0.0.1:{self.port}/rpc/v0", {"Authorization": f"Bearer {token}"}
        answer = httpx.post(url, json=body, headers=headers, timeout=COMMAND_S).json()
        if "error" in answer:
            raise LotusMinerRefused(answer["error"]["message"])
        return answer["result"]

    def log(self) -> str:
        """Return the end of its log."""
        return self.log_path.read_text(errors="replace")[-3000:] if self.log_path.exists() else ""
