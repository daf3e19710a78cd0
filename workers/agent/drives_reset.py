"""The console's order to begin anew on the drives of [layers], carried out by a program of its own."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from workers.console.host_report import ERROR_MAX

if TYPE_CHECKING:
    from poolsite.wire.commands import Command

log = structlog.get_logger(__name__)

PROGRAM: Final = (sys.executable, "-m", "workers", "reset-drives", "--yes")
RESET_S: Final = 300.0
"""Longest run: a drive may not answer."""


class DrivesReset:
    """Runs the program in a thread, once for each order."""

    def __init__(self, folder: Path, file: Path) -> None:
        self._where = ("--dir", str(folder), "--config", str(file))
        self._orders: dict[str, str | None] = {}
        """By command: None while it is carried out, then why it could not be; empty: it was."""
        self._lock = threading.Lock()

    def order(self, command: Command) -> str | None:
        """Return whether an order was carried out: None while it is, why not, or nothing."""
        with self._lock:
            if command.id in self._orders:
                return self._orders[command.id]
            self._orders[command.id] = None
        threading.Thread(target=self._carry_out, args=(command.id,), name="reset-drives", daemon=True).start()
        return None

    def _carry_out(self, order: str) -> None:
        fault = ""
        try:
            done = subprocess.run(  # noqa: S603  # our own program
                [*PROGRAM, *self._where, "--order", order],
                check=False,
                capture_output=True,
                text=True,
                timeout=RESET_S,
            )
            if done.returncode:
                line = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
                fault = line.removeprefix("reset-drives: ")[:ERROR_MAX]
        except (OSError, subprocess.TimeoutExpired) as error:
            fault = str(error)[:ERROR_MAX]
        with self._lock:
            self._orders[order] = fault
        log.info("drives_reset", reason=fault)
