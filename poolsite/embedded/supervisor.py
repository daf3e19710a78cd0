"""Runs a pool's processes: started when what they need is ready, restarted when they end, stopped in reverse.

One thread on purpose: the parent-death signal follows the *thread* that forked, not the process.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poolsite.embedded.children import KILL_WAIT_S, LIBC, Slot

if TYPE_CHECKING:
    from poolsite.embedded.children import Child

PR_SET_CHILD_SUBREAPER: Final = 36
TICK_S: Final = 0.05
STOP_TICK_S: Final = 0.02
STEADY_TICK_S: Final = 1.0
"""While every child is ready; one that ends, and a signal, wake the supervisor at once."""
SLOW_S: Final = 6.0
"""A child that is not ready after this long is named on the terminal."""
REPORT_AGAIN_S: Final = 15.0
WRITE_AGAIN_S: Final = 1.0
"""After this time the list of processes that found no room is written again."""
LOG_MAX_BYTES: Final = 32 * 1024 * 1024
"""A longer log is moved to `.1`; the one before is dropped."""
LOG_CHECK_S: Final = 30.0


class Supervisor:
    """The children of one pool and what is said about them."""

    def __init__(
        self,
        children: Sequence[Child],
        *,
        var: Path,
        lease: int,
        report: Callable[[str], None],
        flush: Callable[[], None] = lambda: None,
    ) -> None:
        self.slots = [Slot(child) for child in children]
        self.by_name = {slot.child.name: slot for slot in self.slots}
        self.var = var
        self.lease = lease
        self.report = report
        self.flush = flush
        """Called every tick: prints what a terminal that was held up did not take."""
        self.stop_signal_count = 0
        self.stop_signal_name = ""
        self.reported_at: dict[str, float] = {}
        self.reported_unready: set[str] = set()
        """Children that were named as ended or not ready: once they are, that is said, too."""
        self.logs_checked_at = 0.0
        self.write_at: float | None = None
        """When the list of processes must be written again; None while what is written holds."""

    def run(self, *, when_ready: str = "", announce: Callable[[], None] = lambda: None) -> int:
        """Run until SIGINT or SIGTERM, which give 0, or until a step can never succeed, which gives 1.

        `announce` is called once, when the child `when_ready` is.  A second signal kills what still runs.
        """
        signal.signal(signal.SIGINT, self._stop_handle)
        signal.signal(signal.SIGTERM, self._stop_handle)
        # A closed terminal ends the pool, nohup keeps it.
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._stop_handle)
        wake, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
        (self.var / "log").mkdir(parents=True, exist_ok=True)
        code, is_announced = 0, False
        try:
            while not self.stop_signal_count:
                self.tick()
                hopeless = [slot for slot in self.slots if slot.is_hopeless]
                if hopeless:
                    code = 1
                    self.report(self._why(hopeless[0]))
                    break
                if not is_announced and when_ready and self.by_name[when_ready].is_ready:
                    is_announced = True
                    announce()
                self._wait(wake)
            if self.stop_signal_count:
                self.report(f"Stopping ({self.stop_signal_name}); repeat to kill the remaining processes")
        finally:
            self.stop()
        return code

    def _wait(self, wake: int) -> None:
        """Sleep until the next tick; a signal, such as that of a child's end, ends the sleep."""
        is_steady = all(slot.is_ready for slot in self.slots) and self.write_at is None
        select.select([wake], [], [], STEADY_TICK_S if is_steady else TICK_S)
        with suppress(BlockingIOError):  # the tick ended the sleep, no signal
            os.read(wake, 4096)

    def _stop_handle(self, number: int, _frame: object) -> None:
        self.stop_signal_count += 1
        self.stop_signal_name = signal.Signals(number).name
        if self.stop_signal_count > 1:
            for slot in self.slots:
                if slot.process is not None:
                    slot.process.kill()

    def tick(self) -> None:
        """Notice exits, end orphans, start what is due."""
        now = time.monotonic()
        changed = self.write_at is not None and now >= self.write_at
        for slot in self.slots:
            was_up = slot.has_been_ready
            if slot.poll(now):
                changed = True
                self._report_exit(slot, was_up=was_up)
        self.orphans_kill()
        for slot in self.slots:
            if slot.is_due(now) and self.may_start(slot):
                slot.start(log_folder=self.var / "log", lease=self.lease)
                changed = True
        self._report_slow(now)
        self._logs_trim(now)
        self.flush()
        if changed:
            self.status_write()

    def may_start(self, slot: Slot) -> bool:
        """Return whether all that it needs has been ready.

        Once is enough: the processes survive the absence of each other, and a web process that waited
        for PostgreSQL would leave its clients hanging in the backlog instead of telling them.
        """
        return all(self.by_name[name].has_been_ready for name in slot.child.after)

    def orphans_kill(self) -> None:
        """End what dead children left: PostgreSQL refuses to start while an old backend still computes.

        None is waited for: one that waits for a disk ends when the disk answers, and a later call reaps it.
        """
        for pid in self.orphan_pids():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, os.WNOHANG)

    def orphan_pids(self) -> list[int]:
        """Return the processes that dead children left."""
        child_pids = {slot.process.pid for slot in self.slots if slot.process is not None}
        pids = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        return [int(pid) for pid in pids if int(pid) not in child_pids]

    def stop(self) -> None:
        """Stop each child as soon as nothing that needs it runs any more; neighbours stop together."""
        while any(slot.process is not None for slot in self.slots):
            now = time.monotonic()
            running = [slot.child.name for slot in self.slots if slot.process is not None]
            needed = {name for child in running for name in self.needs_of(child)}
            for slot in self.slots:
                if slot.process is not None and (slot.child.name not in needed or self.stop_signal_count > 1):
                    slot.stop_step(now)
            time.sleep(STOP_TICK_S)
        give_up_at = time.monotonic() + KILL_WAIT_S
        self.orphans_kill()
        while (left := self.orphan_pids()) and time.monotonic() < give_up_at:
            time.sleep(STOP_TICK_S)
            self.orphans_kill()
        if left:
            self.report(f"Still ending, as the kernel cannot kill them yet: {', '.join(map(str, left))}")
        self.status_write()

    def needs_of(self, name: str) -> set[str]:
        """Name all that a child stands on, also through steps that are done: web on schema on postgres."""
        direct = self.by_name[name].child.after
        return set(direct).union(*(self.needs_of(need) for need in direct))

    def _why(self, slot: Slot) -> str:
        log = self.var / "log" / f"{slot.child.name}.log"
        line = last_line(log, begin=slot.log_begin or 0)
        return f"{slot.child.name} failed permanently: {line} ({log})"

    def _report_exit(self, slot: Slot, *, was_up: bool) -> None:
        if slot.process is None and was_up and not slot.child.once:
            self.reported_unready.add(slot.child.name)
            self.report(f"{slot.child.name} exited ({exit_text(slot.last_exit)}); restarting it")

    def _report_slow(self, now: float) -> None:
        """Name, every few seconds, a child that could run but is not ready, and once when it is."""
        for slot in self.slots:
            name = slot.child.name
            if slot.is_ready and name in self.reported_unready:
                self.reported_unready.discard(name)
                self.report(f"{name} is ready")
            if slot.is_ready or not self.may_start(slot):
                self.reported_at.pop(name, None)
                continue
            since = self.reported_at.setdefault(name, now + SLOW_S - REPORT_AGAIN_S)
            if now - since >= REPORT_AGAIN_S:
                self.reported_at[name] = now
                self.reported_unready.add(name)
                log = self.var / "log" / f"{name}.log"
                failed = f", failed {slot.failures} times" if slot.failures else ""
                line = last_line(log, begin=slot.log_begin or 0) or "no output yet"
                if slot.was_killed:
                    line = exit_text(slot.last_exit)
                self.report(f"{name} is not ready yet{failed}: {line} ({log})")

    def _logs_trim(self, now: float) -> None:
        """Keep each log small; children append, so a file cut to nothing grows again from its start."""
        if now - self.logs_checked_at < LOG_CHECK_S:
            return
        self.logs_checked_at = now
        for path in (self.var / "log").glob("*.log"):
            if path.stat().st_size > LOG_MAX_BYTES:
                with suppress(OSError):  # no room for the copy: the log is cut all the same
                    shutil.copyfile(path, path.with_suffix(".log.1"))
                os.truncate(path, 0)

    def status_write(self) -> None:
        """Write what the page shows, in one step, so that a reader never sees half of it."""
        rows = [
            {
                "name": slot.child.name,
                "pid": slot.process and slot.process.pid,
                "up": slot.is_ready,
                "once": slot.child.once,
                "restarts": slot.restarts,
                "last_exit": slot.last_exit,
                "exits": list(slot.exits),
                "log": f"log/{slot.child.name}.log",
            }
            for slot in self.slots
        ]
        staged = self.var / "processes.new"
        try:
            staged.write_text(json.dumps({"at": time.time(), "processes": rows}))
            staged.replace(self.var / "processes.json")
            self.write_at = None
        except OSError as error:  # a full disk must not end the pool: the page shows older figures meanwhile
            if self.write_at is None:
                self.report(f"{staged.name} cannot be written: {error}")
            self.write_at = time.monotonic() + WRITE_AGAIN_S


def last_line(path: Path, *, begin: int) -> str:
    """Return the last line of a log that says something; of one that was not cut since, after `begin`."""
    if not path.exists():
        return ""
    size = path.stat().st_size
    with path.open("rb") as log:
        log.seek(max(0, size - 4096, begin if begin <= size else 0))
        lines = deque((line.strip() for line in log if line.strip()), maxlen=1)
    return lines[0].decode(errors="replace")[:300] if lines else ""


def exit_text(code: int | None) -> str:
    """Return how a process ended."""
    if code is None:
        return "could not be started"
    if code >= 0:
        return f"exit code {code}"
    names = {int(one): one.name for one in signal.Signals}
    return f"killed by {names.get(-code, f'signal {-code}')}"
