"""What limits a farm: the stage whose slots are full while its queue grows; what one more slot gives."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from apps.core.clock import DAY_S
from apps.sectors.selectors.stage_runs import OpenStage, StageRun
from poolsite.wire.pipeline import SEALING, WORKER_STAGES

KINDS: Final = ("growing", "full", "missing", "idle")
"""Values of `Bottleneck.kind`."""
FULL: Final = 0.9
"""Slots that worked this part of the window count as full, though one is free just now."""
GAIN_MIN: Final = 0.05
"""Sectors in a day; what one more slot gives below it is nothing."""
SEALED_BY: Final = tuple(str(spec.stage) for spec in SEALING if spec.stage in WORKER_STAGES)
"""Stages through which every sector goes on its host."""


@dataclass(frozen=True, slots=True)
class StageFigures:
    """One stage over all hosts that are shown."""

    stage: str
    slots: int
    running: int
    waiting: int
    waiting_before: int
    """How many waited when the window began."""
    oldest: datetime | None
    runs: int
    """Ended well in the window."""
    failed: int
    use: float | None
    """Part of the slots' time in the window that was worked; None without slots."""
    queue_slots: int
    """Slots of the hosts that the queue waits for: the files of a sector bind it to one."""
    queue_running: int
    queue_use: float | None
    p50_s: float | None
    p90_s: float | None
    history: int
    """Runs from which the percentiles are."""


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What limits the farm, with what that rests on."""

    kind: str
    """`growing`: full while its queue grows; `full`: full with a queue that does not grow; `missing`: a queue
    for which no host has a slot; `idle`: no stage is full while sectors wait."""
    figures: StageFigures | None = None
    """Of the stage; with `idle`, of the one that worked most."""
    worker: int | None = None
    """The host with the longest queue for its slots; None: no queue is bound to one."""
    worker_waiting: int = 0
    worker_slots: int = 0
    per_day: float | None = None
    """Sectors in a day that the hosts' slots can make at their measured times; None: not all are measured."""
    more_per_day: float | None = None
    """The same with one more slot of the stage on that host."""
    next_stage: str = ""
    """What limits that host then."""

    @property
    def limiting(self) -> str:
        """Return the stage that limits the farm: at measured times another one than that with a queue now."""
        if self.figures is None or self.kind == "idle":
            return ""
        return self.figures.stage if self.gain is None or self.gain >= GAIN_MIN else self.next_stage

    @property
    def gain(self) -> float | None:
        """Return how many more sectors in a day one more slot gives; None: not all stages are measured."""
        if self.per_day is None or self.more_per_day is None:
            return None
        return self.more_per_day - self.per_day


def bottleneck_of(
    stages: Sequence[StageFigures],
    slots: Mapping[int, Mapping[str, int]],
    runs: Iterable[StageRun],
    waits: Iterable[OpenStage],
) -> Bottleneck:
    """Find what limits the farm."""
    queued = [one for one in stages if one.waiting]
    full = [one for one in queued if is_full(one)]
    missing = [one for one in queued if not one.queue_slots]
    if full:
        found = max(full, key=_rank)
        return _with_host(found, "growing" if is_growing(found) else "full", slots, runs, waits)
    if missing:
        return Bottleneck("missing", max(missing, key=lambda one: one.waiting))
    worked = [one for one in stages if one.use]
    return Bottleneck("idle", max(worked, key=lambda one: one.use or 0, default=None))


def _rank(row: StageFigures) -> tuple[bool, bool, float, int]:
    """Return how much a stage limits: slots full all the time before such that are taken just now."""
    use = row.queue_use or 0.0
    return (use >= FULL, is_growing(row), use, row.waiting)


def is_growing(row: StageFigures) -> bool:
    """Return whether more wait than when the window began."""
    return row.waiting > row.waiting_before


def is_full(row: StageFigures) -> bool:
    """Return whether the slots that a stage's queue waits for are all taken, or were nearly all the time."""
    return row.queue_slots > 0 and (row.queue_running >= row.queue_slots or (row.queue_use or 0) >= FULL)


def _with_host(
    found: StageFigures,
    kind: str,
    slots: Mapping[int, Mapping[str, int]],
    runs: Iterable[StageRun],
    waits: Iterable[OpenStage],
) -> Bottleneck:
    having = {worker: counts[found.stage] for worker, counts in slots.items() if counts.get(found.stage)}
    bound = Counter(one.bound for one in waits if one.stage == found.stage and one.bound in having)
    worker = max(having, key=lambda one: (bound[one] - having[one], bound[one], -one), default=None)
    if worker is None:
        return Bottleneck(kind, found)
    means = stage_means(runs)
    now = {one: limit_of(counts, means) for one, counts in slots.items() if any(counts.values())}
    more = dict(slots[worker]) | {found.stage: having[worker] + 1}
    then = limit_of(more, means)
    rates = [rate for rate, _stage in now.values()]
    per_day = None if None in rates else sum(rate or 0.0 for rate in rates)
    gained = None
    if per_day is not None and then[0] is not None:
        gained = per_day - (now[worker][0] or 0.0) + then[0]
    return Bottleneck(
        kind,
        found,
        worker=worker,
        worker_waiting=max(bound[worker] - having[worker], 0),
        worker_slots=having[worker],
        per_day=per_day,
        more_per_day=gained,
        next_stage=then[1],
    )


def stage_means(runs: Iterable[StageRun]) -> dict[str, float]:
    """Return how many seconds each stage takes on average."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        if not run.is_error:
            seconds[run.stage].append(run.seconds)
    return {stage: sum(many) / len(many) for stage, many in seconds.items()}


def limit_of(slots: Mapping[str, int], means: Mapping[str, float]) -> tuple[float | None, str]:
    """Return how many sectors in a day one host's slots can make, and which stage limits them.

    None while a stage that it has slots for was not measured; stages that take no time limit nothing.
    """
    stages = [stage for stage in SEALED_BY if slots.get(stage)]
    if any(stage not in means for stage in stages):
        return None, ""
    rates = [(slots[stage] * DAY_S / means[stage], stage) for stage in stages if means[stage]]
    return min(rates) if rates else (None, "")
