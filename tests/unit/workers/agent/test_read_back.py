"""What PERSIST puts into a store is read back from there before it counts as stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poolsite.wire.job_reports import Level, StageOutputs
from tests.unit.workers.agent.storing import Host
from tests.unit.workers.processors.post import flip
from workers.agent.journal import Failure
from workers.storage import store
from workers.storage.checksums import Checksums
from workers.storage.files import copy_file


def disk_break(monkeypatch: pytest.MonkeyPatch, *, folder: str, ends: str) -> list[Path]:
    """Have the first store, or each, keep another content than was written to it; return which did."""
    plain = copy_file
    damaged: list[Path] = []

    def copy(source: Path, target: Path, **how: Any) -> None:
        plain(source, target, **how)
        root = target.parents[1] if folder == "sealed" else target.parents[2]
        if folder in target.parts and ends in target.name and (not damaged or ends == "" or root in damaged):
            damaged.append(root)
            flip(target)

    monkeypatch.setattr(store, "copy_file", copy)
    return damaged


@pytest.mark.parametrize(
    ("folder", "ends"), [("sealed", "s-t01000-7"), ("cache", "tree-r-last"), ("cache", "t_aux")]
)
def test_store_that_returns_other_content_than_was_put_is_left_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, ends: str
) -> None:
    host = Host(tmp_path)
    damaged = disk_break(monkeypatch, folder=folder, ends=ends)

    done = host.run("PERSIST")

    assert isinstance(done, StageOutputs), done
    assert len(set(damaged)) == 1
    (other,) = set(host.roots) - set(damaged)
    assert done.store == store.Store(other).name()
    assert host.stored_in(other.name)


def test_sector_waits_where_its_only_store_returns_other_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path, tmp_path / "a")
    disk_break(monkeypatch, folder="sealed", ends="s-t01000-7")

    failed = host.run("PERSIST")

    assert isinstance(failed, Failure)
    assert failed.level is Level.TEMPORARY
    assert "does not match what was written: check the disk" in failed.error
    assert host.files.sealed.exists(), "the original stays"
    assert not list((tmp_path / "a").glob("sealed/*")), "and no bad copy"


def test_replica_without_a_recorded_sum_is_read_back_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path, tmp_path / "a")
    Checksums(host.files.cache).path.unlink()
    disk_break(monkeypatch, folder="sealed", ends="s-t01000-7")

    assert isinstance(host.run("PERSIST"), Failure)
