"""Where the server's binaries lie if its account cannot run those of the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from poolsite.embedded import postgres
from poolsite.embedded.paths import PoolPaths
from poolsite.embedded.programs import postgres_programs


def test_copied_binaries_are_those_of_the_wheel_after_each_upgrade(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(postgres, "AWAY", tmp_path)
    monkeypatch.setattr(postgres, "reachable", lambda *_: False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    paths, release = PoolPaths(tmp_path / "var"), postgres.release_of(postgres_programs())

    cluster = postgres.cluster_of(paths)
    before = os.umask(0o077)
    try:
        for _ in range(2):
            postgres.binaries_copy(cluster)
    finally:
        os.umask(before)

    assert cluster.moved_to is not None
    assert cluster.moved_to.stat().st_mode & 0o001
    closed = [path for path in cluster.programs.parents[2].rglob("*") if not path.stat().st_mode & 0o004]
    assert not closed, "a umask closes nothing of it to the server's account"
    assert cluster.programs != postgres_programs()
    assert postgres.release_of(cluster.programs) == release
    monkeypatch.setattr(postgres, "release_of", lambda _: "99.9")
    upgraded = postgres.cluster_of(paths)
    postgres.binaries_copy(upgraded)
    assert upgraded.programs != cluster.programs
    assert (upgraded.programs / "postgres").exists()
    assert upgraded.data == cluster.data


def test_binaries_that_the_account_can_run_are_not_copied(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(postgres, "AWAY", tmp_path)
    monkeypatch.setattr(postgres, "reachable", lambda path, *_: path.name == "postgres")
    monkeypatch.setattr("os.geteuid", lambda: 0)

    cluster = postgres.cluster_of(PoolPaths(tmp_path / "var"))
    postgres.binaries_copy(cluster)

    assert cluster.programs == postgres_programs()
    assert not list(tmp_path.rglob("postgres"))


def test_a_server_gets_settings_that_its_version_knows_without_being_asked(tmp_path: Path) -> None:
    """The supervisor starts it again and again: a program that fails there would end the pool."""
    cluster = postgres.Cluster(tmp_path, tmp_path / "s", tmp_path / "no programs", None, None)
    found = {}
    for major in ("15", "17", "18"):
        (tmp_path / "PG_VERSION").write_text(f"{major}\n")
        found[major] = "io_method=sync" in cluster.command()

    assert found == {"15": False, "17": False, "18": True}


def test_its_sizes_are_the_machines() -> None:
    def sizes(gib: int, cores: int) -> dict[str, str]:
        return dict(setting.split("=") for setting in postgres.sizes_for(gib << 30, cores))

    small, middle, large = sizes(1, 1), sizes(64, 16), sizes(1024, 96)

    assert (small["shared_buffers"], small["max_wal_size"], small["work_mem"]) == ("64MB", "512MB", "4MB")
    assert (middle["shared_buffers"], middle["effective_cache_size"]) == ("2048MB", "16384MB")
    assert (middle["maintenance_work_mem"], middle["work_mem"]) == ("256MB", "16MB")
    assert (large["shared_buffers"], large["max_wal_size"], large["work_mem"]) == ("4096MB", "4096MB", "32MB")
    assert [one["max_parallel_workers"] for one in (small, middle, large)] == ["1", "8", "8"]
    assert [one["max_parallel_workers_per_gather"] for one in (small, middle, large)] == ["1", "2", "2"]
    command = postgres.Cluster(Path("/d"), Path("/s"), Path("/p"), None, None).command()
    assert set(postgres.size_settings()) <= set(command)
