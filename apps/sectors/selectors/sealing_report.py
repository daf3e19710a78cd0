"""How a farm seals: each stage's slots, queue and times, what limits it, when its sectors will be done.

Reading is in `stage_runs`; what is here computes, so that it can be checked by hand.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Prefetch

from apps.core.clock import DAY_S
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.miners.selectors.miners import miner_get
from apps.sectors.models import Worker
from apps.sectors.selectors.bottleneck import SEALED_BY, Bottleneck, StageFigures, bottleneck_of
from apps.sectors.selectors.host_lanes import STAGE_ORDER, HostLanes, Lane, host_lanes, slots_of
from apps.sectors.selectors.hosts import jobs_held, worker_is_away, workers_visible
from apps.sectors.selectors.percentiles import percentile
from apps.sectors.selectors.sector_etas import SectorEta, sector_etas
from apps.sectors.selectors.stage_runs import (
    OpenStage,
    StageRun,
    StageRuns,
    runs_of_host,
    sectors_in_work,
    stage_runs,
    stage_spans,
    stages_open,
)
from apps.users.rules.principals import Principal
from poolsite.wire.jobs import STAGED
from poolsite.wire.pipeline import SEALING, WORKER_STAGES


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
        if run.end > (known := known_since[run.worker]):
            worked[run.worker] += min(run.seconds, (run.end - known).total_seconds())
    for worker, lane in lanes:
        worked[worker] += (now - max(lane.since or now, known_since[worker])).total_seconds()
    bound = {one.bound for one in queue}
    waited_for = {worker for worker in slots if None in bound or worker in bound}

    def use(of: Collection[int]) -> float | None:
        time = sum(slots[worker] * (now - known_since[worker]).total_seconds() for worker in of)
        return min(sum(worked[worker] for worker in of) / time, 1.0) if time > 0 else None

    seconds, newest = sorted(run.seconds for run in good), [run for run in runs if run.end > since]
    return StageFigures(
        stage=stage,
        slots=sum(slots.values()),
        running=len(lanes),
        waiting=len(queue),
        waiting_before=_waited_at(since, newest, [lane for _worker, lane in lanes], queue),
        oldest=min((one.arrived for one in queue), default=None),
        runs=sum(not run.is_error for run in newest),
        failed=sum(run.is_error for run in newest),
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


HOURS: Final = (1, 6, 24)
"""Windows that can be chosen."""
HOSTS_MAX: Final = 2_000
"""Hosts of which runs are read; a host can be chosen beyond them."""


@dataclass(frozen=True, slots=True)
class SealingFilter:
    """What is looked at."""

    miner: str = ""
    """Address, whose sectors are listed; slots and queues are those of all, as the hosts serve all."""
    host: str = ""
    """Uuid; empty: all."""
    hours: int = 6


@dataclass(frozen=True, slots=True)
class SealingReport:
    """All of it at one time."""

    at: datetime
    since: datetime
    hosts: tuple[HostLanes, ...]
    hosts_left_out: int
    stages: tuple[StageFigures, ...]
    bottleneck: Bottleneck
    sectors: tuple[SectorEta, ...]
    runs_of_host: int
    """Newest runs that are read of each host."""
    finished: int
    """Sectors that were finished in the window, as far as is read: their last stage ended."""
    per_day: float | None
    """Finished sectors in a day: the sum of the hosts' paces, each over the time that is known of it.

    None while no host is as old as the window.
    """


def filter_read(miner: str, host: str, hours: str) -> SealingFilter:
    """Read what is looked at.  Raises BadValue."""
    if hours and hours not in {str(one) for one in HOURS}:
        raise BadValue(
            gettext("must be one of {hours}").format(hours=", ".join(map(str, HOURS))), field="hours"
        )
    return SealingFilter(miner=miner, host=host, hours=int(hours or 6))


def sealing_report(viewer: Principal, filters: SealingFilter, *, now: datetime) -> SealingReport:
    """Return how the viewer's hosts seal.  Raises MinerUnknown."""
    miner = miner_get(viewer, filters.miner) if filters.miner else None
    held = Prefetch("jobs", queryset=jobs_held(viewer).only("worker_id"), to_attr="held_jobs")
    visible = list(workers_visible(viewer).prefetch_related(None).prefetch_related(held))
    everyone = [
        worker
        for worker in visible
        if set(worker.kinds) & {str(kind) for kind in STAGED} and filters.host in ("", str(worker.uuid))
    ]
    shown = everyone[:HOSTS_MAX]
    since = now - timedelta(hours=filters.hours)
    read = stage_runs(viewer, shown, since=since)
    runs = read.runs
    absent = {worker.pk for worker in shown if worker.is_paused or worker_is_away(worker, now=now)}
    slots = {worker.pk: {} if worker.pk in absent else slots_of(worker) for worker in shown}
    waits = waits_here(
        stages_open(viewer), slots.keys(), {worker.pk for worker in visible}, is_chosen=bool(filters.host)
    )
    hosts = _hosts(shown, read, waits, absent=absent, since=since, now=now)
    stages = stage_figures(hosts, runs, waits, slots=slots, since=since, now=now)
    known = {host.worker.pk: host.since for host in hosts}
    ended: Counter[int] = Counter(
        run.worker
        for run in runs
        if run.stage == LAST and run.is_new and run.end > known[run.worker] and not run.is_error
    )
    return SealingReport(
        at=now,
        since=since,
        hosts=hosts,
        hosts_left_out=len(everyone) - len(shown),
        stages=stages,
        bottleneck=bottleneck_of(stages, slots, runs, waits),
        runs_of_host=runs_of_host(len(shown)),
        sectors=sector_etas(
            sectors_in_work(viewer, miner=miner, now=now), stage_spans(viewer, miner=miner), now=now
        ),
        finished=ended.total(),
        per_day=sum(
            ended[host.worker.pk] * DAY_S / max((now - host.since).total_seconds(), 1) for host in hosts
        )
        if any(host.is_capped or host.worker.created_at <= since for host in hosts)
        else None,
    )


def _hosts(
    workers: Iterable[Worker],
    read: StageRuns,
    waits: Iterable[OpenStage],
    *,
    absent: Collection[int],
    since: datetime,
    now: datetime,
) -> tuple[HostLanes, ...]:
    """Lay each host's runs and jobs into its slots."""
    runs: dict[int, list[StageRun]] = defaultdict(list)
    for run in read.runs:
        runs[run.worker].append(run)
    leased: dict[int | None, list[OpenStage]] = defaultdict(list)
    for one in waits:
        leased[one.holder].append(one)
    return tuple(
        replace(
            host_lanes(
                worker,
                runs[worker.pk],
                leased[worker.pk],
                read_since=read.read_since.get(worker.pk),
                since=since,
                now=now,
            ),
            is_absent=worker.pk in absent,
        )
        for worker in workers
    )


def waits_here(
    waits: Iterable[OpenStage], shown: Collection[int], visible: Collection[int], *, is_chosen: bool
) -> list[OpenStage]:
    """Return what runs on the hosts that are shown or waits for them; what other hosts have is theirs."""

    def is_here(one: OpenStage) -> bool:
        if one.holder is not None or is_chosen:
            return one.bound in shown
        return one.bound is None or one.bound in shown or one.bound not in visible

    return [one for one in waits if is_here(one)]


LAST: Final = str(next(spec.stage for spec in reversed(SEALING) if spec.stage in WORKER_STAGES))
"""The last stage of a host before a sector is proving."""
