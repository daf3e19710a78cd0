"""Whether this process can do its role's work, beside the same process of another machine.

A machine whose cable to the node or to Redis is cut keeps its database sessions, and with them the lead,
though others could work; one whose clock is wrong counts epochs that are not.  So each process looks, while
another machine runs the same one, whether it reaches what its work needs and has the database's time, and its
lease says so (`process_leases`).  Whoever cannot work stands back for one that can.  Where nobody can nothing
changes hands.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import structlog
from django.utils.translation import gettext_noop

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 1.0
FAILS_S: Final = 2.0
"""Whoever has been unable for so long stands back; others that were cut off with it know it by then."""
ABLE_S: Final = 3.0
"""Whoever has been able for so long is an abler one; those that were cut off with it know of their return."""
CLOCK_MAX_S: Final = 5.0
"""A clock that is further from the database's is wrong."""
STANDS_BACK_S: Final = 15.0
"""Who stood back is nobody's relief for so long: a line that comes and goes moves no role back and forth."""


class Ability:
    """What a process knows of its own ability, and of the others'."""

    def __init__(self, probe: Callable[[], str], *, every_s: float = LOOK_EVERY_S) -> None:
        self.probe = probe
        """Returns why no work is possible, such as what is not reached; empty if it is."""
        self.every_s = every_s
        self.reason = ""
        """What the last look found amiss."""
        self.changed = threading.Event()
        """Set when the process became able or unable."""
        self.stand_back: Callable[[], None] = lambda: None
        """Called as long as this process stands back, in another thread than that of the work."""
        self.has_others = False
        """Whether another machine runs the same process."""
        self.stands_back = False
        """Whether another machine can do the work, and this one cannot."""
        self.clock_off_s = 0.0
        """By how much this machine's clock is at least wrong, by the database's."""
        self._since: float | None = None
        """Of the monotonic clock: when the process became able or unable; None before the first look."""
        self._stood_back_at: float | None = None
        self._noted_at = self._lasts_s = 0.0
        self._thread: threading.Thread | None = None

    @property
    def is_cut_off(self) -> bool:
        """Return whether others run this process, and the database that says so is not reached any more."""
        return self.has_others and time.monotonic() - self._noted_at > self._lasts_s

    @property
    def standby_text(self) -> str:
        """Return how a process that stands by calls itself."""
        return f"standby: {self.reason}" if self.reason else "standby"

    def able_s(self) -> float | None:
        """Return for how many seconds it has been able, as others are told; None if it is no relief."""
        stood_back_at = self._stood_back_at
        is_resting = stood_back_at is not None and time.monotonic() - stood_back_at < STANDS_BACK_S
        return None if self._since is None or self.reason or is_resting else self._age_s()

    def note(
        self, *, has_others: bool, is_another_able: bool, lasts_s: float, clock_off_s: float = 0.0
    ) -> None:
        """Note what the lease's renewal said of the others, which holds for `lasts_s`; look from then on."""
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
        """Look once."""
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
