"""Power, sectors and pledge of each miner on each day, counted from the sectors' rows."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate

from poolsite.demo.world import DEPOSIT, PLEDGE, SECTOR_BYTES, World, midnight
from poolsite.wire.pipeline import SectorState


@dataclass(slots=True)
class Course:
    """A miner's sectors in the order of their activation, with running sums."""

    heights: list[int] = field(default_factory=list)
    qa: list[int] = field(default_factory=list)
    pledge: list[int] = field(default_factory=list)
    faulty: int = 0
    deposits: list[tuple[int, int]] = field(default_factory=list)
    """Epochs from which to which a deposit is locked, the latter past the head where it still is."""


@dataclass(slots=True)
class Figures:
    """The miners' courses by pk."""

    world: World
    courses: dict[int, Course]

    def _count(self, miner: int, height: int) -> int:
        return bisect_right(self.courses[miner].heights, height)

    def height(self, place: int) -> int:
        """Return the epoch at which a day begins."""
        return self.world.height_at(midnight(self.world.days[place]))

    def sectors_at(self, miner: int, height: int) -> int:
        """Return how many sectors were live at an epoch."""
        return self._count(miner, height)

    def power_at(self, miner: int, height: int) -> int:
        """Return quality-adjusted bytes at an epoch."""
        count = self._count(miner, height)
        return self.courses[miner].qa[count - 1] if count else 0

    def power(self, miner: int, place: int) -> int:
        """Return quality-adjusted bytes as a day began."""
        return self.power_at(miner, self.height(place))

    def pledge_at(self, miner: int, height: int) -> int:
        """Return attoFIL pledged at an epoch."""
        count = self._count(miner, height)
        return self.courses[miner].pledge[count - 1] if count else 0

    def deposits_at(self, miner: int, height: int) -> int:
        """Return attoFIL of pre-commits under way at an epoch."""
        return sum(DEPOSIT for begin, end in self.courses[miner].deposits if begin <= height < end)


def figures_count(world: World, head: int) -> Figures:
    """Count the courses of all miners."""
    by_miner = defaultdict(list)
    courses = {miner.pk: Course() for miner in world.miners}
    for sector in world.sectors:
        if sector.state == SectorState.PROVING and sector.activation is not None:
            by_miner[sector.miner_id].append(sector)
            courses[sector.miner_id].faulty += not sector.active
        if sector.precommit_epoch is not None and sector.state != SectorState.TERMINATED:
            end = head + 1 if sector.activation is None else sector.activation
            courses[sector.miner_id].deposits.append((sector.precommit_epoch, end))
    for pk, sectors in by_miner.items():
        sectors.sort(key=lambda one: one.activation or 0)
        course = courses[pk]
        course.heights = [one.activation or 0 for one in sectors]
        course.qa = list(
            accumulate(SECTOR_BYTES * max(int(one.initial_pledge) // PLEDGE, 1) for one in sectors)
        )
        course.pledge = list(accumulate(int(one.initial_pledge) for one in sectors))
    return Figures(world, courses)


def hour_before(at: datetime, hours: int) -> datetime:
    """Return the begin of the hour that lies so many before the running one."""
    return at.replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)
