"""Sectors whose replica and cache lie in two stores of a host: scanned, checked and moved as whole ones."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.wire.store_checks import FileState
from tests.unit.workers.processors.post import flip
from workers.storage import moves
from workers.storage.attachment import NotAttached
from workers.storage.files import DamagedFile
from workers.storage.moves import MovedSector, copy_drop, sector_copy, sector_files, sector_remove
from workers.storage.sector import SectorFiles
from workers.storage.store import Store, path_remove
from workers.storage.store_check import CheckedOne, sector_check
from workers.storage.store_scan import leftover_remove, sectors_scan
from workers.storage.stores import Stores
from workers.storage.sums import SectorSums

NAME = "s-t01000-7"
PROOF = 5
ROOTS = "abcd"
KINDS = {"sealed": ("sealed", "cache"), "update": ("update", "update-cache")}


@pytest.fixture(params=KINDS)
def replica(request: pytest.FixtureRequest) -> str:
    """The folder of the replica: as it was sealed, or updated."""
    return str(request.param)


@pytest.fixture
def stores(tmp_path: Path, replica: str) -> Stores:
    """Four stores: a has the replica of sector 7, b its cache, c what was unsealed, d nothing."""
    made = Stores(tmp_path / "worker", [tmp_path / name for name in ROOTS])
    made.open()
    files = files_in(tmp_path / "b", replica)
    files.cache.mkdir(parents=True)
    files.p_aux.write_bytes(bytes(32) + bytes([1]) * 31 + b"\0")
    files.t_aux.write_bytes(b"t")
    files.tree_r_last(0).write_bytes(bytes(32 * files.tree_r_last_nodes))
    for root, kind in (("a", replica), ("c", "unsealed")):
        (tmp_path / root / kind).mkdir()
        (tmp_path / root / kind / NAME).write_bytes(bytes(range(256)) * 8)
    return made


def files_in(root: Path, replica: str) -> SectorFiles:
    cache = KINDS[replica][1]
    return SectorFiles(seal_parameters(PROOF), root / cache / NAME, root / replica / NAME)


def comm_r(tmp_path: Path, replica: str) -> bytes:
    found = [files_in(tmp_path / name, replica).comm_r for name in ROOTS]
    return next(one for one in found if one)


def move(stores: Stores, tmp_path: Path, replica: str, to: str) -> MovedSector:
    uids = {Path(one.path).name: one.uid for one in stores.attached()}
    return MovedSector("m-1", 1000, 7, PROOF, comm_r(tmp_path, replica), uids["a"], uids[to])


def lies(tmp_path: Path) -> dict[str, list[str]]:
    """By store the kinds of which it has files."""
    files = {name: sector_files(tmp_path / name, NAME) for name in ROOTS}
    return {
        name: sorted({file.partition("/")[0] for file in found}) for name, found in files.items() if found
    }


def scanned(stores: Stores, root: Path) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    return sectors_scan(root, others=stores.roots_beside(root))


def test_a_scan_finds_it_in_its_replicas_store_and_no_half_in_the_others(
    stores: Stores, tmp_path: Path
) -> None:
    assert [scanned(stores, tmp_path / name) for name in ROOTS] == [
        ({1000: [7]}, {}),
        ({}, {}),
        ({}, {}),
        ({}, {}),
    ]


def test_what_belongs_to_a_second_copy_is_not_lent(stores: Stores, tmp_path: Path, replica: str) -> None:
    shutil.copytree(tmp_path / "a" / replica, tmp_path / "b" / replica)

    assert scanned(stores, tmp_path / "a") == ({}, {1000: [7]})
    assert scanned(stores, tmp_path / "b") == ({1000: [7]}, {})


@pytest.mark.parametrize("replica", ["update"], indirect=True)
def test_an_old_replicas_cache_is_a_half_once_none_is_lent(
    stores: Stores, tmp_path: Path, replica: str
) -> None:
    """lotus-miner removes the old replica after a snap-up, and leaves its cache."""
    shutil.copytree(tmp_path / "b" / "update-cache", tmp_path / "b" / "cache")
    assert [scanned(stores, tmp_path / name) for name in "ab"] == [({1000: [7]}, {}), ({}, {})]

    sector = move(stores, tmp_path, replica, "d")
    sector_copy(stores, sector)
    sector_remove(stores, sector)

    assert lies(tmp_path) == {"b": ["cache"], "c": ["unsealed"], "d": sorted(KINDS[replica])}
    assert scanned(stores, tmp_path / "b") == ({}, {1000: [7]})
    others = [one for one in stores.attached() if not one.path.endswith("b")]
    leftover_remove(Store(tmp_path / "b"), {"miner_id": "1000", "number": "7"}, others)
    assert "b" not in lies(tmp_path)


def test_a_check_reads_the_lent_cache_and_keeps_sums_in_its_store(
    stores: Stores, tmp_path: Path, replica: str
) -> None:
    one = CheckedOne(1000, 7, PROOF, comm_r(tmp_path, replica), "", 0, is_quick=False)

    def checked() -> dict[str, FileState]:
        root = tmp_path / "a"
        found = sector_check(Store(root), one, is_wanted=lambda: True, others=stores.roots_beside(root))
        return {Path(file.name).name: file.state for file in found}

    names = {"p_aux", "t_aux", "sc-02-data-tree-r-last.dat", NAME}
    assert checked() == dict.fromkeys(names, FileState.NOTED)
    assert checked() == dict.fromkeys(names, FileState.GOOD)
    assert set(SectorSums(tmp_path / "a", NAME).read()) == {f"{replica}/{NAME}"}
    assert len(SectorSums(tmp_path / "b", NAME).read()) == 3
    cache = files_in(tmp_path / "b", replica)
    cache.tree_r_last(0).write_bytes(bytes(32 * cache.tree_r_last_nodes - 1) + b"x")
    cache.t_aux.unlink()
    assert checked() == {
        **dict.fromkeys(names, FileState.GOOD),
        "t_aux": FileState.MISSING,
        "sc-02-data-tree-r-last.dat": FileState.DIFFERS,
    }
    cache.p_aux.unlink()
    assert checked()["p_aux"] is FileState.MISSING


@pytest.mark.parametrize("to", ["b", "d"], ids=["to its cache", "to a third store"])
def test_moved_it_lies_in_one_store_alone(stores: Stores, tmp_path: Path, replica: str, to: str) -> None:
    sector = move(stores, tmp_path, replica, to)

    sector_copy(stores, sector)
    assert stores.attached()[0].store.root == tmp_path / "a"
    assert lies(tmp_path)["a"] == [replica], "the originals stay until the console knows the copy"
    assert (tmp_path / "b" / KINDS[replica][1] / NAME / "p_aux").exists()
    sector_remove(stores, sector)

    assert lies(tmp_path) == {"c": ["unsealed"], to: sorted(KINDS[replica])}
    assert files_in(tmp_path / to, replica).comm_r == sector.comm_r
    assert files_in(tmp_path / to, replica).sealed.read_bytes() == bytes(range(256)) * 8
    assert not SectorSums(tmp_path / "a", NAME).read()
    sector_remove(stores, sector)


@pytest.mark.parametrize("to", ["b", "d"])
@pytest.mark.parametrize("stop", range(4))
def test_killed_after_any_file_the_copy_goes_on(
    stores: Stores, tmp_path: Path, replica: str, to: str, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sector, real, copied = move(stores, tmp_path, replica, to), moves._file_copy, list[str]()

    def until_killed(source: Path, target: Path, *args: Any, **how: Any) -> str:
        if len(copied) == stop:
            raise KeyboardInterrupt
        copied.append(target.name)
        return real(source, target, *args, **how)

    monkeypatch.setattr(moves, "_file_copy", until_killed)
    if stop < (1 if to == "b" else 4):
        with pytest.raises(KeyboardInterrupt):
            sector_copy(stores, sector)
    else:
        sector_copy(stores, sector)
    assert lies(tmp_path)["a"] == [replica]
    assert files_in(tmp_path / "b", replica).comm_r == sector.comm_r
    monkeypatch.setattr(moves, "_file_copy", real)

    sector_copy(stores, sector)
    sector_remove(stores, sector)

    assert lies(tmp_path) == {"c": ["unsealed"], to: sorted(KINDS[replica])}


@pytest.mark.parametrize("kept", ["lent cache", "replica"])
def test_a_removal_that_was_killed_goes_on(
    stores: Stores, tmp_path: Path, replica: str, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sector, removed = move(stores, tmp_path, replica, "d"), list[Path]()
    sector_copy(stores, sector)

    def until_killed(path: Path) -> None:
        if len(removed) == (kept == "replica"):
            raise KeyboardInterrupt
        removed.append(path)
        path_remove(path)

    monkeypatch.setattr(moves, "path_remove", until_killed)
    with pytest.raises(KeyboardInterrupt):
        sector_remove(stores, sector)
    assert (tmp_path / "a" / replica / NAME).exists(), "it is known by its replica: that goes last"
    monkeypatch.setattr(moves, "path_remove", path_remove)

    sector_remove(stores, sector)

    assert lies(tmp_path) == {"c": ["unsealed"], "d": sorted(KINDS[replica])}


def test_a_dropped_copy_leaves_both_parts_where_they_are(
    stores: Stores, tmp_path: Path, replica: str
) -> None:
    before = lies(tmp_path)
    for to in ("b", "d"):
        sector = move(stores, tmp_path, replica, to)
        sector_copy(stores, sector)

        copy_drop(stores, sector)

        assert lies(tmp_path) == before


@pytest.mark.parametrize("part", ["a", "b"])
def test_a_part_that_differs_from_its_copy_is_kept(
    stores: Stores, tmp_path: Path, replica: str, part: str
) -> None:
    sector = move(stores, tmp_path, replica, "d")
    sector_copy(stores, sector)
    files = files_in(tmp_path / "d", replica)
    spoilt = files.sealed if part == "a" else files.tree_r_last(0)
    flip(spoilt)

    with pytest.raises(DamagedFile, match="the original is kept"):
        sector_remove(stores, sector)

    assert set(lies(tmp_path)) == {"a", "b", "c", "d"}


def test_without_its_cache_it_is_not_moved(stores: Stores, tmp_path: Path, replica: str) -> None:
    sector = move(stores, tmp_path, replica, "d")
    files_in(tmp_path / "b", replica).p_aux.write_bytes(bytes(64))

    with pytest.raises(DamagedFile, match="comm_r on chain"):
        sector_copy(stores, sector)

    assert set(lies(tmp_path)) == {"a", "b", "c"}


def test_neither_part_is_a_leftover(stores: Stores, tmp_path: Path) -> None:
    for name in "ab":
        others = [one for one in stores.attached() if not one.path.endswith(name)]
        with pytest.raises(DamagedFile, match="move it into one store first"):
            leftover_remove(Store(tmp_path / name), {"miner_id": "1000", "number": "7", "whole": ""}, others)


def test_its_files_are_found_for_a_check_of_its_store_alone(
    stores: Stores, tmp_path: Path, replica: str
) -> None:
    here = [one for one in stores.attached() if one.path.endswith("a")]

    files = stores.proven_files(
        seal_parameters(PROOF), miner_id=1000, number=7, comm_r=comm_r(tmp_path, replica), here=here
    )

    assert files is not None
    assert (files.sealed.parents[1], files.cache.parents[1]) == (tmp_path / "a", tmp_path / "b")


def test_a_store_that_lends_a_cache_is_not_detached(stores: Stores, tmp_path: Path, replica: str) -> None:
    uids = {Path(one.path).name: one.uid for one in stores.attached()}

    with pytest.raises(NotAttached, match=f"the cache of {NAME}, whose replica lies in another store"):
        stores.lent_check(uids["b"])
    for name in "acd":
        stores.lent_check(uids[name])
    sector = move(stores, tmp_path, replica, "d")
    sector_copy(stores, sector)
    sector_remove(stores, sector)
    stores.lent_check(uids["b"])
