"""How a farm seals: each stage's slots, queue and times, what limits it, when its sectors will be done.

Reading is in `stage_runs`; what is here computes, so that it can be checked by hand.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.core.cache import cache
from django.utils.translation import gettext
from redis.exceptions import RedisError

from apps.core.errors import BadValue
from apps.miners.selectors import miner_get
from apps.sectors.selectors.bottleneck import SEALED_BY, Bottleneck, StageFigures, bottleneck_of
from apps.sectors.selectors.hosts import worker_is_away, workers_visible
from apps.sectors.selectors.stage_runs import (
    InWork,
    OpenStage,
    StageRun,
    StageRuns,
    finished_spans,
    sectors_in_work,
    stage_runs,
    stage_spans,
    stages_open,
)
from poolsite.wire.jobs import STAGED
from poolsite.wire.pipeline import NEXT_STAGE, SEALING, WORKER_STAGES, SectorEvent, Stage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from apps.sectors.models import Worker
    from apps.users.principals import Principal

HOURS: Final = (1, 6, 24)
"""Windows that can be chosen."""
HOSTS_MAX: Final = 50
"""Hosts of which runs are read; a host can be chosen beyond them."""
WITH_TICKET: Final = tuple(
    spec for spec in SEALING if SectorEvent.RETICKET in spec.others or spec.stage == Stage.PRECOMMIT_WAIT
)
"""The way of a ticket: from its draw to the pre-commit that uses it."""
TIMES_SHARED_S: Final = 300
ORDER: Final = {stage: place for place, stage in enumerate(WORKER_STAGES)}


@dataclass(frozen=True, slots=True)
class SealingFilter:
    """What is looked at."""

    miner: str = ""
    """Address, whose sectors are listed; slots and queues are those of all, as the hosts serve all."""
    host: str = ""
    """Uuid; empty: all."""
    hours: int = 6


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


@dataclass(frozen=True, slots=True)
class SectorEta:
    """When a sector will be proving."""

    sector: InWork
    stage: str
    eta: datetime | None
    """None while no sector of its kind has been finished, and while it waits for somebody or for its host."""
    is_late: bool
    """It is longer in its stage than nine of ten were."""
    waits_for_host: bool = False
    """Its next stage is for a host that is away or paused, and claims nothing."""


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
    finished: int
    """Sectors that were finished in the window, as far as is read: their last stage ended."""
    per_day: float
    """Finished sectors in a day: the sum of the hosts' paces, each over the time that is known of it."""


def filter_read(miner: str, host: str, hours: str) -> SealingFilter:
    """Read what is looked at.  Raises BadValue."""
    if hours and hours not in {str(one) for one in HOURS}:
        raise BadValue(
            gettext("must be one of {hours}").format(hours=", ".join(map(str, HOURS))), field="hours"
        )
    return SealingFilter(miner=miner, host=host, hours=int(hours or 6))


def sealing_report(viewer: Principal, wanted: SealingFilter, *, now: datetime) -> SealingReport:
    """Return how the viewer's hosts seal.  Raises MinerUnknown."""
    miner = miner_get(viewer, wanted.miner) if wanted.miner else None
    visible = list(workers_visible(viewer))
    everyone = [
        worker
        for worker in visible
        if set(worker.kinds) & {str(kind) for kind in STAGED} and wanted.host in ("", str(worker.uuid))
    ]
    shown = everyone[:HOSTS_MAX]
    since = now - timedelta(hours=wanted.hours)
    read = stage_runs(viewer, shown, since=since)
    runs = read.runs
    absent = {worker.pk for worker in shown if worker.is_paused or worker_is_away(worker, now=now)}
    slots = {worker.pk: {} if worker.pk in absent else slots_of(worker) for worker in shown}
    waits = waits_here(
        stages_open(viewer), slots.keys(), {worker.pk for worker in visible}, is_chosen=bool(wanted.host)
    )
    hosts = tuple(
        replace(host_lanes(worker, read, waits, since=since, now=now), is_absent=worker.pk in absent)
        for worker in shown
    )
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
        sectors=sector_etas(
            sectors_in_work(viewer, miner=miner, now=now), stage_spans(viewer, miner=miner), now=now
        ),
        finished=ended.total(),
        per_day=sum(
            ended[host.worker.pk] * 86_400 / max((now - host.since).total_seconds(), 1) for host in hosts
        ),
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


def slots_of(worker: Worker) -> dict[str, int]:
    """Return a host's slots of each stage that it knows."""
    return {stage.upper(): count for stage, count in worker.slots.items() if stage.upper() in WORKER_STAGES}


