"""How many sectors a day hosts of one kind make: a simulation of their slots and disk over the pipeline.

Every sector goes through the stages of its host and the two waits for the chain, at the times that are given.
What is further on goes first, as claims have it; a sector keeps its room on the disk until it is proving.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from typing import Final

from apps.core.clock import DAY_S
from poolsite.wire.pipeline import SEALING, Stage

STAGES: Final = tuple(str(spec.stage) for spec in SEALING if spec.slots)
"""Stages that a host has slots for, in order."""
SEED: Final = "WAIT_SEED"
COMMIT: Final = "COMMIT_WAIT"
WAITS: Final = {SEED: Stage.PERSIST, COMMIT: Stage.C2}
"""Waits for the chain, each after which stage."""
DISK: Final = "disk"
"""What limits a host whose slots wait for room for a new sector."""
ROOMS_MAX: Final = 300
"""Sectors at a time that are simulated of a host."""
LEAST_S: Final = 1e-3
"""A step takes this at least, so that time goes on."""
PACES_KEPT: Final = 128
"""Simulations whose result a process keeps: it depends on nothing but what is given."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Hosts of one kind."""

    hosts: int
    rooms: int
    """Sectors that the disk of each has room for at a time."""
    slots: Mapping[str, int]
    seconds: Mapping[str, float]
    """Of each stage, and of the waits `SEED` and `COMMIT`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a plan makes in the long run."""

    per_day: float
    """Sectors of all hosts."""
    sector_s: float
    """From its begin to its proof's commit of one sector that never waits for a slot."""
    limit: str
    """The stage whose slots are least for what they have to do, or `DISK`."""
    use: Mapping[str, float]
    """Part of each stage's slots that is busy; of `DISK`, of the rooms."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What one more of something on each host would give, or one more host."""

    what: str
    """A stage, `DISK` or `host`."""
    per_day: float


def steps_of(plan: Plan) -> list[tuple[str, float]]:
    """Return the way of a sector: each stage and wait with its seconds."""
    steps = []
    for stage in STAGES:
        steps.append((stage, max(plan.seconds.get(stage, 0.0), LEAST_S)))
        steps += [(wait, plan.seconds.get(wait, 0.0)) for wait, after in WAITS.items() if after == stage]
    return steps


def simulate(plan: Plan) -> Outcome:
    """Return what a plan makes: one host is simulated until its pace no longer depends on how it began."""
    rooms = min(plan.rooms, ROOMS_MAX)
    steps = steps_of(plan)
    sector_s = sum(seconds for _name, seconds in steps)
    rates = {stage: plan.slots.get(stage, 0) / seconds for stage, seconds in steps if stage in STAGES}
    rates[DISK] = rooms / sector_s
    limit = min(rates, key=lambda name: rates[name])
    if rates[limit] <= 0:
        return Outcome(0.0, sector_s, limit, dict.fromkeys(rates, 0.0))
    rate = _pace(tuple(steps), tuple(sorted(plan.slots.items())), rooms)
    use = {name: min(rate / most, 1.0) for name, most in rates.items() if most}
    return Outcome(rate * DAY_S * plan.hosts, sector_s, limit, use)


@lru_cache(maxsize=PACES_KEPT)
def _pace(steps: tuple[tuple[str, float], ...], slots: tuple[tuple[str, int], ...], rooms: int) -> float:
    """Return the sectors that one host finishes in a second, over the second half of what is simulated."""
    target = min(max(10 * rooms, 200), 1_500)
    free = {name: most for name, most in slots if name in STAGES}
    queues: dict[str, list[tuple[int, int]]] = {name: [] for name in free}
    order, now = count(), 0.0
    # What ends when: time, a number that keeps equal times in order, the step that ends.
    ends: list[tuple[float, int, int]] = []
    finished: list[float] = []

    def arrive(step: int) -> None:
        name, seconds = steps[step]
        if name not in free:
            heapq.heappush(ends, (now + seconds, next(order), step))
            return
        heapq.heappush(queues[name], (-step, next(order)))
        begin(name)

    def begin(name: str) -> None:
        while free[name] and queues[name]:
            step = -heapq.heappop(queues[name])[0]
            free[name] -= 1
            heapq.heappush(ends, (now + steps[step][1], next(order), step))

    for _ in range(rooms):
        arrive(0)
    while len(finished) < target:
        now, _number, step = heapq.heappop(ends)
        name = steps[step][0]
        if name in free:
            free[name] += 1
            begin(name)
        if step + 1 < len(steps):
            arrive(step + 1)
        else:
            finished.append(now)
            arrive(0)  # a new sector takes its room
    # What ends together would shift one window; many of them, each a step later, do not care.
    many = target // 4
    starts = range(target // 2, target - many)
    took = sum(finished[start + many] - finished[start] for start in starts) / len(starts)
    return many / took


def gains(plan: Plan) -> list[Gain]:
    """Return what one more slot of each stage, one more room and one more host would give, the best first."""
    found = [
        Gain(
            stage,
            simulate(replace(plan, slots=dict(plan.slots) | {stage: plan.slots.get(stage, 0) + 1})).per_day,
        )
        for stage in STAGES
    ]
    found.append(Gain(DISK, simulate(replace(plan, rooms=plan.rooms + 1)).per_day))
    found.append(Gain("host", simulate(replace(plan, hosts=plan.hosts + 1)).per_day))
    return sorted(found, key=lambda gain: (-gain.per_day, gain.what != "host", gain.what))
