"""What a host says of itself with each registration and heartbeat: its machine, kernels and proofs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from poolsite.wire.hardware import Hardware, ProofsTrial, TreesTrial
from workers.host_folder import UID_FILE
from workers.storage.memory import memory_bytes

ERROR_MAX: Final = 1_000
"""Characters of what is said to be missing."""


class HostReport:
    """Gathers what others find; a heartbeat that is not due yet goes earlier where that is news."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machine: Callable[[], dict[str, Any]] = dict
        """What is known of the machine, as fields of `Hardware`; read anew each time."""
        self.removing_bytes: Callable[[], int] = int
        self.kernels = 0, 0
        self.trials: tuple[TreesTrial | None, ProofsTrial | None] = None, None
        """Trials of the card: at trees, and at Groth16 proofs; None where it was not tried."""
        self.proofs: tuple[str, ...] = ("vanilla",)
        self.parameters = 0, 0
        self.parameters_error = self.parameters_foreign = self.update_error = ""
        self.update_sizes: tuple[int, ...] = ()
        self.winning_proof = "", 0.0
        """Form of a win's proof, and the seconds of one by Groth16, as `HostProofs.winning` has them."""
        self.has_news = False
        """Whether something was found since the last heartbeat."""
        self._lock = threading.Lock()

    def hardware(self) -> Hardware:
        """Measure what the host has; no room where its own disk is gone, and nothing is made there."""
        free, total = disk_of(self.folder)
        return Hardware(
            cpus=len(os.sched_getaffinity(0)),
            ram_bytes=memory_bytes(),
            disk_free_bytes=free,
            disk_total_bytes=total,
            cpu_model=cpu_model(),
            kernels_done=self.kernels[0],
            kernels_total=self.kernels[1],
            proofs=self.proofs,
            parameters_done=self.parameters[0],
            parameters_total=self.parameters[1],
            parameters_error=self.parameters_error[:ERROR_MAX],
            parameters_foreign=self.parameters_foreign[:ERROR_MAX],
            update_error=self.update_error[:ERROR_MAX],
            winning_form=self.winning_proof[0],
            winning_ms=int(1000 * self.winning_proof[1]),
            update_sizes=self.update_sizes,
            removing_bytes=self.removing_bytes(),
            trees=self.trials[0],
            groth16=self.trials[1],
            **self.machine(),
        )

    def proofs_report(
        self,
        forms: tuple[str, ...],
        *,
        parameters: tuple[int, int],
        error: str,
        update_error: str = "",
        update_sizes: tuple[int, ...] = (),
        foreign: str = "",
        winning: tuple[str, float] = ("", 0.0),
    ) -> None:
        """Report with the next heartbeat which forms of proof the host makes now."""
        with self._lock:
            before = self._proofs()
            self.proofs, self.parameters, self.winning_proof = forms, parameters, winning
            self.parameters_error, self.parameters_foreign = error, foreign
            self.update_error, self.update_sizes = update_error, update_sizes
            self.has_news |= before != self._proofs()

    def _proofs(self) -> tuple[object, ...]:
        """Return what of the proofs is news; how far parameters are read, or how long a win takes, is not."""
        errors = self.parameters_error, self.parameters_foreign, self.update_error
        return self.proofs, self.winning_proof[0], self.update_sizes, errors

    def kernels_report(
        self, *, done: int, total: int, trials: tuple[TreesTrial | None, ProofsTrial | None] = (None, None)
    ) -> None:
        """Report with the next heartbeat how many kernels are compiled, and who makes trees and proofs."""
        with self._lock:
            self.has_news |= (self.kernels, self.trials) != ((done, total), trials)
            self.kernels, self.trials = (done, total), trials


def disk_of(folder: Path) -> tuple[int, int]:
    """Return the free and all bytes of the disk of a host's folder; 0 of each while it is gone.

    Under an absent mount there is a folder of this name, too, on another disk, but without the host's uid.
    """
    try:
        (folder / UID_FILE).stat()
        disk = os.statvfs(folder)
    except OSError:
        return 0, 0
    return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize


def cpu_model() -> str:
    """Return the processor's name."""
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()[:100]
    except OSError:
        return ""
    return ""
