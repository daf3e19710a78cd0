"""A gate between WinningPoSt and WindowPoSt on one machine: a win has seconds, a window has minutes.

While a win is being proved no program of this machine begins a window's proof, so the graphics card and the
cores are not taken in the moment that counts.  A win never waits for the gate.
Source: filguard's reason for its roles, the fight of window and winning for one lock of the graphics card.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

WAIT_MAX_S: Final = 60.0
"""Longest that a window's proof waits: a win that takes longer is lost, and the window must not be."""
CHECK_S: Final = 0.05


def gate_path() -> Path:
    """Return the file whose lock is the gate, the same for all programs of this user on this machine."""
    return Path(tempfile.gettempdir()) / f"poolsite-winning-{os.getuid()}.lock"


class WinningFirst:
    """The gate."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = gate_path() if path is None else path

    @contextmanager
    def winning(self) -> Iterator[None]:
        """Delay windows' proofs that have not begun; several wins at once do not wait for each other."""
        with self._opened() as descriptor:
            if descriptor is not None:
                # Nobody holds the other lock for longer than it takes to ask for it.
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield

    def window_wait(self, *, is_wanted: Callable[[], bool], most_s: float = WAIT_MAX_S) -> float:
        """Wait while a win is being proved and the window's proof is wanted; returns how long, in seconds."""
        began = time.monotonic()
        with self._opened() as descriptor:
            while descriptor is not None and is_wanted() and time.monotonic() - began < most_s:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(CHECK_S)
        return time.monotonic() - began

    @contextmanager
    def _opened(self) -> Iterator[int | None]:
        """Open the file; without it there is no gate, and proofs are made all the same."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            log.warning("no_gate_for_winning", path=str(self.path), reason=str(error))
            yield None
            return
        try:
            yield descriptor
        finally:
            os.close(descriptor)
