"""What tests of roles share."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.integration.pools import SITE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.pool import RunningPool


class Machine:
    """A prover under a host name of its own, beside the pool's folder."""

    def __init__(self, pool: RunningPool, name: str, token: Path, *, port: int = 0) -> None:
        """`port`: of a relay before the console."""
        self.pool = pool
        self.name = name
        self.words = ["--dir", str(pool.base / name), "--store", str(pool.var / "store"), "--host", name]
        self.words += ["--console", f"http://127.0.0.1:{port or pool.port}", "--token-file", str(token)]
        self.words += ["--snark", "vanilla", "--sector-size", "2KiB"]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it in a session of its own, so that its children end with it."""
        env = {name: value for name, value in self.pool.env.items() if name != "POOLSITE_VAR"}
        with (self.pool.base / f"{self.name}.log").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "workers", "prover", *self.words],
                cwd=SITE,
                env=env,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it with all its children, as when the machine loses its power."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None
