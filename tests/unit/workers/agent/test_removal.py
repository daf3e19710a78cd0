"""An aborted sector's files leave the host; nobody else's do."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from pathlib import Path

import pytest

from poolsite.wire.commands import Command, Operation
from poolsite.wire.job_inputs import SealInputs
from poolsite.wire.pipeline import SectorState, Stage
from tests.unit.workers.agent.removal import sector_write, until
from workers.agent.journal import Work, journal_open
from workers.agent.places import SealingPlaces
from workers.agent.removal import Removals
from workers.storage.store import Store
from workers.storage.stores import Stores

JOB = str(uuid.uuid4())
INPUTS = SealInputs(
    miner_id=1000,
    number=5,
    seal_proof=5,
    sector_size=2048,
    state=SectorState.ALLOCATED,
    stage=Stage.ADD_PIECE,
)


@pytest.fixture
def removals(tmp_path: Path) -> Removals:
    store = Store(tmp_path / "store")
    stores = Stores(tmp_path, (store.root,))
    stores.open()
    journal = journal_open(tmp_path)
    return Removals(places=SealingPlaces(tmp_path, journal), stores=stores, journal=journal)


def command(**changed: str) -> Command:
    args = {"job": JOB, "miner_id": "1000", "number": "5"} | changed
    return Command(id="c", op=Operation.REMOVE, args=args)


def test_all_files_of_the_sector_go_and_those_of_others_stay(removals: Removals, tmp_path: Path) -> None:
    files, others = sector_write(tmp_path, "s-t01000-5"), sector_write(tmp_path, "s-t01000-50")
    others += sector_write(tmp_path, "s-t01001-5")
    record = removals.journal.folder(JOB)
    record.mkdir()
    (record / "pc1.json").write_text("{}")

    assert not removals.remove(command()), "it is under way"
    until(lambda: removals.remove(command()))

    assert not any(file.exists() for file in files)
    assert all(file.exists() for file in others)
    assert {path.name for path in record.iterdir()} == {"removed", "lock"}
    assert removals.bytes_left == 0


def test_of_a_proven_sector_the_sealing_folder_alone_is_cleared(removals: Removals, tmp_path: Path) -> None:
    files = sector_write(tmp_path, "s-t01000-5")
    update = tmp_path / "sealing" / "update" / "s-t01000-5"
    update.parent.mkdir()
    update.write_bytes(b"x")
    (tmp_path / "store" / "sealed" / "s-t01000-5.tmp").unlink()

    until(lambda: removals.remove(command(keeps_store="yes")))

    kept = [file for file in (*files, update) if file.exists()]
    assert kept == [file for file in files if (tmp_path / "store") in file.parents and file.suffix != ".tmp"]


def test_a_sector_that_this_host_begins_again_keeps_its_new_files(removals: Removals, tmp_path: Path) -> None:
    files = sector_write(tmp_path, "s-t01000-5")
    removals.journal.work_write(str(uuid.uuid4()), Work(token=1, inputs=INPUTS))
    removals.journal.work_write(JOB, Work(token=1, inputs=INPUTS))
    for path in (tmp_path / "store").rglob("*.tmp"):
        path.unlink()

    until(lambda: removals.remove(command(keeps_store="yes")))

    assert all(file.exists() for file in files if (tmp_path / "sealing") in file.parents)
    assert removals.journal.work_read(JOB) is None


def test_what_was_put_aside_goes_after_a_kill_though_it_begins_again(
    removals: Removals, tmp_path: Path
) -> None:
    aside = tmp_path / "sealing" / "cache" / f"{JOB}.s-t01000-5" / "layer-1"
    aside.parent.mkdir(parents=True)
    aside.write_bytes(b"x")
    removals.journal.work_write(str(uuid.uuid4()), Work(token=1, inputs=INPUTS))

    until(lambda: removals.remove(command(keeps_store="yes")))

    assert not aside.parent.exists()


def test_half_copy_of_an_aborted_update_leaves_the_store(removals: Removals, tmp_path: Path) -> None:
    sector_write(tmp_path, "s-t01000-5")
    store, old = tmp_path / "store", time.time() - 3600
    half = [store / "update" / "s-t01000-5.tmp", store / "update-cache" / "s-t01000-5" / "p_aux.tmp"]
    others = [store / "update" / "s-t01000-50.tmp", store / "mine" / "s-t01000-5.tmp"]
    for path in (*half, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    for path in (store / "sealed").glob("*.tmp"):
        os.utime(path, (old, old))
    os.utime(half[1], (old, old))

    removals.remove(command(keeps_store="yes"))
    until(lambda: not removals._bytes)
    assert not removals.remove(command(keeps_store="yes")), "another host may be writing it"
    until(lambda: not removals._bytes)
    assert half[0].exists()

    os.utime(half[0], (old, old))
    until(lambda: removals.remove(command(keeps_store="yes")))

    assert not any(path.exists() for path in half)
    assert all(path.exists() for path in others)
    assert (store / "sealed" / "s-t01000-5").exists()


def test_a_proven_replica_that_lies_in_the_sealing_folder_stays(removals: Removals, tmp_path: Path) -> None:
    files = sector_write(tmp_path, "s-t01000-5")
    shutil.rmtree(tmp_path / "sealing")
    (tmp_path / "sealing").symlink_to(tmp_path / "store")

    removals.remove(command(keeps_store="yes"))
    until(lambda: not removals._bytes)

    assert not removals.remove(command(keeps_store="yes")), "nothing is said to be removed"
    assert all(file.exists() for file in files if (tmp_path / "store") in file.parents)
    until(lambda: not removals._bytes)


def test_the_stage_that_runs_ends_first(removals: Removals, tmp_path: Path) -> None:
    files = sector_write(tmp_path, "s-t01000-5")
    with removals.journal.at_work(JOB) as is_ours:
        assert is_ours
        removals.remove(command())
        until(lambda: removals.journal.is_removed(JOB))
        time.sleep(0.1)
        assert all(file.exists() for file in files)
    until(lambda: removals.remove(command()))
    assert not any(file.exists() for file in files)


def test_a_store_that_is_away_is_waited_for(removals: Removals, tmp_path: Path) -> None:
    files = sector_write(tmp_path, "s-t01000-5")
    store = tmp_path / "store"
    store.rename(tmp_path / "unmounted")

    removals.remove(command())
    until(lambda: not removals._bytes)
    assert not removals.remove(command()), "nothing is said to be removed"
    until(lambda: not removals._bytes)
    assert not any(file.exists() for file in files), "the sealing folder has its room back"

    (tmp_path / "unmounted").rename(store)
    assert any(file.exists() for file in files)
    until(lambda: removals.remove(command()))
    assert not any(file.exists() for file in files)


def test_another_command_removes_from_a_store_that_came_since(removals: Removals, tmp_path: Path) -> None:
    until(lambda: removals.remove(command()))
    files = sector_write(tmp_path, "s-t01000-5")
    again = Command(id="d", op=Operation.REMOVE, args=command().args)

    assert removals.remove(command()), "it was done"
    until(lambda: removals.remove(again))

    assert not any(file.exists() for file in files)


@pytest.mark.parametrize("changed", [{"job": "../../etc"}, {"number": "5/.."}, {"miner_id": ""}])
def test_a_command_that_names_no_sector_removes_nothing(
    removals: Removals, tmp_path: Path, changed: dict[str, str]
) -> None:
    files = sector_write(tmp_path, "s-t01000-5")

    assert removals.remove(command(**changed))

    assert all(file.exists() for file in files)