def host_lanes(
    worker: Worker,
    read: StageRuns,
    waits: Sequence[OpenStage],
    *,
    since: datetime,
    now: datetime,
) -> HostLanes:
    """Lay what a host ran into its slots: each run into the first that was free when it began."""
    inside = [run for run in read.runs if run.worker == worker.pk and run.end > since]
    held = [one for one in waits if one.holder == worker.pk]
    lanes: list[Lane] = []
    slots = slots_of(worker)
    stages = {stage for stage in SEALED_BY if slots.get(stage)}
    stages |= {run.stage for run in inside} | {one.stage for one in held}
    for stage in sorted(stages, key=lambda stage: ORDER.get(stage, len(ORDER))):
        rows = _rows([run for run in inside if run.stage == stage], at_least=slots.get(stage, 0))
        running, _waiting = running_split([one for one in held if one.stage == stage], len(rows) or 1)
        rows += [[] for _ in range(len(running) - len(rows))]
        # What began first took the slot that was free first.
        free = sorted(range(len(rows)), key=lambda place: _free_at(rows[place], since))
        placed = dict(zip(free, running, strict=False))
        for place, row in enumerate(rows):
            one = placed.get(place)
            began = None if one is None else min(max(one.claimed, _free_at(row, one.claimed)), now)
            lanes.append(Lane(stage, place + 1, tuple(row), one, began))
    read_since = max(read.read_since.get(worker.pk, since), since)
    return HostLanes(worker, tuple(lanes), is_capped=read_since > since, since=read_since)


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


def running_split(held: Sequence[OpenStage], slots: int) -> tuple[list[OpenStage], list[OpenStage]]:
    """Return which of a host's claimed jobs of one stage run, and which wait on it for a slot.

    A host runs what it claimed first, and tells of progress only where it is made.
    """
    order = sorted(held, key=lambda one: (not one.progress, one.claimed))
    return order[:slots], order[slots:]


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
    # Other pipelines' stages only once they have something to tell.
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
        for stage in sorted(known, key=lambda stage: ORDER.get(stage, len(ORDER)))
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
        return min(sum(worked[worker] for worker in of) / time, 1.0) if time else None

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
    begun = sum(
        lane.running is not None and lane.since is not None and lane.running.arrived <= since < lane.since
        for lane in lanes
    )
    return ended + begun + sum(one.arrived <= since for one in queue)


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the value below which `share` of the ordered values lie, between two of them in proportion."""
    if not ordered:
        return None
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def precommit_times(viewer: Principal) -> dict[tuple[int, str], float]:
    """Return the seconds from each state with a ticket until the pre-commit lands, by proof type and state.

    19 of 20 of the newest finished sectors took no longer, waits included; kept for `TIMES_SHARED_S`.
    """
    name = f"sectors-precommit-times-{'all' if viewer.is_operator else viewer.own_id}"
    with suppress(RedisError, OSError):
        if (known := cache.get(name)) is not None:
            return dict(known)
    left: dict[tuple[int, str], list[float]] = defaultdict(list)
    for seal_proof, taken in finished_spans(viewer):
        seconds = 0.0
        for spec in reversed(WITH_TICKET):
            seconds += taken.get(str(spec.stage), 0.0)
            left[seal_proof, str(spec.state)].append(seconds)
    found = {key: percentile(sorted(all_of), 0.95) or 0.0 for key, all_of in left.items()}
    with suppress(RedisError, OSError):
        cache.set(name, found, TIMES_SHARED_S)
    return found


def sector_etas(
    sectors: Iterable[InWork], spans: Mapping[int, Mapping[str, Sequence[float]]], *, now: datetime
) -> tuple[SectorEta, ...]:
    """Return when sectors will be proving, by what finished ones of their proof type took for each stage.

    Those that wait for a decision first, then those that are late, then the soonest.
    """
    found = [_eta(sector, spans.get(sector.seal_proof, {}), now=now) for sector in sectors]
    return tuple(
        sorted(
            found,
            key=lambda one: (not one.sector.is_paused, not one.is_late, one.eta or now, one.sector.number),
        )
    )


def _eta(sector: InWork, spans: Mapping[str, Sequence[float]], *, now: datetime) -> SectorEta:
    states = [str(spec.state) for spec in SEALING]
    stages = [str(spec.stage) for spec in SEALING if spec.next]
    stage = str(NEXT_STAGE[sector.state].stage)
    present = sorted(spans.get(stage, ()))
    elapsed = (now - sector.since).total_seconds()
    most = percentile(present, 0.9)
    is_late = most is not None and elapsed > most
    waits_for_host = stage in WORKER_STAGES and (sector.is_host_away or sector.is_host_paused)
    if sector.is_paused or waits_for_host or not spans:
        return SectorEta(sector, stage, None, is_late and not sector.is_paused, waits_for_host)
    left = max((percentile(present, 0.5) or 0.0) - elapsed, 0.0)
    later = stages[states.index(sector.state) + 1 :]
    left += sum(percentile(sorted(spans.get(one, ())), 0.5) or 0.0 for one in later)
    return SectorEta(sector, stage, now + timedelta(seconds=left), is_late)
