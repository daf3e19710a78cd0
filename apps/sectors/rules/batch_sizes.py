"""Figures of batches of each size on several hosts, of which some were measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from poolsite.wire.batch_model import BatchFigures, batch_table, measured_of


@dataclass(frozen=True, slots=True)
class FarmBatches:
    """Batches of each size on one host of a plan."""

    figures: tuple[BatchFigures, ...]
    """The mean of the measured hosts: hours and what binds are of the slowest, the days of the drives
    that last least."""
    measured: int
    """Hosts that were measured; 0: only what a batch needs is known."""


def farm_batches(hosts: Iterable[Mapping[str, Any]]) -> FarmBatches:
    """Return the mean of the hosts whose hardware is given, of those that were measured."""
    tables = [batch_table(hardware) for hardware in hosts if measured_of(hardware) is not None]
    if not tables:
        return FarmBatches(batch_table({}), 0)
    return FarmBatches(tuple(_mean(size) for size in zip(*tables, strict=True)), len(tables))


def _mean(hosts: Sequence[BatchFigures]) -> BatchFigures:
    slowest = min(hosts, key=lambda host: (host.per_day is not None, host.per_day or 0.0))
    days = [host.days for host in hosts if host.days is not None]
    return replace(
        slowest,
        memory_bytes=max(host.memory_bytes for host in hosts),
        needs_bytes=max(host.needs_bytes for host in hosts),
        reads_needed_s=_mean_of(host.reads_needed_s for host in hosts),
        reads_s=_mean_of(host.reads_s for host in hosts),
        per_day=_mean_of(host.per_day for host in hosts),
        days=min(days) if len(days) == len(hosts) else None,
    )


def _mean_of(values: Iterable[float | None]) -> float | None:
    """Return the mean; None if any is not known."""
    known = list(values)
    return None if None in known else sum(value or 0.0 for value in known) / len(known)
