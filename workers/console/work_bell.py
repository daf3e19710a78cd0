"""Waiting for work without asking for it each second: the console tells when there may be some."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import structlog

from workers.console.refusals import ConsoleAway, ConsoleRefused
from workers.console.repeats import Repeats

if TYPE_CHECKING:
    from workers.console.client import Console
    from workers.console.lease_keeper import LeaseKeeper

log = structlog.get_logger(__name__)

CLAIM_ANYWAY_S: Final = 60.0
"""So often an idle host claims although nobody told it of work: whatever the console does not tell."""


class WorkBell:
    """A thread in which an idle host waits; its loop goes on meanwhile."""

    def __init__(self, console: Console, leases: LeaseKeeper, *, anyway_s: float = CLAIM_ANYWAY_S) -> None:
        self.console = console
        self.anyway_s = anyway_s
        self.leases = leases
        self._wanted = threading.Event()
        self._is_stopped = False
        self._since = 0.0
        self._repeats = Repeats()

    @property
    def is_quiet(self) -> bool:
        """Return whether the console is asked right now and has nothing: a claim would find nothing."""
        return self._wanted.is_set() and time.monotonic() - self._since < self.anyway_s

    def listen(self) -> None:
        """Begin to wait after a claim that found nothing."""
        self._since = time.monotonic()
        self._wanted.set()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="bell", daemon=True).start()

    def stop(self) -> None:
        """End the thread, after what it waits for at most."""
        self._is_stopped = True
        self._wanted.set()

    def _run(self) -> None:
        while self._wanted.wait() and not self._is_stopped:
            began = time.monotonic()
            try:
                is_over = self.console.work_wait(self.leases.worker_id, wait_s=self.leases.work_wait_s)
            except (ConsoleAway, ConsoleRefused) as error:
                if self._repeats.is_news("claims", str(error)):
                    log.info("work_wait_failed", reason=str(error)[:200])
                is_over = True
            except Exception:  # without this thread the host would claim once a second, and do its work
                if not self._is_stopped:  # else the line was hung up
                    log.exception("wait_failed")
                is_over = True
            if is_over or not self.is_quiet:
                self._wanted.clear()
            elif (left := self.leases.poll_s - (time.monotonic() - began)) > 0:  # it does not wait for us
                time.sleep(left)
