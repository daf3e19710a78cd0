"""A sector moves between stores: verified, resumable, and one whole copy is there at every moment."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from poolsite.filecoin.porep.parameters import seal_parameters
from tests.unit.workers.processors.post import flip
from workers.storage import moves
from workers.storage.attachment import NotAttached
from workers.storage.checksums import file_digest
from workers.storage.files import DamagedFile, NotEnoughSpace, temporary_name
from workers.storage.moves import (
    MovedSector,
    copy_drop,
    moved_sector,
    sector_copy,
    sector_files,
    sector_remove,
)
from workers.storage.store import StoreAway
from workers.storage.stores import Stores
from workers.storage.sums import FileSum, SectorSums

NAME = "s-t01000-7"
PROOF = 5


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    """Two stores; the first has sector 7, and sector 70 that stays."""
    made = Stores(tmp_path / "worker", (tmp_path / "a", tmp_path / "b"))
    made.open()
    for name in (NAME, f"{NAME}0"):
        (tmp_path / "a" / "sealed").mkdir(exist_ok=True)
        (tmp_path / "a" / "cache" / name).mkdir(parents=True)
        (tmp_path / "a" / "sealed" / name).write_bytes(bytes(range(256)) * 8)
        (tmp_path / "a" / "cache" / name / "p_aux").write_bytes(bytes(32) + bytes([1]) * 31 + b"\0")
        (tmp_path / "a" / "cache" / name / "t_aux").write_bytes(b"t")
    return made


def sector_of(stores: Stores) -> MovedSector:
    """The order to move sector 7."""
    first, second = stores.attached()
    files = first.store.files(seal_parameters(PROOF), miner_id=1000, number=7)
    args = {"move": "m-1", "miner_id": "1000", "number": "7", "seal_proof": str(PROOF)}
    return moved_sector(args | {"comm_r": (files.comm_r or b"").hex(), "from": first.uid, "to": second.uid})


def has(folder: Path) -> bool:
    """Whether a store has the whole sector."""
    return sector_files(folder, NAME) == [f"cache/{NAME}/p_aux", f"cache/{NAME}/t_aux", f"sealed/{NAME}"]


def test_moved_it_lies_in_the_other_store_alone(stores: Stores, tmp_path: Path) -> None:
    sector = sector_of(stores)

    sector_copy(stores, sector)
    assert (has(tmp_path / "a"), has(tmp_path / "b")) == (True, True)
    assert stores.reserved_bytes(stores.attached()[1]) == 0
    sector_remove(stores, sector)

    assert (sector_files(tmp_path / "a", NAME), has(tmp_path / "b")) == ([], True)
    assert sector_files(tmp_path / "a", f"{NAME}0"), "its neighbour stays"
    assert not list((tmp_path / "worker" / "moves").iterdir())
    sector_remove(stores, sector)


@pytest.mark.parametrize("stop", range(3))
def test_killed_after_any_file_the_copy_goes_on_there(
    stores: Stores, tmp_path: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = moves._file_copy
    copied: list[str] = []

    def until_killed(source: Path, target: Path, recorded: FileSum | None, **beat: Any) -> str:
        if len(copied) == stop:
            raise KeyboardInterrupt
        copied.append(target.name)
        return real(source, target, recorded, **beat)

    monkeypatch.setattr(moves, "_file_copy", until_killed)
    with pytest.raises(KeyboardInterrupt):
        sector_copy(stores, sector_of(stores))
    assert has(tmp_path / "a")
    assert not (tmp_path / "b" / "sealed" / NAME).exists(), "half a sector is in no store"
    again: list[str] = []

    def counted(source: Path, target: Path, recorded: FileSum | None, **beat: Any) -> str:
        again.append(target.name)
        return real(source, target, recorded, **beat)

    monkeypatch.setattr(moves, "_file_copy", counted)
    sector_copy(stores, sector_of(stores))

    assert has(tmp_path / "b")
    assert len(again) == 3 - stop, "what was verified is not copied again"


def test_a_disk_that_keeps_other_bytes_is_found_out(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "disk_digest", lambda _path, **_: "rot")

    with pytest.raises(DamagedFile, match="does not match what was written"):
        sector_copy(stores, sector_of(stores))

    assert has(tmp_path / "a")
    assert sector_files(tmp_path / "b", NAME) == []


@pytest.mark.parametrize("stop", range(3))
def test_a_copy_that_fails_leaves_nothing_behind(
    stores: Stores, tmp_path: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = moves._file_copy
    copied: list[Path] = []

    def until_full(source: Path, target: Path, recorded: FileSum | None, **beat: Any) -> str:
        if len(copied) == stop:
            temporary_name(target).parent.mkdir(parents=True, exist_ok=True)
            temporary_name(target).write_bytes(b"half")
            raise NotEnoughSpace("no space left")
        copied.append(target)
        return real(source, target, recorded, **beat)

    monkeypatch.setattr(moves, "_file_copy", until_full)
    with pytest.raises(NotEnoughSpace, match="no space left; nothing from the copy is left"):
        sector_copy(stores, sector_of(stores))

    assert has(tmp_path / "a")
    assert not list((tmp_path / "b").rglob(f"*{NAME}*"))
    assert not list((tmp_path / "worker" / "moves").iterdir())


def test_a_half_copy_that_may_be_the_last_one_is_left_and_named(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = moves._file_copy

    def loses_the_source(source: Path, target: Path, recorded: FileSum | None, **beat: Any) -> str:
        if source.name == NAME:
            source.unlink()
        return real(source, target, recorded, **beat)

    monkeypatch.setattr(moves, "_file_copy", loses_the_source)
    with pytest.raises(FileNotFoundError, match=f"2 of 3 files were copied and are left in {tmp_path}/b"):
        sector_copy(stores, sector_of(stores))

    assert len(sector_files(tmp_path / "b", NAME)) == 2


def test_a_damaged_file_is_not_written_over_a_good_copy(stores: Stores, tmp_path: Path) -> None:
    here, there = tmp_path / "a", tmp_path / "b"
    files = sector_files(here, NAME)
    sums = {file: FileSum((here / file).stat().st_size, file_digest(here / file)) for file in files}
    SectorSums(here, NAME).record(sums)
    for file in files:
        (there / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(here / file, there / file)
    good = (there / "sealed" / NAME).read_bytes()
    flip(here / "sealed" / NAME)

    with pytest.raises(DamagedFile, match="does not match its recorded checksum: rebuild the sector"):
        sector_copy(stores, sector_of(stores))

    assert has(there), "what was there before stays whole"
    assert (there / "sealed" / NAME).read_bytes() == good
    assert not list((tmp_path / "worker" / "moves").iterdir())


def test_the_old_copy_stays_while_the_new_one_is_not_whole(stores: Stores, tmp_path: Path) -> None:
    sector = sector_of(stores)
    sector_copy(stores, sector)
    (tmp_path / "b" / "sealed" / NAME).write_bytes(b"short")

    with pytest.raises(DamagedFile, match="has 5 bytes"):
        sector_remove(stores, sector)

    assert has(tmp_path / "a")


def test_what_was_not_copied_is_not_removed(stores: Stores, tmp_path: Path) -> None:
    sector = sector_of(stores)
    sector_copy(stores, sector)
    late = tmp_path / "a" / "unsealed" / NAME
    late.parent.mkdir()
    late.write_bytes(b"data")

    with pytest.raises(DamagedFile, match=f"b/unsealed/{NAME} does not match"):
        sector_remove(stores, sector)
    late.unlink()
    (tmp_path / "b" / "cache" / NAME / "t_aux").write_bytes(b"")
    with pytest.raises(DamagedFile, match=f"b/cache/{NAME}/t_aux does not match"):
        sector_remove(stores, sector)

    assert has(tmp_path / "a")


@pytest.mark.parametrize("has_notes", [True, False])
def test_the_old_copy_stays_if_the_new_one_has_another_sum(
    stores: Stores, tmp_path: Path, has_notes: bool
) -> None:
    sector = sector_of(stores)
    sector_copy(stores, sector)
    if not has_notes:
        shutil.rmtree(tmp_path / "worker" / "moves")
    copy = tmp_path / "b" / "sealed" / NAME
    flip(copy)

    with pytest.raises(DamagedFile, match="have different checksums"):
        sector_remove(stores, sector)

    assert has(tmp_path / "a")


@pytest.mark.parametrize("stop", range(3))
@pytest.mark.parametrize("is_named", [True, False])
def test_what_a_killed_copy_left_is_removed_once_the_move_has_ended(
    stores: Stores, tmp_path: Path, stop: int, is_named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = moves._file_copy
    copied: list[str] = []

    def until_killed(source: Path, target: Path, recorded: FileSum | None, **beat: Any) -> str:
        if len(copied) == stop:
            target.parent.mkdir(parents=True, exist_ok=True)
            (target if is_named else temporary_name(target)).write_bytes(b"half")
            raise KeyboardInterrupt
        copied.append(target.name)
        return real(source, target, recorded, **beat)

    monkeypatch.setattr(moves, "_file_copy", until_killed)
    with pytest.raises(KeyboardInterrupt):
        sector_copy(stores, sector_of(stores))
    stores.reserve("move-m-1", stores.attached()[1], 2048)
    neighbour = tmp_path / "b" / "sealed" / f"{NAME}0"
    neighbour.parent.mkdir(exist_ok=True)
    neighbour.write_bytes(b"stays")

    copy_drop(stores, sector_of(stores))

    assert has(tmp_path / "a")
    assert [path.name for path in (tmp_path / "b").rglob(f"*{NAME}*")] == [neighbour.name]
    assert stores.reserved_bytes(stores.attached()[1]) == 0
    assert not list((tmp_path / "worker" / "moves").iterdir())


def test_a_half_copy_is_not_dropped_if_the_old_one_is_not_whole(stores: Stores, tmp_path: Path) -> None:
    sector = sector_of(stores)
    sector_copy(stores, sector)
    (tmp_path / "a" / "sealed" / NAME).write_bytes(b"short")

    with pytest.raises(DamagedFile, match="3 of 3 files were copied and are left"):
        copy_drop(stores, sector)

    assert has(tmp_path / "b")


@pytest.mark.parametrize("kind", ["sealed", "cache"])
def test_stores_that_share_a_folder_keep_it(stores: Stores, tmp_path: Path, kind: str) -> None:
    sector = sector_of(stores)
    sector_copy(stores, sector)
    shutil.rmtree(tmp_path / "b" / kind)
    (tmp_path / "b" / kind).symlink_to(tmp_path / "a" / kind)

    for act in (sector_copy, sector_remove):
        with pytest.raises(DamagedFile, match=f"b/{kind} are one"):
            act(stores, sector)

    assert has(tmp_path / "a")


def test_another_sector_or_a_store_that_is_away_is_not_moved(stores: Stores, tmp_path: Path) -> None:
    sector = sector_of(stores)
    wrong = MovedSector("m", 1000, 7, PROOF, bytes(32), sector.from_uid, sector.to_uid)
    with pytest.raises(DamagedFile, match="with the comm_r on chain"):
        sector_copy(stores, wrong)

    (tmp_path / "b").rename(tmp_path / "gone")
    with pytest.raises(StoreAway):
        sector_copy(stores, sector)
    stores.detach(sector.to_uid)
    with pytest.raises(NotAttached):
        sector_remove(stores, sector)
    assert has(tmp_path / "a")
