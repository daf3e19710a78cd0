"""The kernels and 8 MiB stages on one pinned core; the cases are those of `python -m workers bench`."""

from __future__ import annotations

from workers.processors import bench
from workers.processors.bench_figures import Figure


def cases() -> list[str]:
    """Name everything that is measured."""
    return list(bench.NAMES)


def run(case: str) -> Figure:
    """Measure one case."""
    bench.pin()
    return bench.measure(case)
