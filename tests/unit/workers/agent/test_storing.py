"""Finished sectors go into stores: another one where the first is dead, silent, full or read-only."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.wire.job_reports import Level, StageOutputs
from tests.integration.disks import mounted
from tests.unit.workers.agent.storing import GIVEN, PROOF, Host
from workers.agent import storing
from workers.agent.journal import Failure, Work
from workers.agent.storing import half_copies_remove
from workers.storage import answers, files, store
from workers.storage.attachment import Attachment
from workers.storage.files import copy_file, temporary_name
from workers.storage.store import MARK, StoreAway
from workers.storage.store_mark import mark_change


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


class Clock:
    """A clock that somebody sets forward as soon as a disk hangs: nothing here takes its own time."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead

    def pass_over(self) -> None:
        """Let more go by than anybody waits."""
        self.ahead += 10_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(answers, "monotonic", made)
    return made


@contextmanager
def silent(root: Path) -> Iterator[None]:
    """A store whose mark is never answered: whoever reads it hangs, as on a disk that is dead."""
    mark = root / MARK
    kept = mark.read_bytes()
    mark.unlink()
    os.mkfifo(mark)
    try:
        yield
    finally:
        ends = threading.Event()

        def answer() -> None:
            while not ends.wait(0.01):
                try:
                    os.close(os.open(mark, os.O_WRONLY | os.O_NONBLOCK))
                except OSError as error:
                    if error.errno != errno.ENXIO:
                        raise

        thread = threading.Thread(target=answer)
        thread.start()
        for hanging in answers._hanging.values():
            hanging.join()
        ends.set()
        thread.join()
        mark.unlink()
        mark.write_bytes(kept)


