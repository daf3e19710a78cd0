"""How fast hosts are, beside each other."""

from __future__ import annotations

import pytest

from apps.sectors.models import Worker
from apps.sectors.selectors.host_speed import SLOW_LEAST_MS, HostSpeed, StageSpeed, host_speeds
from tests import factories
from tests.people import principal

pytestmark = pytest.mark.django_db


def ran(
    host: str,
    *spans_s: float,
    stage: str = "PC1",
    of: str = "alice",
    size: int = 2048,
    **overrides: object,
) -> None:
    """Let a host have run a stage so many times."""
    sector = factories.sector(factories.miner(of=of, sector_size=size))
    for span in spans_s:
        factories.events(sector, [(stage, stage, span)], worker=worker_named(host, of=of), **overrides)


def worker_named(name: str, *, of: str = "alice") -> Worker:
    return Worker.objects.filter(uid=name).first() or factories.worker("box", of=of, uid=name)


def speeds_by_uid() -> dict[str, HostSpeed]:
    """All hosts have one name: their events are told apart by the host itself."""
    return {Worker.objects.get(pk=pk).uid: speed for pk, speed in host_speeds(principal()).items()}


def test_a_stage_counts_with_its_median_and_the_longest_stands_first():
    ran("one", 10, 2, 3)
    ran("one", 30, stage="PC2")

    stages = speeds_by_uid()["one"].stages

    assert [(stage.stage, stage.runs, stage.ms) for stage in stages] == [
        ("PC2", 1, 30_000),
        ("PC1", 3, 3_000),
    ]


def test_a_host_that_lags_behind_the_others_is_slow():
    ran("one", 2, 2, 2)
    ran("two", 2, 2, 2)
    ran("lame", 5, 5, 5)
    speeds = speeds_by_uid()

    slow = speeds["lame"].slow

    assert slow is not None
    assert slow.ratio == pytest.approx(2.5)
    assert speeds["one"].slow is None


def test_hosts_that_seal_other_sizes_are_not_compared():
    ran("one", 2, 2, 2)
    ran("two", 4, 4, 4, size=4096)
    assert [speed.slow for speed in speeds_by_uid().values()] == [None, None]

    ran("one", 8, 8, 8, size=4096)
    slow = speeds_by_uid()["one"].slow

    assert slow is not None
    assert (slow.runs, slow.ms, slow.others_ms) == (3, 8_000, 4_000)


def test_a_lone_host_or_a_lone_run_is_not_compared():
    ran("one", 9, 9, 9)
    ran("two", 2)

    assert all(speed.slow is None for speed in host_speeds(principal()).values())


def test_differences_of_milliseconds_are_no_lag():
    speed = StageSpeed("PC1", 3, SLOW_LEAST_MS, 1)

    assert speed.ratio is None


def test_failures_count_and_are_no_runs():
    ran("one", 2, 2, 2)
    ran("one", 60, is_error=True, ms=None)

    speed = speeds_by_uid()["one"]

    assert (speed.failures, speed.stages[0].ms) == (1, 2_000)


def test_a_stranger_sees_no_host_of_others():
    ran("one", 2, of="alice")

    assert host_speeds(principal("bob")) == {}
