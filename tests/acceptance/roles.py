"""Machines with a prover each, which take roles over from each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.acceptance.machines import machine_kill, machine_start
from tests.acceptance.pool import RunningPool


class Machine:
    """A prover under a host name of its own, beside the pool's folder."""

    def __init__(
        self,
        pool: RunningPool,
        name: str,
        token: Path,
        *,
        port: int = 0,
        store: Path | None = None,
        snark: str = "vanilla",
    ) -> None:
        """`port`: of a relay before the console; `store`: where not the pool's own."""
        self.pool = pool
        self.name = name
        self.words = ["--dir", str(pool.base / name), "--host", name]
        self.words += ["--store", str(store or pool.var / "store"), "--snark", snark]
        self.words += ["--console", f"http://127.0.0.1:{port or pool.port}", "--token-file", str(token)]
        self.words += ["--sector-size", "2KiB"]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run its prover."""
        env = {name: value for name, value in self.pool.env.items() if name != "POOLSITE_VAR"}
        self.process = machine_start(
            [sys.executable, "-m", "workers", "prover", *self.words],
            log=self.pool.base / f"{self.name}.log",
            env=env,
        )

    def kill(self) -> None:
        """End it with all its children, as when the machine loses its power."""
        if self.process is not None:
            machine_kill(self.process)
            self.process = None