def test_finalize_waits_for_a_store_that_is_away_and_then_takes_another(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.persist_in("a")
    (tmp_path / "a").rename(tmp_path / "unmounted")

    first = host.run(token=1)

    assert isinstance(first, Failure)
    assert first.level is Level.TEMPORARY
    assert "which is unavailable: mount its disk; after 60 s another store is used" in first.error
    assert not (tmp_path / "b" / "sealed").exists()

    monkeypatch.setattr(storing, "AWAY_S", 0.0)
    done = host.run(token=2)

    assert isinstance(done, StageOutputs), done
    assert done.store == store.Store(tmp_path / "b").name()
    assert host.stored_in("b")
    assert not host.files.sealed.exists(), "the sealing folder is cleared"


def test_finalize_takes_the_sector_where_it_lies_once_its_store_is_back(host: Host, tmp_path: Path) -> None:
    host.persist_in("a")
    (tmp_path / "a").rename(tmp_path / "unmounted")
    assert isinstance(host.run(token=1), Failure)
    (tmp_path / "unmounted").rename(tmp_path / "a")

    done = host.run(token=2)

    assert isinstance(done, StageOutputs)
    assert done.store is None
    assert not (tmp_path / "b" / "sealed").exists(), "nothing is stored twice"


def test_finalize_counts_only_the_store_that_persist_named(host: Host, tmp_path: Path) -> None:
    host.persist_in("a")
    damaged = store.Store(tmp_path / "a").files(seal_parameters(PROOF), miner_id=1000, number=7).sealed
    damaged.write_bytes(bytes(2048))  # what it is rebuilt for: of the same size
    (tmp_path / "a").rename(tmp_path / "unmounted")
    assert isinstance(host.run("PERSIST", token=1), StageOutputs)
    (tmp_path / "b").rename(tmp_path / "gone")
    (tmp_path / "unmounted").rename(tmp_path / "a")

    first = host.run(token=2)

    assert isinstance(first, Failure)
    assert "which is unavailable" in first.error
    assert host.files.sealed.exists(), "nothing else has the sector whole"


def test_files_of_another_replica_are_not_the_sectors(host: Host, tmp_path: Path) -> None:
    host.persist_in("a")
    older = store.Store(tmp_path / "a").files(seal_parameters(PROOF), miner_id=1000, number=7)
    older.sealed.write_bytes(bytes(2048))
    older.p_aux.write_bytes(bytes(64))  # of a ticket before this one

    assert isinstance(host.run(), StageOutputs)

    assert host.stored_in("a")


@pytest.mark.parametrize("is_linked", [False, True])
def test_a_sector_whose_store_is_the_sealing_folder_keeps_its_files(tmp_path: Path, is_linked: bool) -> None:
    sealing = tmp_path / "worker" / "sealing"
    if is_linked:
        (tmp_path / "disk").mkdir()
        sealing.parent.mkdir()
        sealing.symlink_to(tmp_path / "disk")
    host = Host(tmp_path, tmp_path / "disk" if is_linked else sealing)
    host.run("PERSIST")

    failure = host.run()

    assert isinstance(failure, Failure)
    assert failure.level is Level.PERMANENT
    assert "are one folder" in failure.error
    assert host.files.p_aux.exists()
    assert host.stored_in(host.roots[0].name)


def test_a_store_that_does_not_answer_holds_nothing_up(
    host: Host, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Attachment.require

    def require(one: Attachment) -> store.Store:
        if one.path == str(tmp_path / "a") and (tmp_path / "a" / MARK).is_fifo():
            clock.pass_over()
        return plain(one)

    monkeypatch.setattr(Attachment, "require", require)
    monkeypatch.setattr(storing, "AWAY_S", 0.0)
    with silent(tmp_path / "a"):
        done = host.run()

        assert isinstance(done, StageOutputs), done
        assert host.stored_in("b")
        before = threading.active_count()
        assert len(host.stores.here()) == 1
        assert threading.active_count() <= before, "nobody follows the thread that hangs there"
    assert len(host.stores.here()) == 2


def test_a_store_that_stands_still_under_a_copy_is_left_for_another(
    host: Host, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes the first bytes, and no more."""
    goes_on: threading.Event = threading.Event()
    asked: list[Path] = []
    plain = copy_file

    def slow(source: Path, target: Path, *, beat: Callable[[], None], **kept: object) -> None:
        asked.append(target)
        if len(asked) == 1:
            clock.pass_over()
            goes_on.wait()
        plain(source, target, beat=beat, **kept)  # type: ignore[arg-type]  # as they come

    monkeypatch.setattr(store, "copy_file", slow)

    done = host.run("PERSIST")

    assert isinstance(done, StageOutputs), done
    [first] = [root.name for root in host.roots if asked[0].is_relative_to(root)]
    other = "b" if first == "a" else "a"
    assert done.store == store.Store(host.folder / other).name()
    assert host.stored_in(other)
    assert len(host.stores.here()) == 2, "the store answers: what hangs may be the sealing disk"
    goes_on.set()
    for left in answers._hanging.values():
        left.join()


def test_a_disk_that_breaks_under_a_copy_is_left_for_another(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = list[str]()

    def broken(one: object, *kept: object, **how: object) -> None:
        chosen.append(str(one.path))  # type: ignore[attr-defined]  # an attachment
        if len(chosen) == 1:
            shutil.rmtree(chosen[0])
            raise OSError(errno.EIO, "Input/output error")
        whole(one, *kept, **how)  # type: ignore[arg-type]  # as they come

    whole = storing.stored_in_time
    monkeypatch.setattr(storing, "stored_in_time", broken)

    done = host.run("PERSIST")

    assert isinstance(done, StageOutputs), done
    assert len(set(chosen)) == 2
    assert host.stored_in(chosen[1].rpartition("/")[2])


def test_where_no_store_takes_it_the_broken_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path, tmp_path / "a")

    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(storing, "stored_in_time", broken)

    failed = host.run("PERSIST")

    assert isinstance(failed, Failure)
    assert failed.level is Level.TEMPORARY
    assert failed.error == (
        f"{tmp_path / 'a'}: Read-only file system, and no other store accepts the sector: see page Storage"
    )
    assert host.stores.reserved_bytes(host.stores.attached()[0]) == 0


def test_damage_of_the_sealing_folder_is_not_the_stores_fault(host: Host, tmp_path: Path) -> None:
    host.files.sealed.write_bytes(bytes(2048))

    failed = host.run("PERSIST")

    assert isinstance(failed, Failure)
    assert failed.level is Level.PERMANENT
    assert "is damaged" in failed.error


def test_a_read_only_disk_is_passed_over_when_a_sector_is_finalized(tmp_path: Path) -> None:
    with mounted(tmp_path / "a", megabytes=8) as root:
        host = Host(tmp_path, root, tmp_path / "b")
        subprocess.run(["mount", "-o", "remount,ro", root], check=True)

        done = host.run()

        assert isinstance(done, StageOutputs), done
        assert host.stored_in("b")


def test_a_broken_store_is_named_where_the_others_refuse(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    mark_change(tmp_path / "b" / MARK, {"DenyMiners": [1000]})
    monkeypatch.setattr(storing, "stored_in_time", broken)

    failed = host.run("PERSIST")

    assert isinstance(failed, Failure)
    assert failed.level is Level.TEMPORARY
    assert failed.error.startswith(f"{tmp_path / 'a'}: Read-only file system")


def test_an_update_waits_for_the_store_it_belongs_to(host: Host) -> None:
    update = replace(GIVEN, state="SNAP_ENCODED", is_update=True)

    with pytest.raises(StoreAway, match="must be stored with the old one"):
        host.runner.storing._choose("job", update, 1, {})


@pytest.mark.parametrize("at", ["_put", "sector_files_remove"])
def test_a_finalize_that_is_killed_still_tells_where_the_sector_went(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    owner = storing.Storing if at == "_put" else storing
    plain = getattr(owner, at)

    def killed(*given: object) -> None:
        plain(*given)
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(owner, at, killed)
        assert isinstance(host.run(token=1), Failure)

    done = host.run(token=2)

    assert isinstance(done, StageOutputs), done
    [name] = [name for name in ("a", "b") if host.stored_in(name)]
    assert done.store == store.Store(tmp_path / name).name()


def test_a_store_that_may_have_the_update_is_waited_for(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, Any] = {"miner_id": GIVEN.miner_id, "number": GIVEN.number}
    host.persist_in("a")
    there = store.Store(host.roots[1])
    update = there.persist(host.files, **known, is_update=True)
    update.p_aux.write_bytes(bytes(64))
    inputs = replace(
        GIVEN, stage="KEY_CLEAR", is_update=True, comm_r=host.files.comm_r, comm_r_new=update.comm_r
    )
    real = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path == update.p_aux:
            raise OSError(errno.EIO, "refused")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", read_bytes)
        with pytest.raises(StoreAway, match="refused"):
            host.runner.storing.store_of(inputs)

    assert host.runner.storing.store_of(inputs).root == there.root


def test_what_a_killed_copy_left_takes_no_room_from_the_next(tmp_path: Path) -> None:
    host = Host(tmp_path, tmp_path / "a")
    (tmp_path / "a" / "sealed").mkdir()
    half = tmp_path / "a" / "sealed" / "s-t01000-7.tmp"
    half.write_bytes(bytes(1 << 20))
    mark_change(tmp_path / "a" / MARK, {"MaxStorage": 1 << 20})

    done = host.run("PERSIST")

    assert isinstance(done, StageOutputs), done
    assert host.stored_in("a")


def test_a_start_removes_half_copies_that_nobody_makes(host: Host, tmp_path: Path) -> None:
    halves = [tmp_path / "a" / "sealed" / f"s-t01000-{number}.tmp" for number in (7, 8, 9)]
    halves[0].parent.mkdir()
    journal = host.runner.journal
    for number, stage, half in zip((7, 8, 9), ("PERSIST", "PERSIST", "PC1"), halves, strict=True):
        half.write_bytes(b"half")
        journal.work_write(f"job-{number}", Work(token=1, inputs=replace(GIVEN, number=number, stage=stage)))

    with journal.at_work("job-8"):
        half_copies_remove(host.stores, journal)

    assert [half.exists() for half in halves] == [False, True, True]


def half_copy(host: Host, root: Path) -> Path:
    """Leave what a killed host has copied of a sector into a store."""
    half = root / "sealed" / "s-t01000-7.tmp"
    half.parent.mkdir()
    half.write_bytes(b"half")
    host.runner.journal.work_write("job-7", Work(token=1, inputs=replace(GIVEN, number=7, stage="PERSIST")))
    return half


def test_long_removal_of_a_half_copy_makes_no_store_hang(
    host: Host, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = half_copy(host, tmp_path / "a")
    plain = files.unfinished_remove

    def unfinished_remove(path: Path) -> None:
        if temporary_name(path) == half:
            clock.ahead += answers.CHECK_S + 1
            time.sleep(0.2)
        plain(path)

    monkeypatch.setattr(answers, "CHECK_AGAIN_S", 0.02)
    monkeypatch.setattr(store, "unfinished_remove", unfinished_remove)

    half_copies_remove(host.stores, host.runner.journal)

    assert not half.exists(), "it is waited for"
    assert [one.is_here for one in host.stores.attached()] == [True, True]


def test_half_copies_in_a_dead_store_are_waited_for_no_longer_than_a_look(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = half_copy(host, tmp_path / "a")
    monkeypatch.setattr(answers, "CHECK_S", 0.1)
    monkeypatch.setattr(storing, "COPY_S", 1.0)

    with silent(tmp_path / "a"):
        half_copies_remove(host.stores, host.runner.journal)
        left_behind = [what for path, what in answers._hanging if path == str(tmp_path / "a")]

    assert half.exists()
    assert left_behind == [""]


def test_a_copy_that_fills_its_store_is_removed_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    filled: list[Path] = []
    plain = copy_file

    def copy(source: Path, target: Path, **kept: Any) -> None:
        if source == host.files.sealed and not filled:
            filled.append(temporary_name(target))
            filled[0].write_bytes(bytes(2000))
            raise OSError(errno.ENOSPC, "No space left on device")
        plain(source, target, **kept)

    monkeypatch.setattr(store, "copy_file", copy)

    assert isinstance(host.run("PERSIST"), StageOutputs)

    [half] = filled
    assert not half.exists()
    assert host.stored_in("b" if half.is_relative_to(host.roots[0]) else "a")
