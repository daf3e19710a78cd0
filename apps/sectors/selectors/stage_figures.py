"""The figures of each stage of the sealing report: its slots, queue, times and use."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from apps.sectors.selectors.bottleneck import SEALED_BY, StageFigures
from apps.sectors.selectors.host_lanes import STAGE_ORDER, HostLanes, Lane
from apps.sectors.selectors.percentiles import percentile
from poolsite.wire.pipeline import WORKER_STAGES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from apps.sectors.selectors.stage_runs import OpenStage, StageRun


def stage_figures(
    hosts: Sequence[HostLanes],
    runs: Sequence[StageRun],
    waits: Sequence[OpenStage],
    *,
    slots: Mapping[int, Mapping[str, int]],
    since: datetime,
    now: datetime,
) -> tuple[StageFigures, ...]:
    """Return the figures of each stage that has slots, runs or a queue, in the pipeline's order."""
    lanes_by: dict[str, list[tuple[int, Lane]]] = defaultdict(list)
    for host in hosts:
        for lane in host.lanes:
            if lane.running is not None:
                lanes_by[lane.stage].append((host.worker.pk, lane))
    by_stage: dict[str, list[StageRun]] = defaultdict(list)
    for run in runs:
        by_stage[run.stage].append(run)
    open_by: dict[str, list[OpenStage]] = defaultdict(list)
    for one in waits:
        open_by[one.stage].append(one)
    known_since = {host.worker.pk: host.since for host in hosts}
    slots_by = {
        stage: {worker: counts[stage] for worker, counts in slots.items() if counts.get(stage)}
        for stage in WORKER_STAGES
    }
    # Stages of other pipelines are shown only once they have figures.
    known = {stage for stage in SEALED_BY if slots_by[stage]} | set(by_stage) | set(open_by)
    return tuple(
        _figures(
            stage,
            by_stage[stage],
            lanes_by[stage],
            open_by[stage],
            slots_by[stage],
            known_since=known_since,
            since=since,
            now=now,
        )
        for stage in sorted(known, key=lambda stage: STAGE_ORDER.get(stage, len(STAGE_ORDER)))
    )


def _figures(
    stage: str,
    runs: Sequence[StageRun],
    lanes: Sequence[tuple[int, Lane]],
    waits: Sequence[OpenStage],
    slots: Mapping[int, int],
    *,
    known_since: Mapping[int, datetime],
    since: datetime,
    now: datetime,
) -> StageFigures:
    busy = {id(lane.running) for _worker, lane in lanes}
    # What a host has claimed waits for its own slots; an absent one has none to wait for.
    queue = [one for one in waits if id(one) not in busy and (one.holder is None or one.holder in slots)]
    good = [run for run in runs if not run.is_error]
    worked: dict[int, float] = defaultdict(float)
    for run in good:
        begin = max(run.start, known_since[run.worker])
        worked[run.worker] += max((run.end - begin).total_seconds(), 0.0)
    for worker, lane in lanes:
        worked[worker] += (now - max(lane.since or now, known_since[worker])).total_seconds()
    bound = {one.bound for one in queue}
    waited_for = {worker for worker in slots if None in bound or worker in bound}

    def use(of: Collection[int]) -> float | None:
        time = sum(slots[worker] * (now - known_since[worker]).total_seconds() for worker in of)
        return min(sum(worked[worker] for worker in of) / time, 1.0) if time > 0 else None

    seconds = sorted(run.seconds for run in good)
    return StageFigures(
        stage=stage,
        slots=sum(slots.values()),
        running=len(lanes),
        waiting=len(queue),
        waiting_before=_waited_at(since, runs, [lane for _worker, lane in lanes], queue),
        oldest=min((one.arrived for one in queue), default=None),
        runs=sum(run.end > since for run in good),
        failed=sum(run.is_error and run.end > since for run in runs),
        use=use(slots.keys()),
        queue_slots=sum(slots[worker] for worker in waited_for),
        queue_running=sum(worker in waited_for for worker, _lane in lanes),
        queue_use=use(waited_for),
        p50_s=percentile(seconds, 0.5),
        p90_s=percentile(seconds, 0.9),
        history=len(seconds),
    )


def _waited_at(
    since: datetime, runs: Iterable[StageRun], lanes: Iterable[Lane], queue: Iterable[OpenStage]
) -> int:
    """Count what had come by then and had not begun."""
    ended = sum(run.arrived is not None and run.arrived <= since < run.start for run in runs)
    started = sum(
        lane.running is not None and lane.since is not None and lane.running.arrived <= since < lane.since
        for lane in lanes
    )
    return ended + started + sum(one.arrived <= since for one in queue)
