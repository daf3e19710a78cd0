"""A signer of ours as its own process, for hubs and wallet clients of others."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, Self

from tests.servers import SITE, tied_to_us

COMMAND: Final = [sys.executable, "-m", "workers", "signer"]
PATIENCE_S: Final = 60


class RunningSigner:
    """Makes keys in a folder, connects to a hub if it is given one, and serves the wallet's interface."""

    def __init__(
        self, folder: Path, *, hub: str = "", token: str = "", accounts: tuple[str, ...] = ()
    ) -> None:
        self.folder = folder
        self.run("init")
        self.keys: dict[str, str] = json.loads((folder / "addresses.json").read_text())
        words = ["--dir", str(folder), "--listen", "127.0.0.1:0"]
        if hub:
            (folder / "hub-token").write_text(token + "\n")
            words += ["--console", hub, "--token-file", str(folder / "hub-token")]
        self.log_path = folder / "log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*COMMAND, *words],
                stderr=log,
                cwd=SITE,
                # `logged` reads its log, which `make bench` would cut to errors.
                env={**os.environ, "LOG_LEVEL": "INFO"},
                preexec_fn=tied_to_us(signal.SIGKILL),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)

    def run(self, *words: str) -> str:
        """Run one verb of the command line on this folder; gives what it printed."""
        command = [*COMMAND, words[0], "--dir", str(self.folder), *words[1:]]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, cwd=SITE, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def logged(self, pattern: str) -> str:
        """Wait for a line of the log; gives what the pattern's last group found."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = re.search(pattern, self.log_path.read_text())
            if found:
                return str(found.group(found.lastindex or 0))
            assert self.process.poll() is None, self.log_path.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log_path.read_text())
