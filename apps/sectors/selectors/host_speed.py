"""How fast hosts are: how long each one took for a stage lately, beside what the others took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from statistics import median
from typing import Final

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, Max, Q

from apps.sectors.models import JobEvent
from apps.users.rules.principals import Principal

NEWEST: Final = 5_000
"""Steps of all sectors that are looked at: enough for some hundred sectors, however long the pool runs."""
SLOW_RATIO: Final = 1.5
"""A host that takes so many times as long as the others is slow."""
SLOW_LEAST_MS: Final = 1_000
"""Differences below this are noise: on small sectors a stage takes milliseconds."""
RUNS_LEAST: Final = 3
"""Runs of a stage, here and elsewhere, before it is compared."""

Work = tuple[str, int, int | None]
"""A stage, the sector's size and its seal proof (None: of no sealing job): what takes equally long."""


@dataclass(frozen=True, slots=True)
class StageSpeed:
    """One stage on one host."""

    stage: str
    runs: int
    """Of one size and seal proof, as are the others'."""
    ms: int
    """Median of the host's runs."""
    others_ms: int | None
    """Median of the other hosts' runs; None without enough to compare."""

    @property
    def ratio(self) -> float | None:
        """Return how many times as long as the others; None if that is not known or does not matter."""
        if not self.others_ms or self.ms - self.others_ms < SLOW_LEAST_MS:
            return None
        return self.ms / self.others_ms


@dataclass(frozen=True, slots=True)
class HostSpeed:
    """What a host did lately."""

    stages: tuple[StageSpeed, ...]
    """The longest first."""
    failures: int

    @property
    def slow(self) -> StageSpeed | None:
        """The stage in which the host lags most behind the others, if it is slow."""
        lagging = [stage for stage in self.stages if (stage.ratio or 0) >= SLOW_RATIO]
        return max(lagging, key=lambda stage: stage.ratio or 0, default=None)


def host_speeds(viewer: Principal, *, only: Collection[int] = ()) -> dict[int, HostSpeed]:
    """Return the speed of each host that the viewer may know of, by its key.

    Of these alone, if any are named; they are compared with all others.
    """
    newest = JobEvent.objects.aggregate(pk=Max("pk"))["pk"] or 0
    rows = JobEvent.objects.filter(pk__gt=newest - NEWEST).exclude(worker=None).order_by()
    if not viewer.sees_pool:
        rows = rows.filter(job__miner__tenant_id=viewer.own_id)
    columns = ("stage", "job__miner__sector_size", "job__sector__seal_proof", "worker_id")
    groups = rows.values_list(*columns).annotate(
        times=ArrayAgg("ms", filter=Q(is_error=False, ms__isnull=False)),
        failures=Count("pk", filter=Q(is_error=True)),
    )
    runs: dict[Work, dict[int, list[int]]] = {}
    failures: Counter[int] = Counter()
    for stage, size, proof, host, times, failed in groups:
        failures[host] += failed
        if stage and times:
            runs.setdefault((stage, size, proof), {})[host] = sorted(times)
    stages: dict[int, dict[str, StageSpeed]] = {}
    for (stage, *_), by_host in runs.items():
        together = sorted(ms for times in by_host.values() for ms in times)
        for host in set(by_host).intersection(only) if only else by_host:
            speed = _speed(stage, by_host[host], together)
            of_host = stages.setdefault(host, {})
            of_host[stage] = max(of_host.get(stage, speed), speed, key=lambda one: (one.ratio or 0, one.runs))
    hosts = {host for host in (*stages, *+failures) if not only or host in only}
    return {host: HostSpeed(_longest_first(stages.get(host, {})), failures[host]) for host in hosts}


def _longest_first(stages: dict[str, StageSpeed]) -> tuple[StageSpeed, ...]:
    return tuple(sorted(stages.values(), key=lambda speed: (-speed.ms, speed.stage)))


def _speed(stage: str, own: list[int], together: list[int]) -> StageSpeed:
    """Return how long a host took beside the others, out of the sorted times of its own and of all hosts."""
    others = len(together) - len(own)
    is_enough = min(len(own), others) >= RUNS_LEAST
    return StageSpeed(
        stage, len(own), round(median(own)), round(_others_median(own, together)) if is_enough else None
    )


def _others_median(own: list[int], together: list[int]) -> float:
    """Return the median of all but a host's own times: one or two of them are found by their places."""
    count = len(together) - len(own)
    places = ((count - 1) // 2, count // 2)
    return sum(_nth_other(own, together, place) for place in places) / 2


def _nth_other(own: list[int], together: list[int], place: int) -> int:
    """Return the time at a place among those that are not a host's own, which are stepped over."""
    at = place
    for ms in own:
        if ms > together[at]:
            break
        at += 1
    return together[at]
