"""What happens to a pool in a soak: a process is killed, held still or slowed, at random, and goes on."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from dataclasses import dataclass
from typing import Final

import httpx

from tests.acceptance.pool import RunningPool, descendants
from tests.acceptance.roles import Machine
from tests.cables import Cable
from tests.integration.pools import wait_until

BACK_S: Final = 60.0
HELD_S: Final = (0.5, 3.0)
"""A process is held still or slowed for so long."""
SLICE_S: Final = 0.04
"""A slowed process works for so long, and then stands still for as long."""
LATE_MS: Final = 150
"""By how much a slow node answers later, and a slow line carries each piece later."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What was done to whom, and when: UNIX seconds."""

    name: str
    how: str
    begin: float
    end: float

    def __str__(self) -> str:
        return f"{self.name} {self.how} at {self.begin:.1f} for {self.end - self.begin:.1f} s"


class Disturber:
    """Disturbs one thing at a time, so that one of several provers always lives, and notes what it did."""

    def __init__(
        self, pool: RunningPool, machine: Machine, line: Cable, dice: random.Random, names: tuple[str, ...]
    ) -> None:
        self.pool, self.machine, self.line, self.dice, self.names = pool, machine, line, dice, names
        self.done: list[Disturbance] = []
        self.left: list[tuple[str, str]] = []
        self.last_height = -1

    def one(self) -> Disturbance:
        """Disturb something for a while; each pair of name and way comes once before any comes again."""
        if not self.left:
            self.left = [(name, how) for name in self.names for how in ("killed", "stopped", "slowed")]
            self.dice.shuffle(self.left)
        name, how = self.left.pop()
        begin = time.time()
        if how == "killed":
            self._killed(name)
        else:
            for_s = self.dice.uniform(*HELD_S)
            (self._stopped if how == "stopped" else self._slowed)(name, for_s)
        made = Disturbance(name, how, begin, time.time())
        self.done.append(made)
        print(f"height {self.height()}: {made}", flush=True)
        return made

    def height(self) -> int:
        """The chain's, the last known one while nobody tells."""
        with contextlib.suppress(httpx.TransportError):
            self.last_height = self.pool.chain.height()
        return self.last_height

    def _killed(self, name: str) -> None:
        """End it as kill -9 does, and wait until it runs again: the supervisor's, or a machine's power."""
        if name == self.machine.name:
            self.machine.kill()
            time.sleep(self.dice.uniform(*HELD_S))
            self.machine.start()
            return
        pid = self.pool.send(name, signal.SIGKILL)
        wait_until(
            lambda: self.pool.has_other(name, than=pid) and self.pool.rows()[name]["up"],
            within_s=BACK_S,
            what=self.pool.diagnosis,
        )

    def _pids(self, name: str) -> list[int]:
        if name == self.machine.name:
            assert self.machine.process is not None
            pid = self.machine.process.pid
        else:
            pid = self.pool.pid(name)
        return [pid, *descendants(pid)]

    def _stopped(self, name: str, for_s: float) -> None:
        pids = self._pids(name)
        signal_all(pids, signal.SIGSTOP)
        time.sleep(for_s)
        signal_all(pids, signal.SIGCONT)

    def _slowed(self, name: str, for_s: float) -> None:
        """Slow a process: the node answers late, a machine's line carries late, others run half the time."""
        if name == "devnet":
            self._node_slowed(for_s)
        elif name == self.machine.name:
            self.line.late_s = LATE_MS / 1000
            time.sleep(for_s)
            self.line.late_s = 0.0
        else:
            pids, until = self._pids(name), time.monotonic() + for_s
            while time.monotonic() < until:
                signal_all(pids, signal.SIGSTOP)
                time.sleep(SLICE_S)
                signal_all(pids, signal.SIGCONT)
                time.sleep(SLICE_S)

    def _node_slowed(self, for_s: float) -> None:
        self.pool.chain.devnet("SetFaults", {"lagMs": LATE_MS})
        time.sleep(for_s)
        self.pool.chain.devnet("SetFaults", {"lagMs": 0})


def signal_all(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to processes, some of which may have ended."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
