"""Making and converting Groth16 parameters beside a prover's work, in a process of lowest priority."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from workers.snark.files import is_converted, is_here

if TYPE_CHECKING:
    from workers.config import HostConfig
    from workers.processors.snark_choice import HostProofs
    from workers.snark.files import CircuitSpec

log = structlog.get_logger(__name__)

PR_SET_PDEATHSIG: Final = 1
LIBC: Final = ctypes.CDLL(None, use_errno=True)
AGAIN_S: Final = 300.0
"""Pause before what failed is tried again."""
WAIT_S: Final = 1.0


class Preparation:
    """Prepares the parameters of WindowPoSt once the host is warm, then those of WinningPoSt.

    Proofs are containers until then, where the chain takes them.  What is converted already is compared with
    its digests once, so that a damaged conversion is made again before a window opens.
    """

    def __init__(
        self,
        config: HostConfig,
        proofs: HostProofs,
        wins: HostProofs,
        *,
        is_idle: Callable[[], bool],
    ) -> None:
        self.config, self.proofs, self.wins, self.is_idle = config, proofs, wins, is_idle
        self._stopped = threading.Event()
        self._checked: set[CircuitSpec] = set()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._work, name="parameters", daemon=True)

    def start(self) -> None:
        """Begin as soon as the host has nothing of its own to compile."""
        self._thread.start()

    def stop(self) -> None:
        """End the process; what is unfinished has no name."""
        self._stopped.set()
        process = self._process
        if process is not None:
            with suppress(OSError):
                process.kill()

    def _work(self) -> None:
        while not self._stopped.wait(WAIT_S):
            wanted = (*self.proofs.specs, *self.wins.specs)
            due = [spec for spec in wanted if self._is_possible(spec) and self._is_due(spec)]
            if not due or not self.is_idle():
                continue
            code = self._run(due)
            self._checked.update(due if not code else ())
            self.proofs.progress = 0, 0
            if code and not self._stopped.is_set():
                log.warning("parameters_not_prepared", exit=code, again_s=AGAIN_S)
                self._stopped.wait(AGAIN_S)

    def _is_possible(self, spec: CircuitSpec) -> bool:
        """Return whether a missing file may be made, or it is there; an operator's may come any time."""
        return bool(self.config.parameter_seed) or is_here(spec)

    def _is_due(self, spec: CircuitSpec) -> bool:
        return spec not in self._checked or not is_converted(spec)

    def _run(self, specs: list[CircuitSpec]) -> int:
        """Prepare one after the other, and return the process's exit code."""
        argv = [sys.executable, "-m", "workers", "params", "prepare", *(spec.kind for spec in specs)]
        argv += ["--size", f"{self.config.sector_bytes >> 10}KiB", "--background"]
        if self.config.parameter_seed:
            argv += ["--seed", self.config.parameter_seed]
        parent = os.getpid()

        def tie_to_parent() -> None:
            LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
            if os.getppid() != parent:  # it died between fork and prctl
                os._exit(1)

        log.info("parameters_prepared_now", command=argv[3:])
        self._process = subprocess.Popen(  # noqa: S603  # our own program
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=tie_to_parent,  # one call of libc, nothing that could wait for a lock
        )
        with self._process as process:
            for line in process.stdout or ():
                with suppress(ValueError, KeyError, TypeError):
                    reported = json.loads(line)
                    self.proofs.progress = int(reported["done"]), int(reported["total"])
        return int(process.returncode)
