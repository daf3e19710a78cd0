"""Which deadline a new sector gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class NoDeadline(ValueError):
    """Every deadline is immutable or full."""


@dataclass(slots=True)
class DeadlineLoad:
    """How full a deadline is, while sectors are assigned."""

    index: int
    """From 0, within the proving period."""
    live_sectors: int
    """Sectors that are not terminated."""
    total_sectors: int
    """Sectors in its partitions, terminated ones included until compaction removes them."""


def deadlines_assign(
    loads: Sequence[DeadlineLoad], count: int, *, partition_sectors: int, max_partitions: int
) -> list[int]:
    """Return the deadline of each of `count` new sectors; `loads` lists only the mutable deadlines.

    One sector after another goes where it (1) makes the fewest partitions counting live sectors, (2) the
    fewest counting all, (3) opens no new partition, then into the fuller open one, (4) to the fewest live
    sectors, (5) to the lowest index.  Raises NoDeadline.  Source: builtin-actors
    actors/miner/src/deadline_assignment.rs.
    """
    state = [DeadlineLoad(load.index, load.live_sectors, load.total_sectors) for load in loads]

    def rank(load: DeadlineLoad) -> tuple[int, ...]:
        """Return what deadlines are compared by, the steps (1) to (5) in turn; the least is chosen."""
        in_last = load.total_sectors % partition_sectors
        return (
            load.live_sectors // partition_sectors + 1,
            load.total_sectors // partition_sectors + 1,
            in_last == 0,
            # The actor compares all sectors here; with as many partitions, the last one's decide.
            -in_last,
            load.live_sectors,
            load.index,
        )

    chosen = []
    for _ in range(count):
        open_deadlines = [load for load in state if load.total_sectors < partition_sectors * max_partitions]
        if not open_deadlines:
            raise NoDeadline(f"max partitions limit {max_partitions} reached for all deadlines")
        best = min(open_deadlines, key=rank)
        best.live_sectors += 1
        best.total_sectors += 1
        chosen.append(best.index)
    return chosen
