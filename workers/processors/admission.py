"""Which child of a stage gets the next task, and when: room, named locks, time between starts.

One condition guards everything, so a task takes its place and all its locks in one step: no two tasks
wait for each other.  Source: ipfs-force-community/damocles damocles-worker/src/limit.rs, sealing/resource.rs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from workers.processors.errors import CallGivenUp

CHECK_S: Final = 1.0
"""How often a task that waits looks whether it is still wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A child, as far as it matters who gets the next task."""

    number: int
    capacity: int = 0
    """Tasks at a time; 0: any number."""
    sectors: int = 1
    """Tasks of one request: the requests of a child are filled before the next child has some."""
    locks: tuple[str, ...] = ()
    weight: int = 1
    """Of two with equal load, one of twice the weight gets twice as many tasks."""


@dataclass(slots=True)
class _Starts:
    """What has begun of one stage."""

    last: float = float("-inf")
    ended: bool = True
    """Whether a task has ended since the last start: the next need not wait then."""


@dataclass(slots=True)
class Admission:
    """Admits tasks to children; safe to use from several threads."""

    locks: Mapping[str, int] = field(default_factory=dict)
    """Name → holders at a time; one that is not here has one."""
    staggered_s: Mapping[str, float] = field(default_factory=dict)
    """Stage → least time between two starts."""
    clock: Callable[[], float] = time.monotonic
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _running: dict[int, int] = field(default_factory=dict)
    _held: dict[str, int] = field(default_factory=dict)
    _starts: dict[str, _Starts] = field(default_factory=dict)

    @contextmanager
    def admitted(
        self,
        stage: str,
        places: Sequence[Place],
        *,
        is_wanted: Callable[[], bool],
        avoided: Callable[[], frozenset[int]] = frozenset,
    ) -> Iterator[Place]:
        """Wait for a free child among `places`, and hold it and its locks.

        Children that are `avoided` (they did not get ready just now) come last.  Raises CallGivenUp.
        """
        with self._changed:
            while (place := self._take(stage, places, avoided())) is None:
                self._changed.wait(min(CHECK_S, self._pause(stage)))
                if not is_wanted():
                    raise CallGivenUp(f"{stage}: cancelled")
        try:
            yield place
        finally:
            self._give_back(stage, place)

    def _pause(self, stage: str) -> float:
        """Return for how long the stage's next start must wait; at least a moment."""
        starts, gap = self._starts.get(stage), self.staggered_s.get(stage, 0.0)
        left = CHECK_S if starts is None or starts.ended else starts.last + gap - self.clock()
        return left if left > 0 else CHECK_S

    def _take(self, stage: str, places: Sequence[Place], avoided: frozenset[int]) -> Place | None:
        starts = self._starts.setdefault(stage, _Starts())
        if not starts.ended and self.clock() - starts.last < self.staggered_s.get(stage, 0.0):
            return None
        free = [one for one in places if self._is_free(one)]
        if not free:
            return None
        place = min(free, key=lambda one: (one.number in avoided, self._load(one), -one.capacity, one.number))
        self._running[place.number] = self._running.get(place.number, 0) + 1
        for lock in place.locks:
            self._held[lock] = self._held.get(lock, 0) + 1
        starts.last, starts.ended = self.clock(), False
        return place

    def _is_free(self, place: Place) -> bool:
        has_room = not place.capacity or self._running.get(place.number, 0) < place.capacity
        return has_room and all(self._held.get(lock, 0) < self.locks.get(lock, 1) for lock in place.locks)

    def _load(self, place: Place) -> float:
        return self._running.get(place.number, 0) // place.sectors / place.weight

    def _give_back(self, stage: str, place: Place) -> None:
        with self._changed:
            self._running[place.number] -= 1
            for lock in place.locks:
                self._held[lock] -= 1
            self._starts[stage].ended = True
            self._changed.notify_all()
