"""How a farm seals: each stage's slots, queue and times, what limits it, when its sectors will be done.

Reading is in `stage_runs`; what is here computes, so that it can be checked by hand.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from apps.core.errors import BadValue
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.bottleneck import Bottleneck, StageFigures, bottleneck_of
from apps.sectors.selectors.host_lanes import HostLanes, host_lanes, slots_of
from apps.sectors.selectors.hosts import worker_is_away, workers_visible
from apps.sectors.selectors.sector_etas import SectorEta, sector_etas
from apps.sectors.selectors.stage_figures import stage_figures
from apps.sectors.selectors.stage_runs import OpenStage, sectors_in_work, stage_runs, stage_spans, stages_open
from poolsite.wire.jobs import STAGED
from poolsite.wire.pipeline import SEALING, WORKER_STAGES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from apps.users.rules.principals import Principal

HOURS: Final = (1, 6, 24)
"""Windows that can be chosen."""
HOSTS_MAX: Final = 50
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
    visible = list(workers_visible(viewer))
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
        )
        if any(host.is_capped or host.worker.created_at <= since for host in hosts)
        else None,
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
