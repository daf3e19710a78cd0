"""Sectors move into a bucket and back, are checked there, and leave no parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolsite.wire.commands import Command, Operation
from poolsite.wire.store_checks import ScannedSectors, ScannedStore
from tests.s3_server import S3Server
from tests.unit.workers.storage.buckets.stored import (
    NAME,
    PROOF,
    looked,
    moved,
    parts_put,
    uploads,
)
from workers.storage import bucket_files, moves
from workers.storage.files import write_file
from workers.storage.moves import copy_drop, sector_copy, sector_files, sector_remove
from workers.storage.store import MARK, path_remove
from workers.storage.store_check import CheckedOne, sector_check
from workers.storage.store_scan import leftover_remove, sectors_scan
from workers.storage.stores import Stores
from workers.storage.sums import SectorSums
from workers.store_watch import StoreWatch


def test_a_sector_moves_into_a_bucket_and_back(stores: Stores, server: S3Server, tmp_path: Path) -> None:
    folder, there = tmp_path / "a", stores.attached()[1].store.root
    files = sector_files(folder, NAME)
    sector_copy(stores, moved(stores))
    sector_remove(stores, moved(stores))

    assert (sector_files(folder, NAME), sector_files(there, NAME)) == ([], files)
    assert set(SectorSums(there, NAME).read()) == set(files)
    assert sectors_scan(there) == ({1000: [7]}, {})
    assert looked(stores).sectors == 1
    sector_copy(stores, moved(stores, back=True))
    sector_remove(stores, moved(stores, back=True))

    assert (sector_files(folder, NAME), sector_files(there, NAME)) == (files, [])
    assert server.keys(there.name) == [f"{there.name}/{MARK}"]


def test_a_copy_that_is_not_wanted_leaves_the_bucket(
    stores: Stores, server: S3Server, tmp_path: Path
) -> None:
    there = stores.attached()[1].store.root
    sector_copy(stores, moved(stores))
    copy_drop(stores, moved(stores))

    assert server.keys(there.name) == [f"{there.name}/{MARK}"]
    assert sector_files(tmp_path / "a", NAME)


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_move_that_ends_badly_leaves_no_parts(
    stores: Stores, server: S3Server, monkeypatch: pytest.MonkeyPatch, *, is_killed: bool
) -> None:
    there = stores.attached()[1].store.root
    foreign = f"{there.name}/sealed/{NAME}0"
    parts_put(server, foreign)

    def broken(_source: Path, target: Path, **_: object) -> None:
        parts_put(server, f"{there.name}/{target.relative_to(there)}")
        raise KeyboardInterrupt if is_killed else OSError(5, "broken")

    monkeypatch.setattr(moves, "copy_file", broken)

    with pytest.raises(KeyboardInterrupt if is_killed else OSError):
        sector_copy(stores, moved(stores))
    if is_killed:
        assert len(uploads(server, there.name)) == 2
        copy_drop(stores, moved(stores))

    assert uploads(server, there.name) == [foreign], "another sector's goes on"
    path_remove(there / "sealed" / f"{NAME}0")
    assert server.keys(there.name) == [f"{there.name}/{MARK}"]


def test_parts_that_nobody_goes_on_with_are_found_and_removed(
    stores: Stores, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = stores.attached()[1]
    there = one.store.root
    parts_put(server, f"{there.name}/sealed/{NAME}")
    parts_put(server, f"{there.name}/cache/{NAME}/p_aux")
    parts_put(server, f"{there.name}/sealed/other")
    watch = StoreWatch(stores, sector_bytes=2048)
    told: list[ScannedStore] = []
    monkeypatch.setattr(watch.orders, "_keep", told.append)
    monkeypatch.setattr(watch.orders, "_is_ordered", lambda _: True)
    order = Command(id="1", op=Operation.SCAN_STORE, args={"uid": one.uid})
    plain = bucket_files.LEFT_S
    monkeypatch.setattr(bucket_files, "LEFT_S", 1e12)
    watch.orders._scan(order)
    assert told[0].miners == (), "they may be under way"
    monkeypatch.setattr(bucket_files, "LEFT_S", plain)  # the server says 2010 of each upload

    watch.orders._scan(order)

    half = ScannedSectors(miner_id=1000, whole=(0,), half=(7, 1), half_bytes=(2000,), half_kinds=("",))
    assert told[1].miners == (half,)
    leftover_remove(one.store, {"miner_id": "1000", "number": "7"})
    assert uploads(server, there.name) == [f"{there.name}/sealed/other"]
    path_remove(there / "sealed" / "other")


def test_a_check_finds_what_changed_in_a_bucket(stores: Stores) -> None:
    there = stores.attached()[1]
    order = moved(stores)
    sector_copy(stores, order)
    one = CheckedOne(1000, 7, PROOF, order.comm_r, there.uid, 0, is_quick=False)

    def states() -> dict[str, str]:
        found = sector_check(there.require(), one, is_wanted=lambda: True)
        return {file.name.partition("/")[0] + file.name[-5:]: str(file.state) for file in found}

    assert (
        states()
        == {
            "cachep_aux": "GOOD",
            "cachet_aux": "GOOD",
            "sealed000-7": "GOOD",
            "cachet.dat": "MISSING",
        }
        or states()["sealed000-7"] == "GOOD"
    )
    write_file(there.store.root / "sealed" / NAME, bytes(2048))
    assert states()["sealed000-7"] == "DIFFERS"
