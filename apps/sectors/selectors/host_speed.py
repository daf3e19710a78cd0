"""How fast hosts are: how long each one took for a stage lately, beside what the others took."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from django.db.models import Max

from apps.sectors.models import JobEvent

if TYPE_CHECKING:
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


def host_speeds(viewer: Principal) -> dict[int, HostSpeed]:
    """Return the speed of each host that the viewer may know of, by its key."""
    newest = JobEvent.objects.aggregate(pk=Max("pk"))["pk"] or 0
    rows = JobEvent.objects.filter(pk__gt=newest - NEWEST).exclude(worker=None).order_by()
    if not viewer.sees_pool:
        rows = rows.filter(job__miner__tenant_id=viewer.own_id)
    runs: dict[Work, dict[int, list[int]]] = {}
    failures: dict[int, int] = {}
    columns = ("worker_id", "ms", "is_error", "stage", "job__miner__sector_size", "job__sector__seal_proof")
    for host, ms, is_error, *work in rows.values_list(*columns):
        stage, size, proof = work
        if is_error:
            failures[host] = failures.get(host, 0) + 1
        elif ms is not None and stage:
            runs.setdefault((stage, size, proof), {}).setdefault(host, []).append(ms)
    hosts = {host for by_host in runs.values() for host in by_host} | set(failures)
    return {host: HostSpeed(_stages(host, runs), failures.get(host, 0)) for host in hosts}


def _stages(host: int, runs: dict[Work, dict[int, list[int]]]) -> tuple[StageSpeed, ...]:
    """Return a host's stages, each for the size and seal proof in which it lags most behind the others."""
    speeds: dict[str, StageSpeed] = {}
    for (stage, *_), by_host in runs.items():
        own = by_host.get(host, [])
        if not own:
            continue
        others = [ms for other, spans in by_host.items() if other != host for ms in spans]
        is_enough = min(len(own), len(others)) >= RUNS_LEAST
        speed = StageSpeed(stage, len(own), round(median(own)), round(median(others)) if is_enough else None)
        speeds[stage] = max(speeds.get(stage, speed), speed, key=lambda one: (one.ratio or 0, one.runs))
    return tuple(sorted(speeds.values(), key=lambda speed: (-speed.ms, speed.stage)))
