"""One host's slots and what ran in each of them, as the sealing report draws it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count

from apps.sectors.models import Job, Worker
from apps.sectors.selectors.bottleneck import SEALED_BY
from apps.sectors.selectors.stage_runs import OpenStage, StageRun
from apps.sectors.states import JobState
from poolsite.wire.pipeline import WORKER_STAGES

STAGE_ORDER: Final = {stage: place for place, stage in enumerate(WORKER_STAGES)}


@dataclass(frozen=True, slots=True)
class Lane:
    """One slot of a host with what ran in it."""

    stage: str
    number: int
    """From 1."""
    runs: tuple[StageRun, ...]
    running: OpenStage | None
    since: datetime | None
    """When what runs began, as far as is known."""


@dataclass(frozen=True, slots=True)
class HostLanes:
    """One host's slots."""

    worker: Worker
    lanes: tuple[Lane, ...]
    is_capped: bool
    """Whether it ran more in the window than is read."""
    since: datetime
    """From when on its runs are known: the window's begin; of a capped host, the end of its oldest read."""
    is_absent: bool = False
    """Paused or away: it claims nothing."""


def slots_of(worker: Worker) -> dict[str, int]:
    """Return a host's slots of each stage that it knows."""
    return {stage.upper(): count for stage, count in worker.slots.items() if stage.upper() in WORKER_STAGES}


def jobs_leased_by_stage() -> Mapping[int, Mapping[str, int]]:
    """Return how many jobs each host has claimed, by its key and the stage."""
    rows = Job.objects.filter(state=JobState.LEASED, worker__isnull=False).order_by()
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for worker, stage, count in rows.values_list("worker", "stage").annotate(Count("pk")):
        found[worker][stage] = count
    return found


def host_lanes(
    worker: Worker,
    runs: Sequence[StageRun],
    leased: Sequence[OpenStage],
    *,
    read_since: datetime | None,
    since: datetime,
    now: datetime,
) -> HostLanes:
    """Lay what a host ran into its slots: each run into the first that was free when it began.

    `runs` and `leased` are its own; `read_since`: since when all are read, None if that is no later.
    """
    inside = [run for run in runs if run.end > since]
    lanes: list[Lane] = []
    slots = slots_of(worker)
    stages = {stage for stage in SEALED_BY if slots.get(stage)}
    stages |= {run.stage for run in inside} | {one.stage for one in leased}
    for stage in sorted(stages, key=lambda stage: STAGE_ORDER.get(stage, len(STAGE_ORDER))):
        rows = _rows([run for run in inside if run.stage == stage], at_least=slots.get(stage, 0))
        running, _waiting = running_split([one for one in leased if one.stage == stage], len(rows) or 1)
        rows += [[] for _ in range(len(running) - len(rows))]
        # The stage that began first got the slot that was free first.
        free = sorted(range(len(rows)), key=lambda place: _free_at(rows[place], since))
        placed = dict(zip(free, running, strict=False))
        for place, row in enumerate(rows):
            one = placed.get(place)
            began = None if one is None else min(max(one.claimed, _free_at(row, one.claimed)), now)
            lanes.append(Lane(stage, place + 1, tuple(row), one, began))
    known_since = max(read_since or since, since)
    return HostLanes(worker, tuple(lanes), is_capped=known_since > since, since=known_since)


def _free_at(row: Sequence[StageRun], otherwise: datetime) -> datetime:
    return row[-1].end if row else otherwise


def _rows(runs: Iterable[StageRun], *, at_least: int) -> list[list[StageRun]]:
    rows: list[list[StageRun]] = [[] for _ in range(at_least)]
    for run in sorted(runs, key=lambda run: (run.start, run.end)):
        free = next((row for row in rows if not row or row[-1].end <= run.start), None)
        if free is None:
            rows.append([run])
        else:
            free.append(run)
    return rows


def running_split(leased: Sequence[OpenStage], slots: int) -> tuple[list[OpenStage], list[OpenStage]]:
    """Return which of a host's claimed jobs of one stage run, and which wait on it for a slot.

    A host runs what it claimed first, and tells of progress only where it is made.
    """
    order = sorted(leased, key=lambda one: (not one.progress, one.claimed))
    return order[:slots], order[slots:]
