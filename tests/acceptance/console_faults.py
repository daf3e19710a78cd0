"""What befalls one of several console machines: cuts, hangs, kills, a wrong clock, a full disk."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import httpx

from tests.acceptance.disturbances import Disturbance, signal_all
from tests.acceptance.pool import RunningPool, descendants
from tests.acceptance.shifted_clock import ShiftedClock
from tests.cables import Cut
from tests.integration.consoles import Site
from tests.integration.pools import Pool, wait_until

ROLES: Final = ("follower", "blocks")
FAULT_S: Final = (6.0, 12.0)
"""How long one lasts."""
WRONG_S: Final = 180
"""A clock that is wrong is three minutes fast or slow."""
SETTLED_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that befalls a machine: how it begins, and how it ends."""

    name: str
    begin: Callable[[], object]
    end: Callable[[], object]
    moves: frozenset[str] = frozenset()
    """The roles that another machine has to take over."""


class Consoles:
    """The machines of a pool by name, and what can befall each."""

    def __init__(self, site: Site, machines: Mapping[str, Pool], clocks: Mapping[str, ShiftedClock]) -> None:
        self.site, self.machines, self.clocks = site, dict(machines), dict(clocks)

    def faults(self, machine: str) -> list[Fault]:
        """Return all that can befall a machine."""
        found = [self._cut(machine, cable, how) for cable in self.site.cables for how in Cut]
        found += [self._stopped(machine, name) for name in (*ROLES, "tasks", "tasks-slow")]
        found += [self._killed(machine, name) for name in (*ROLES, "tasks", "tasks-slow", "web-1")]
        found += [self._paused(machine)]
        if machine in self.clocks:
            found += [self._wrong_clock(machine, ahead_s) for ahead_s in (WRONG_S, -WRONG_S)]
        if os.path.ismount(self.machines[machine].var):
            found.append(self._full_disk(machine))
        return found

    def settle(self) -> None:
        """Wait until each role has one leader, all processes run, and others could take each role over."""
        for role in ROLES:
            wait_until(
                lambda role=role: len(self.site.leaders(role)) == 1, within_s=SETTLED_S, what=f"{role} is led"
            )
        for name, machine in self.machines.items():
            wait_until(machine.all_up, within_s=SETTLED_S, what=f"all of {name} runs: {machine.rows()}")
        for role in ROLES:
            self.site.able_wait(*self.machines, role=role)

    def _pid(self, machine: str, process: str) -> int:
        return int(self.machines[machine].rows()[process]["pid"])

    def _cut(self, machine: str, cable: str, how: Cut) -> Fault:
        return Fault(
            f"{cable} {how}",
            lambda: self.site.cables[cable].cut(how, machine),
            self.site.mend,
            moves=frozenset(ROLES),
        )

    def _stopped(self, machine: str, process: str) -> Fault:
        pids: list[int] = []

        def stop() -> None:
            pids.append(self._pid(machine, process))
            signal_all(pids, signal.SIGSTOP)

        roles = frozenset({process}) & frozenset(ROLES)
        return Fault(f"{process} stopped", stop, lambda: signal_all(pids, signal.SIGCONT), moves=roles)

    def _killed(self, machine: str, process: str) -> Fault:
        return Fault(f"{process} killed", lambda: self.machines[machine].kill(process), lambda: None)

    def _paused(self, machine: str) -> Fault:
        pids: list[int] = []

        def pause() -> None:
            supervisor = self.machines[machine].supervisor
            assert supervisor is not None
            pids.extend([supervisor.pid, *descendants(supervisor.pid)])
            signal_all(pids, signal.SIGSTOP)

        return Fault(
            "machine paused", pause, lambda: signal_all(pids, signal.SIGCONT), moves=frozenset(ROLES)
        )

    def _wrong_clock(self, machine: str, ahead_s: int) -> Fault:
        clock = self.clocks[machine]
        return Fault(
            f"clock {ahead_s:+} s",
            lambda: clock.set(ahead_s),
            lambda: clock.set(0),
            moves=frozenset(ROLES),
        )

    def _full_disk(self, machine: str) -> Fault:
        filler = self.machines[machine].var / "filler"

        def fill() -> None:
            with filler.open("wb", buffering=0) as out, contextlib.suppress(OSError):
                while True:
                    out.write(bytes(1 << 16))

        return Fault("disk full", fill, lambda: filler.unlink(missing_ok=True))


class ConsoleDisturber:
    """Has one fault at a time befall some machine; each comes once before any comes again."""

    def __init__(self, pool: RunningPool, consoles: Consoles, dice: random.Random) -> None:
        self.pool, self.consoles, self.dice = pool, consoles, dice
        self.done: list[Disturbance] = []
        self.left: list[tuple[str, Fault]] = []
        self.last_height = -1

    def one(self) -> Disturbance:
        """Disturb a machine for a while, then wait until every machine works and one leads."""
        if not self.left:
            self.left = [(name, one) for name in self.consoles.machines for one in self.consoles.faults(name)]
            self.dice.shuffle(self.left)
        machine, fault = self.left.pop()
        begin = time.time()
        fault.begin()
        try:
            time.sleep(self.dice.uniform(*FAULT_S))
        finally:
            fault.end()
        self.consoles.settle()
        made = Disturbance(machine, fault.name, begin, time.time())
        self.done.append(made)
        print(f"height {self.height()}: {made}", flush=True)
        return made

    def height(self) -> int:
        """Return the chain's height, the last known one while nobody tells."""
        with contextlib.suppress(httpx.TransportError):
            self.last_height = self.pool.chain.height()
        return self.last_height
