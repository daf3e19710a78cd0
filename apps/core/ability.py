"""Whether this process can do its role's work, beside the same process of another machine.

A machine that is cut off from the node or from Redis keeps its database sessions, and with them the lead,
though others could work; one whose clock is wrong counts epochs wrongly.  So while another machine runs the
same process, each probes whether it reaches what its work needs and has the database's time, and its lease
says so (`process_leases`).  A process that cannot work stands back for one that can.  Where none can,
the lead stays where it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog
from django.utils.translation import gettext_noop

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 1.0
FAILS_S: Final = 2.0
"""A process unable to work for this long stands back; others cut off with it have noticed by then."""
ABLE_S: Final = 3.0
"""A process able to work for this long may take over; others cut off with it have noticed their return."""
CLOCK_MAX_S: Final = 5.0
"""Largest difference from the database's clock at which a machine may lead."""
STANDS_BACK_S: Final = 15.0
"""A process that stood back takes over nothing for this long: an unstable link must not move the lead."""


class Ability:
    """Whether this process, and the same process of other machines, can work."""

    def __init__(self, probe: Callable[[], str], *, every_s: float = LOOK_EVERY_S) -> None:
        self.probe = probe
        """Returns why the process cannot work, such as which server it does not reach; empty if it can."""
        self.every_s = every_s
        self.reason = ""
        """Why the process could not work at the last probe; empty if it could."""
        self.changed = threading.Event()
        """Set when the process became able or unable."""
        self.stand_back: Callable[[], None] = lambda: None
        """Called at each renewal while this process stands back, in a thread other than the work's."""
        self.has_others = False
        """Whether another machine runs the same process."""
        self.stands_back = False
        """Whether another machine can do the work, and this one cannot."""
        self.clock_off_s = 0.0
        """Least difference of this machine's clock from the database's."""
        self._since: float | None = None
        """When the process became able or unable, by the monotonic clock; None before the first probe."""
        self._stood_back_at: float | None = None
        self._noted_at = self._lasts_s = 0.0
        self._thread: threading.Thread | None = None

    @property
    def is_cut_off(self) -> bool:
        """Return whether other machines run this process and the database has become unreachable."""
        return self.has_others and time.monotonic() - self._noted_at > self._lasts_s

    @property
    def standby_text(self) -> str:
        """Return the state that a process on standby reports."""
        return f"standby: {self.reason}" if self.reason else "standby"

    def able_s(self) -> float | None:
        """Return for how many seconds the process has been able to take over; None if it is not."""
        stood_back_at = self._stood_back_at
        is_resting = stood_back_at is not None and time.monotonic() - stood_back_at < STANDS_BACK_S
        return None if self._since is None or self.reason or is_resting else self._age_s()

    def note(
        self, *, has_others: bool, is_another_able: bool, lasts_s: float, clock_off_s: float = 0.0
    ) -> None:
        """Store what the lease's renewal said of other machines, valid for `lasts_s`; start probing."""
        self._noted_at, self._lasts_s, self.clock_off_s = time.monotonic(), lasts_s, clock_off_s
        self.has_others = has_others
        self.stands_back = is_another_able and bool(self.reason) and self._age_s() >= FAILS_S
        if has_others and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ability", daemon=True)
            self._thread.start()
        if self.stands_back:
            if self._stood_back_at is None or time.monotonic() - self._stood_back_at > STANDS_BACK_S:
                log.warning("stands_back", reason=self.reason)
            self._stood_back_at = time.monotonic()
            self.stand_back()

    def look_now(self) -> None:
        """Probe once, and note whether that changed."""
        before = self.reason
        try:
            reason = self._clock_fault() or self.probe()
        except Exception as error:  # noqa: BLE001  # whatever a look meets, it has not found all well
            reason = repr(error)[:300]
        is_change = self._since is None or bool(before) != bool(reason)
        if is_change:
            self._since = time.monotonic()
        self.reason = reason
        if not reason:
            self.stands_back = False
        if is_change:
            self.changed.set()
            log.warning("cannot_work", reason=reason) if reason else log.info("can_work")

    def _clock_fault(self) -> str:
        off_s = self.clock_off_s
        if off_s <= CLOCK_MAX_S:
            return ""
        return gettext_noop("the clock is {seconds} s from the database's").format(seconds=round(off_s))

    def _age_s(self) -> float:
        return 0.0 if self._since is None else time.monotonic() - self._since

    def _run(self) -> None:
        while True:
            began = time.monotonic()
            if self.has_others:
                self.look_now()
            else:  # nobody asks
                self.reason, self._since = "", None
            time.sleep(max(self.every_s - (time.monotonic() - began), self.every_s / 4))
