"""A check names each file that is not what was recorded; a scan tells what lies in a store."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace as replace_structs

from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.wire.codec import document_encode
from poolsite.wire.commands import Command, Operation
from poolsite.wire.store_checks import CheckedFile, FileState
from tests.unit.workers.agent.removal import until
from workers.agent.journal import journal_open
from workers.agent.places import SealingPlaces
from workers.agent.removal import AbortedSector, Removals
from workers.storage import store_orders
from workers.storage.checksums import Checksums, file_digest
from workers.storage.files import DamagedFile
from workers.storage.moves import MovedSector, sector_copy, sector_remove
from workers.storage.sector import SectorFiles
from workers.storage.store import MARK, Store
from workers.storage.store_check import CheckedOne, paced_digest, sector_check
from workers.storage.store_orders import StoreOrders
from workers.storage.store_scan import (
    leftover_remove,
    others_scan,
    sector_bytes,
    sector_kinds,
    sectors_scan,
)
from workers.storage.stores import Stores
from workers.storage.sums import SectorSums
from workers.store_watch import StoreWatch

NAME = "s-t01000-7"
PROOF = 5
SEALED = f"sealed/{NAME}"
P_AUX, TREE = f"cache/{NAME}/p_aux", f"cache/{NAME}/sc-02-data-tree-r-last.dat"
T_AUX = f"cache/{NAME}/t_aux"


@pytest.fixture
def source(tmp_path: Path) -> SectorFiles:
    """Sector 7 as it was sealed, with the digests that were taken then."""
    made = SectorFiles(seal_parameters(PROOF), tmp_path / "cache" / NAME, tmp_path / "sealed" / NAME)
    made.cache.mkdir(parents=True)
    made.sealed.parent.mkdir()
    made.sealed.write_bytes(bytes(range(256)) * 8)
    made.p_aux.write_bytes(bytes(32) + bytes([1]) * 31 + b"\0")
    made.t_aux.write_bytes(b"t")
    made.tree_r_last(0).write_bytes(bytes(32 * made.tree_r_last_nodes))
    known = (made.sealed, made.p_aux, made.tree_r_last(0))
    Checksums(made.cache).record_all({path: file_digest(path) for path in known})
    return made


@pytest.fixture
def stores(tmp_path: Path, source: SectorFiles) -> Stores:
    """Two stores; the sector lies in the first."""
    made = Stores(tmp_path / "worker", (tmp_path / "a", tmp_path / "b"))
    made.open()
    made.attached()[0].store.persist(source, miner_id=1000, number=7)
    return made


def order(stores: Stores) -> CheckedOne:
    files = stores.attached()[0].store.files(seal_parameters(PROOF), miner_id=1000, number=7)
    return CheckedOne(1000, 7, PROOF, files.comm_r or b"", stores.attached()[0].uid, 0, is_quick=False)


def checked(root: Path, one: CheckedOne) -> dict[str, FileState]:
    return {file.name: file.state for file in sector_check(Store(root), one, is_wanted=lambda: True)}


def test_sums_are_recorded_as_files_are_stored_or_first_read(stores: Stores, tmp_path: Path) -> None:
    first = checked(tmp_path / "a", order(stores))

    assert first.pop(T_AUX) is FileState.NOTED
    assert first == {SEALED: FileState.GOOD, P_AUX: FileState.GOOD, TREE: FileState.GOOD}
    assert set(checked(tmp_path / "a", order(stores)).values()) == {FileState.GOOD}


@pytest.mark.parametrize("name", [SEALED, P_AUX, TREE, T_AUX])
def test_one_changed_bit_of_the_same_size_is_found(stores: Stores, tmp_path: Path, name: str) -> None:
    one = order(stores)
    checked(tmp_path / "a", one)
    path = tmp_path / "a" / name
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)

    found = checked(tmp_path / "a", one)

    assert found.pop(name) is (FileState.WRONG_COMM_R if name == P_AUX else FileState.DIFFERS)
    assert set(found.values()) == {FileState.GOOD}


def test_missing_and_short_files_are_named(stores: Stores, tmp_path: Path) -> None:
    one = order(stores)
    checked(tmp_path / "a", one)
    (tmp_path / "a" / SEALED).write_bytes(b"short")
    (tmp_path / "a" / TREE).unlink()
    (tmp_path / "a" / T_AUX).unlink()
    late = tmp_path / "a" / "unsealed" / NAME
    late.parent.mkdir()
    late.write_bytes(b"data")

    found = checked(tmp_path / "a", one)

    assert (found[SEALED], found[TREE]) == (FileState.WRONG_SIZE, FileState.MISSING)
    assert (found[T_AUX], found[f"unsealed/{NAME}"]) == (FileState.MISSING, FileState.NOTED)
    late.unlink()
    assert f"unsealed/{NAME}" not in checked(tmp_path / "a", one), "an unsealed copy may go"


def test_a_disk_that_refuses_to_read_a_file_is_named(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.read

    def refusing(handle: int, count: int) -> bytes:
        if os.readlink(f"/proc/self/fd/{handle}").endswith(SEALED):
            raise OSError(5, "Input/output error")
        return real(handle, count)

    monkeypatch.setattr("workers.storage.store_check.os.read", refusing)

    assert checked(tmp_path / "a", order(stores))[SEALED] is FileState.UNREADABLE


def test_a_quick_check_reads_no_large_file_and_compares_comm_r(stores: Stores, tmp_path: Path) -> None:
    one = replace(order(stores), is_quick=True)
    assert set(checked(tmp_path / "a", one).values()) == {FileState.NOT_READ}

    other = replace(one, comm_r=bytes(32))
    assert checked(tmp_path / "a", other)[P_AUX] is FileState.WRONG_COMM_R
    with pytest.raises(DamagedFile):
        checked(tmp_path / "a", replace(one, seal_proof=99))


def test_a_moved_sector_has_its_sums_with_it(stores: Stores, tmp_path: Path) -> None:
    one, (first, second) = order(stores), stores.attached()
    sector = MovedSector("m", 1000, 7, PROOF, one.comm_r, first.uid, second.uid)
    sector_copy(stores, sector)
    sector_remove(stores, sector)

    assert set(checked(tmp_path / "b", one).values()) == {FileState.GOOD}
    assert not list((tmp_path / "a" / "sums").iterdir())


def test_damaged_files_are_not_copied_under_a_new_sum(stores: Stores, tmp_path: Path) -> None:
    one, (first, second) = order(stores), stores.attached()
    path = tmp_path / "a" / SEALED
    path.write_bytes(path.read_bytes()[:-1] + b"?")

    with pytest.raises(DamagedFile, match="does not match its recorded checksum"):
        sector_copy(stores, MovedSector("m", 1000, 7, PROOF, one.comm_r, first.uid, second.uid))

    assert not list((tmp_path / "b").rglob(NAME))


def test_what_is_stored_anew_has_new_sums(stores: Stores, source: SectorFiles, tmp_path: Path) -> None:
    source.sealed.write_bytes(bytes(2048))
    Checksums(source.cache).record(source.sealed, file_digest(source.sealed))

    stores.attached()[0].store.persist(source, miner_id=1000, number=7)

    assert checked(tmp_path / "a", order(stores))[SEALED] is FileState.GOOD


def test_removing_a_sector_removes_its_sums(stores: Stores, tmp_path: Path) -> None:
    journal = journal_open(tmp_path)
    places = SealingPlaces(tmp_path / "worker", journal)
    removals = Removals(places=places, stores=stores, journal=journal)
    assert SectorSums(tmp_path / "a", NAME).path in removals.files(AbortedSector("j", 1000, 7))


def test_reading_keeps_the_pace(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    begun = time.monotonic()

    paced_digest(path, bytes_s=2 << 20, is_wanted=lambda: True)

    assert time.monotonic() - begun >= 0.5
    with pytest.raises(InterruptedError):
        paced_digest(path, bytes_s=1, is_wanted=lambda: False)


def test_a_scan_tells_whole_and_half_sectors_apart(stores: Stores, tmp_path: Path) -> None:
    root = stores.attached()[0].store.root
    for kind, name in (("update", "s-t01000-8"), ("sealed", "s-t01001-9")):
        (root / kind).mkdir(exist_ok=True)
        (root / kind / name).write_bytes(b"x")
    (root / "update-cache" / "s-t01000-8").mkdir(parents=True)
    (root / "update-cache" / "s-t01000-8" / "p_aux").write_bytes(b"x")
    (root / "sealed" / "s-t01000-10.tmp").write_bytes(b"x")
    (root / "cache" / "s-t01000-11").mkdir()
    (root / "cache" / "strange").mkdir()
    (root / "unsealed").mkdir()
    (root / "unsealed" / "s-t01000-12").write_bytes(b"x")

    whole, half = sectors_scan(root)

    assert ({key: sorted(one) for key, one in whole.items()}, half[1001]) == ({1000: [7, 8]}, [9])
    assert sorted(half[1000]) == [10, 11]
    found = {number: sector_kinds(root, f"s-t01000-{number}") for number in (8, 10, 11)}
    assert found == {8: "update update-cache", 10: "sealed", 11: "cache"}


def test_a_host_tells_what_it_found_until_the_console_has_it(stores: Stores) -> None:
    watch, one = StoreWatch(stores, sector_bytes=2048), order(stores)
    args = {"uid": one.uid, "miner_id": "1000", "number": "7", "seal_proof": str(PROOF)}
    check = Command(id="c", op=Operation.CHECK_SECTOR, args=args | {"comm_r": one.comm_r.hex()})
    scan = Command(id="s", op=Operation.SCAN_STORE, args={"uid": one.uid})
    for command in (check, scan):
        watch.orders._carry_out(command)
        assert watch.orders.order(command) == ""

    [of_sector], [of_store] = watch.orders.found(["c", "s", "x"])
    assert (len(of_sector.files), of_store.miners[0].whole) == (4, (7, 1))
    watch.orders.forget(["c", "s"])
    assert watch.orders.found(["c", "s"]) == ((), ())

    stores.detach(one.uid)
    again = Command(id="again", op=scan.op, args=scan.args)
    watch.orders._carry_out(again)
    assert "does not have the store" in str(watch.orders.order(again))


def move_order(stores: Stores, op: Operation) -> Command:
    one, [first, second] = order(stores), stores.attached()
    args = {
        "move": "m",
        "miner_id": "1000",
        "number": "7",
        "seal_proof": str(PROOF),
        "comm_r": one.comm_r.hex(),
    }
    return Command(id=str(op), op=op, args=args | {"from": first.uid, "to": second.uid})


def check_order(stores: Stores, place: int = 0) -> Command:
    one = order(stores)
    args = {"uid": stores.attached()[place].uid, "miner_id": "1000", "number": "7", "seal_proof": str(PROOF)}
    return Command(id="c", op=Operation.CHECK_SECTOR, args=args | {"comm_r": one.comm_r.hex()})


@pytest.mark.parametrize(
    ("op", "place"), [(Operation.REMOVE_COPY, 0), (Operation.COPY_SECTOR, 1), (Operation.DROP_COPY, 1)]
)
def test_what_a_move_changes_while_it_is_read_is_not_told(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, op: Operation, place: int
) -> None:
    watch = StoreWatch(stores, sector_bytes=2048)
    order_of_move, check = move_order(stores, op), check_order(stores, place)
    if op is not Operation.COPY_SECTOR:
        watch.orders._carry_out(move_order(stores, Operation.COPY_SECTOR))

    def moved_meanwhile(store: Store, one: CheckedOne, **data: Any) -> list[CheckedFile]:
        watch.orders._carry_out(order_of_move)
        return sector_check(store, one, **data)

    monkeypatch.setattr(store_orders, "sector_check", moved_meanwhile)
    with watch.orders._lock:
        watch.orders._orders["c"] = None
    watch.orders._carry_out(check)

    assert watch.orders.order(check) == store_orders.MOVES_NOW
    assert watch.orders.found(["c"]) == ((), ())
    sums = SectorSums(stores.attached()[0].require().root, NAME)
    assert op is not Operation.REMOVE_COPY or not sums.read(), "nothing is left of what went"


@pytest.mark.parametrize("op", [Operation.CHECK_SECTOR, Operation.COPY_SECTOR])
def test_an_order_that_hangs_in_a_disk_holds_up_no_others(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, op: Operation
) -> None:
    disk_answers, orders = threading.Event(), StoreOrders(stores, on_end=lambda: None)
    is_check = op is Operation.CHECK_SECTOR
    first = check_order(stores) if is_check else move_order(stores, op)
    second = replace_structs(first, id="second", args=first.args | {"number": "8"})

    def work(_store: object, one: CheckedOne | MovedSector, **_: object) -> list[CheckedFile]:
        if one.number == 7:
            disk_answers.wait()
        return []

    monkeypatch.setattr(store_orders, "COPY_S", 1.0)
    monkeypatch.setattr(store_orders, "sector_check", work)
    monkeypatch.setattr(store_orders, "MOVES", {Operation.COPY_SECTOR: work})
    for one in (first, second):
        orders.order(one)
    until(lambda: None not in (orders.order(first), orders.order(second)))

    assert orders.order(second) == ""
    assert "does not answer: check its disk" in str(orders.order(first))
    disk_answers.set()


def test_a_sector_that_is_only_copied_away_is_read_meanwhile(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = StoreWatch(stores, sector_bytes=2048)
    copy, check = move_order(stores, Operation.COPY_SECTOR), check_order(stores)

    def copied_meanwhile(store: Store, one: CheckedOne, **data: Any) -> list[CheckedFile]:
        watch.orders._carry_out(copy)
        return sector_check(store, one, **data)

    monkeypatch.setattr(store_orders, "sector_check", copied_meanwhile)
    watch.orders._carry_out(check)

    assert watch.orders.order(check) == ""
    assert len(watch.orders.found(["c"])[0]) == 1


def test_names_that_are_no_utf_8_end_no_heartbeat(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, one = StoreWatch(stores, sector_bytes=2048), order(stores)
    for folder in ("cache", "cache/s-t01000-7"):
        (tmp_path / "a" / folder / os.fsdecode(b"caf\xe9")).write_bytes(b"x")
    args = {"uid": one.uid, "miner_id": "1000", "number": "7", "seal_proof": str(PROOF)}
    watch.orders._carry_out(
        Command(id="c", op=Operation.CHECK_SECTOR, args=args | {"comm_r": one.comm_r.hex()})
    )
    scan = Command(id="s", op=Operation.SCAN_STORE, args={"uid": one.uid})
    watch.orders._carry_out(scan)
    [of_sector], [of_store] = watch.orders.found(["c", "s"])
    sent = httpx.Request("POST", "http://c", json=[document_encode(of_sector), document_encode(of_store)])
    assert sent.content.count(b"caf\\\\xe9") == 2
    assert of_store.others[0].name == "cache/caf\\xe9"

    watch.orders.forget(["c", "s"])
    found = [("cache/" + os.fsdecode(b"\xe9"), 1)]
    monkeypatch.setattr("workers.storage.store_orders.others_scan", lambda _root: found)
    watch.orders._carry_out(scan)
    assert "surrogates not allowed" in str(watch.orders.order(scan)), "a fault of its order"
    assert watch.orders.found(["s"]) == ((), ())


def test_what_is_no_sectors_is_told_with_its_bytes(stores: Stores, tmp_path: Path) -> None:
    root = tmp_path / "a"
    (root / "cache" / "strange").mkdir()
    (root / "cache" / "strange" / "file").write_bytes(bytes(8192))
    (root / "sealed" / "s-t01000-10.tmp").write_bytes(bytes(4096))

    [(name, size)] = others_scan(root)

    assert (name, size >= 8192) == ("cache/strange", True)
    assert sector_bytes(root, "s-t01000-10") >= 4096


def test_only_what_is_no_whole_sector_is_removed_unless_that_is_said(stores: Stores, tmp_path: Path) -> None:
    store, args = stores.attached()[0].store, {"miner_id": "1000", "number": "7"}
    with pytest.raises(DamagedFile, match="is complete"):
        leftover_remove(store, args)
    assert (tmp_path / "a" / SEALED).exists()

    leftover_remove(store, args | {"whole": "yes"})
    assert not list((tmp_path / "a").rglob(f"{NAME}*"))
    half = tmp_path / "a" / "sealed" / "s-t01000-8.tmp"
    half.write_bytes(b"x")
    leftover_remove(store, {"miner_id": "1000", "number": "8"})
    assert not half.exists()


def test_an_order_under_way_is_not_forgotten_however_many_come(stores: Stores) -> None:
    watch = StoreWatch(stores, sector_bytes=2048)
    watch.orders._orders = dict.fromkeys([f"busy-{count}" for count in range(150)], None)
    watch.orders._orders |= {f"done-{count}": "" for count in range(150)}
    scan = Command(id="s", op=Operation.SCAN_STORE, args={"uid": stores.attached()[0].uid})

    watch.orders.order(scan)

    assert sum(one.startswith("busy-") for one in watch.orders._orders) == 150
    assert sum(one.startswith("done-") for one in watch.orders._orders) == 100


def test_a_leftover_of_a_store_that_shares_its_folder_stays(stores: Stores, tmp_path: Path) -> None:
    watch = StoreWatch(stores, sector_bytes=2048)
    uid = stores.attached()[1].uid
    (tmp_path / "b" / "sealed").symlink_to(tmp_path / "a" / "sealed")
    args = {"uid": uid, "miner_id": "1000", "number": "7", "whole": "yes"}
    remove = Command(id="r", op=Operation.REMOVE_LEFTOVER, args=args)

    watch.orders._carry_out(remove)

    assert "are one folder: the stores share it through a link" in str(watch.orders.order(remove))
    assert (tmp_path / "a" / SEALED).exists(), "it was no second copy"


def test_a_leftover_stays_while_a_store_that_may_share_it_is_away(stores: Stores, tmp_path: Path) -> None:
    watch = StoreWatch(stores, sector_bytes=2048)
    args = {"uid": stores.attached()[0].uid, "miner_id": "1000", "number": "7", "whole": "yes"}
    (tmp_path / "b" / MARK).unlink()
    remove = Command(id="r", op=Operation.REMOVE_LEFTOVER, args=args)

    watch.orders._carry_out(remove)

    assert "is unavailable and may share files" in str(watch.orders.order(remove))
    assert (tmp_path / "a" / SEALED).exists()
    (other,) = (one for one in stores.attached() if one.path.endswith("/b"))
    stores.detach(other.uid)
    watch.orders._carry_out(remove)
    assert not (tmp_path / "a" / SEALED).exists()


def test_a_leftover_that_is_to_go_no_more_stays(stores: Stores, tmp_path: Path) -> None:
    watch = StoreWatch(stores, sector_bytes=2048)
    args = {"uid": stores.attached()[0].uid, "miner_id": "1000", "number": "7", "whole": "yes"}
    remove = Command(id="r", op=Operation.REMOVE_LEFTOVER, args=args)
    watch.orders._orders["r"] = None  # a move comes first
    watch.orders.ordered([])

    watch.orders._carry_out(remove)

    assert watch.orders.order(remove) == "the command was withdrawn"
    assert (tmp_path / "a" / SEALED).exists()
