"""A host's own disk goes while it works: nothing is made where it was, which its mount would hide later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.workers.agent.storing import GIVEN, Host
from workers.agent.journal import Work
from workers.storage.store import StoreAway, path_remove

WORK = Work(token=1, inputs=GIVEN)
ACTS: dict[str, Callable[[Host], object]] = {
    "a job is written down": lambda host: host.runner.journal.work_write("j1", WORK),
    "a job that is there is written down": lambda host: host.runner.journal.work_write("j0", WORK),
    "a stage runs": lambda host: host.runner.run("j0"),
    "a job is marked as over": lambda host: host.runner.journal.removed_write("j1"),
    "somebody looks whether it is worked on": lambda host: host.runner.journal.is_worked_on("j0"),
    "its jobs are told": lambda host: host.runner.journal.jobs(),
}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path / "host")
    made.runner.journal.work_write("j0", WORK)
    return made


@pytest.mark.parametrize("act", ACTS)
def test_nothing_is_made_where_the_disk_was(host: Host, act: str) -> None:
    folder = host.runner.folder
    folder.rename(folder.with_name("away"))
    folder.mkdir()  # the bare place of the mount

    with pytest.raises(FileNotFoundError):
        ACTS[act](host)

    assert list(folder.rglob("*")) == []


def test_no_sector_begins_without_its_sealing_folder(host: Host) -> None:
    path_remove(host.runner.folder / "sealing")

    with pytest.raises(StoreAway, match="sealing is not available: its disk is not mounted"):
        host.runner.paths("j0", GIVEN)

    assert not (host.runner.folder / "sealing").exists()
