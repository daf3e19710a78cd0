"""How many sectors of a size a host can seal at once: what each bound divides, and which of them binds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.miners.selectors.miners import sector_bytes_usual
from apps.sectors.models import HostReport, Worker
from apps.sectors.rules.hardware import sealing_disks, thread_values
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import WORKER_STAGES, Stage
from poolsite.wire.sealing_rule_values import NEW_PLANS
from poolsite.wire.sealing_rules import PLAN
from poolsite.wire.sums import labelling_bytes, memory_for_slots

BOUNDS: tuple[str, ...] = ("disk", "threads", "settings", "slots", "memory", "cores")
OF_LABELS = frozenset(BOUNDS[3:])
PC1_SLOTS = f"slots.{Stage.PC1}"


@dataclass(frozen=True, slots=True)
class Bound:
    """One bound: so many sectors at once, as `have` is divided by `each`."""

    by: str
    """One of BOUNDS."""
    count: int
    have: int
    """Bytes, cores, threads or sectors."""
    each: int
    """What one takes of that; of cores: how many sectors one core labels side by side."""

    @property
    def is_of_labels(self) -> bool:
        """Return whether it bounds those in PC1, and not all that are under way."""
        return self.by in OF_LABELS


@dataclass(frozen=True, slots=True)
class ParallelPlan:
    """A host's bounds for sectors of a size, the tightest first."""

    sector_bytes: int
    bounds: tuple[Bound, ...]

    @property
    def sectors(self) -> int:
        """Return how many sectors it can have under way at once."""
        return min(one.count for one in self.bounds if not one.is_of_labels)

    @property
    def labelled(self) -> int:
        """Return how many of them it can have in PC1 at once."""
        return min(one.count for one in self.bounds)


def host_parallel_plan(worker: Worker, report: HostReport | None) -> ParallelPlan | None:
    """Return the plan of a host for its tenant's sectors; None where it seals none or has told too little."""
    reported = {} if report is None else {one["key"]: one["value"] for one in report.settings}
    size = sector_bytes_usual(worker.tenant_id) if JobKind.SEAL in worker.kinds else 0
    bounds = parallel_plan(worker.hardware, reported, sector_bytes=size)
    return ParallelPlan(size, bounds) if bounds else None


def parallel_plan(
    hardware: Mapping[str, Any], settings: Mapping[str, str], *, sector_bytes: int
) -> tuple[Bound, ...]:
    """Return a host's bounds for sectors of a size, the tightest first; none while it has told nothing.

    `settings` are those that it obeys, by key.  Memory and cores bound what our own kernels label at once.
    """
    room, memory = int(settings.get("sector_room_bytes") or 0), int(hardware.get("ram_bytes") or 0)
    cpus = int(hardware.get("cpus") or 0)
    if not (room and memory and cpus and sector_bytes):
        return ()
    per_core = WORKER_STAGES[Stage.PC1].sectors_per_core
    totals = [total for _, total in sealing_disks(hardware, settings)]
    bounds = [
        Bound("disk", sum(total // room for total in totals), sum(totals), room),
        Bound(
            "memory",
            memory_for_slots(memory) // labelling_bytes(sector_bytes),
            memory_for_slots(memory),
            labelling_bytes(sector_bytes),
        ),
        Bound("cores", cpus * per_core, cpus, per_core),
    ]
    if slots := int(settings.get(PC1_SLOTS) or 0):
        bounds.append(Bound("slots", slots, slots, 1))
    if threads := thread_values(settings, PLAN):
        begin = sum(plan in NEW_PLANS for plan in threads)
        bounds.append(Bound("threads", begin, begin, 1))
    if most := int(settings.get("sectors_max") or 0):
        bounds.append(Bound("settings", most, most, 1))
    return tuple(sorted(bounds, key=lambda one: one.count))
