"""Several stores of a worker: which they are, where a sector is put, what is wrong with them."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poolsite.wire.commands import Command, Operation
from poolsite.wire.stores import StoreCondition
from tests.integration.disks import mounted
from workers.agent.inventory import stored_here
from workers.storage.attachment import Attachment, NotAttached
from workers.storage.files import NotEnoughSpace, write_file
from workers.storage.promises import RoomPromised
from workers.storage.store import Store, StoreAway
from workers.storage.store_condition import store_condition_read
from workers.storage.store_mark import BadMark, StoreRefuses, mark_change, mark_read
from workers.storage.stores import Stores
from workers.store_watch import StoreWatch


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    """A worker with the stores a and b."""
    made = Stores(tmp_path / "worker", (tmp_path / "a", tmp_path / "b"))
    made.open()
    return made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own of 1 MiB."""
    with mounted(tmp_path / "small", megabytes=1) as folder:
        yield folder


def condition(stores: Stores, path: Path, *, sector_bytes: int = 2048) -> StoreCondition:
    """What a look at a store finds."""
    [one] = [one for one in stores.attached() if one.path == str(path)]
    found = store_condition_read(one, stores, sector_bytes=sector_bytes, others=stores.attached())
    assert bool(found.reason) is (found.condition is not StoreCondition.READY)
    return found.condition


def chosen(stores: Stores, **wanted: Any) -> str:
    """The last part of the path of the store for a sector."""
    return stores.choose(**{"miner_id": 1000, "needs_bytes": 1, **wanted}).path.rpartition("/")[2]


def mark(folder: Path, **facts: Any) -> None:
    mark_change(folder / "sectorstore.json", facts)


def test_a_store_keeps_its_identity_wherever_it_is_mounted(stores: Stores, tmp_path: Path) -> None:
    [first, _] = stores.attached()
    (tmp_path / "a").rename(tmp_path / "moved")

    other = Stores(tmp_path / "other", (tmp_path / "moved",))
    other.open()

    assert other.attached()[0].uid == first.uid
    assert condition(stores, tmp_path / "a") is StoreCondition.AWAY


def test_a_bare_folder_or_another_store_is_not_taken_for_the_store(stores: Stores, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "a").mkdir()
    with pytest.raises(StoreAway, match="is its disk mounted"):
        stores.attached()[0].require()
    assert list((tmp_path / "a").iterdir()) == [], "nothing is written under an absent mount"
    assert condition(stores, tmp_path / "a") is StoreCondition.AWAY

    Store(tmp_path / "a").name()
    assert condition(stores, tmp_path / "a") is StoreCondition.REPLACED
    stores.open()
    assert condition(stores, tmp_path / "a") is StoreCondition.REPLACED, "a start does not forget it"


def test_a_file_in_the_folders_place_or_a_broken_mark_is_named(stores: Stores, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "a").write_text("")
    (tmp_path / "b" / "sectorstore.json").write_text("{")

    assert condition(stores, tmp_path / "a") is StoreCondition.AWAY
    assert condition(stores, tmp_path / "b") is StoreCondition.BAD_MARK
    with pytest.raises(StoreAway, match="no store can accept the sector now"):
        stores.choose(miner_id=1000, needs_bytes=1)


def test_a_full_and_a_read_only_disk_are_named_and_come_back(tmp_path: Path, small_disk: Path) -> None:
    stores = Stores(tmp_path / "worker", (small_disk,))
    stores.open()
    assert condition(stores, small_disk) is StoreCondition.READY

    (small_disk / "filler").write_bytes(bytes(1 << 19))
    assert condition(stores, small_disk, sector_bytes=1 << 19) is StoreCondition.FULL
    with pytest.raises(NotEnoughSpace, match="of disk needed"):
        stores.choose(miner_id=1000, needs_bytes=1 << 20)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert condition(stores, small_disk) is StoreCondition.READ_ONLY
    with pytest.raises(StoreAway):
        stores.choose(miner_id=1000, needs_bytes=1)

    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert condition(stores, small_disk) is StoreCondition.READY
    assert chosen(stores) == "small"


def test_weight_times_free_space_decides_and_rules_are_obeyed(stores: Stores, tmp_path: Path) -> None:
    mark(tmp_path / "b", Weight=3)
    assert chosen(stores) == "b"

    mark(tmp_path / "b", DenyMiners=[1000])
    assert (chosen(stores), chosen(stores, miner_id=1001)) == ("a", "b")

    mark(tmp_path / "b", DenyMiners=[], DenyTypes=["update"])
    assert (chosen(stores), chosen(stores, is_update=True)) == ("b", "a")

    for name in "ab":
        mark(tmp_path / name, ReadOnly=True)
    with pytest.raises(StoreRefuses, match="set ReadOnly to false"):
        stores.choose(miner_id=1000, needs_bytes=1)
    assert condition(stores, tmp_path / "a") is StoreCondition.READ_ONLY


def test_the_reserve_and_what_jobs_will_put_there_are_no_room(stores: Stores, tmp_path: Path) -> None:
    one = stores.attached()[0]

    def free_bytes(without: str = "") -> int:
        return stores.room(one).left(stores.promises.live(tmp_path / "a", without=without))

    free = free_bytes()
    stores.reserve("job-1", one, 1 << 29)
    mark(tmp_path / "a", ReserveBytes=2 << 29)

    assert abs(free - free_bytes() - (3 << 29)) < 1 << 28
    assert abs(free - free_bytes(without="job-1") - (2 << 29)) < 1 << 28
    mark(tmp_path / "a", MaxStorage=1 << 20, ReserveBytes=0)
    stores.release("job-1")
    (tmp_path / "a" / "sealed").mkdir()
    (tmp_path / "a" / "sealed" / "s-t01000-1").write_bytes(bytes(1 << 19))
    assert free_bytes() == 1 << 19


def test_what_a_job_puts_into_one_store_is_no_room_in_another_on_its_disk(
    tmp_path: Path, small_disk: Path
) -> None:
    stores = Stores(tmp_path / "worker", (small_disk / "a", small_disk / "b", tmp_path / "other"))
    stores.open()
    first, second, other = stores.attached()
    free = stores.room(second).left()
    stores.reserve("job-1", first, free // 2)

    with pytest.raises(RoomPromised):
        stores.choose(miner_id=1000, needs_bytes=free * 3 // 4, among=[second])
    with pytest.raises(RoomPromised):
        stores.reserve("job-2", second, free * 3 // 4)
    assert stores.choose(miner_id=1000, needs_bytes=free * 3 // 4, among=[second], job="job-1") == second
    stores.reserve("job-2", second, free // 4)
    assert stores.choose(miner_id=1000, needs_bytes=free * 3 // 4) == other
    stores.release("job-1")
    assert stores.choose(miner_id=1000, needs_bytes=free // 2, among=[second]) == second


def test_a_damocles_mark_gets_an_identity_and_keeps_its_keys(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "sectorstore.json").write_text(json.dumps({"Name": "p1", "Meta": {"a": "b"}}))
    stores = Stores(tmp_path / "worker", (tmp_path / "p",))
    stores.open()

    found = mark_read(tmp_path / "p" / "sectorstore.json")

    assert (stores.attached()[0].uid, stores.attached()[0].name) == (found.uid, "p1")
    assert json.loads((tmp_path / "p" / "sectorstore.json").read_text())["Meta"] == {"a": "b"}


@pytest.mark.parametrize(
    ("name", "init", "words"),
    [
        ("absent", True, "is not a folder on this host"),
        ("bare", False, "attach it as a new store"),
        ("home", True, r"is not empty \(mail\)"),
        ("worker/x", True, "in this worker's own folder"),
        ("a-again", False, "is already attached as"),
    ],
)
def test_what_cannot_be_attached_is_refused_with_the_remedy(
    stores: Stores, tmp_path: Path, name: str, init: bool, words: str
) -> None:
    for folder in ("bare", "home/mail", "worker/x", "a-again"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(tmp_path / "a" / "sectorstore.json", tmp_path / "a-again")

    with pytest.raises(NotAttached, match=words):
        stores.attach(str(tmp_path / name), init=init)


@pytest.mark.parametrize("is_linked", [False, True])
def test_a_store_in_a_sealing_folder_is_refused(stores: Stores, tmp_path: Path, is_linked: bool) -> None:
    disk, sealing = tmp_path / "disk", tmp_path / "worker" / "sealing"
    disk.mkdir()
    if is_linked:
        sealing.symlink_to(disk)
    stores.sealing_roots = [sealing if is_linked else disk]

    with pytest.raises(BadMark, match=r"are one folder.* give the store another folder"):
        stores.attach(str(disk), init=True)
    assert not (disk / "sectorstore.json").exists()
    started = Stores(tmp_path / "worker", (*stores.roots, disk))
    started.sealing_roots = stores.sealing_roots
    with pytest.raises(BadMark, match=r"are one folder.* give the store another folder"):
        started.open()
    assert len(stores.attached()) == 2


def test_a_store_with_a_sealing_folder_in_it_is_taken(stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "disk" / "sealing").mkdir(parents=True)
    started = Stores(tmp_path / "worker", (*stores.roots, tmp_path / "disk"))
    started.sealing_roots = [tmp_path / "disk" / "sealing"]
    started.open()

    assert len(started.attached()) == 3


def test_attached_and_detached_by_the_console_survives_a_start(stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    found = stores.attach(str(tmp_path / "c"), init=True)
    first = stores.attached()[0]
    stores.detach(first.uid)
    stores.open()

    assert [one.path for one in stores.attached()] == [str(tmp_path / "b"), str(tmp_path / "c")]
    assert stores.attach(first.path, init=False).uid == first.uid
    stores.detach(found.uid)
    assert {one.path for one in stores.attached()} == {str(tmp_path / "a"), str(tmp_path / "b")}


def test_a_copied_mark_is_a_store_twice(tmp_path: Path) -> None:
    Store(tmp_path / "a").name()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    stores = Stores(tmp_path / "worker", (tmp_path / "a", tmp_path / "b"))
    stores.open()

    assert condition(stores, tmp_path / "a") is StoreCondition.READY
    assert condition(stores, tmp_path / "b") is StoreCondition.TWICE


def watch_until(watch: StoreWatch, wanted: dict[str, StoreCondition]) -> None:
    """Look until all stores are in these conditions."""
    end = time.monotonic() + 60
    while (found := {one.path.rpartition("/")[2]: one.condition for one in watch.attached()}) != wanted:
        assert time.monotonic() < end, found
        watch.tick()
        time.sleep(0.01)


def test_two_stores_on_one_disk_have_no_more_rooms_than_it(tmp_path: Path, small_disk: Path) -> None:
    rooms = []
    for index, paths in enumerate([(small_disk / "a",), (small_disk / "a", small_disk / "b")]):
        stores = Stores(tmp_path / f"worker-{index}", paths)
        stores.open()
        watch = StoreWatch(stores, sector_bytes=2048)
        watch.start()
        rooms.append(watch.rooms())
        watch.stop()

    assert 0 < rooms[1] <= rooms[0] < 1 << 9


def test_a_watched_store_that_goes_and_comes_back_is_told_each_time(stores: Stores, tmp_path: Path) -> None:
    changes: list[int] = []
    watch = StoreWatch(stores, sector_bytes=2048)
    watch.on_change = lambda: changes.append(1)
    watch.start()
    names = [one.name for one in stores.attached()]
    assert watch.names == tuple(names)
    (tmp_path / "a").rename(tmp_path / "gone")

    watch_until(watch, {"a": StoreCondition.AWAY, "b": StoreCondition.READY})

    assert watch.names == (names[1],)
    assert watch.rooms() > 0
    (tmp_path / "gone").rename(tmp_path / "a")
    watch_until(watch, {"a": StoreCondition.READY, "b": StoreCondition.READY})
    assert len(changes) == 4, "both at the start, a twice"
    watch.stop()


def test_a_store_that_does_not_answer_is_away(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    release: list[int] = []
    monkeypatch.setattr("workers.store_watch.HANGS_S", 0.05)
    monkeypatch.setattr(Attachment, "store", property(lambda _: hang(release)))
    watch = StoreWatch(stores, sector_bytes=2048)

    watch_until(watch, {"a": StoreCondition.AWAY, "b": StoreCondition.AWAY})

    deadline = time.monotonic() + 60
    while not all("does not answer" in one.reason for one in watch.attached()):
        assert time.monotonic() < deadline
        watch.tick()
        time.sleep(0.02)
    release.append(1)


def hang(release: list[int]) -> Store:
    """An NFS server that is gone."""
    while not release:
        time.sleep(0.01)
    raise OSError("gone")


def test_orders_are_carried_out_once_and_faults_are_told(stores: Stores, tmp_path: Path) -> None:
    watch = StoreWatch(stores, sector_bytes=2048)
    uid = stores.attached()[0].uid
    orders = [
        Command(id="1", op=Operation.ATTACH, args={"path": str(tmp_path / "none")}),
        Command(id="2", op=Operation.SET_STORE, args={"uid": uid, "weight": "7", "read_only": "yes"}),
        Command(id="3", op=Operation.DETACH, args={"uid": stores.attached()[1].uid}),
    ]

    ends = []
    for order in orders:
        while (end := watch.orders.order(order)) is None:
            time.sleep(0.01)
        ends.append(end)

    assert ends[1:] == ["", ""]
    assert "is not a folder on this host" in ends[0]
    found = mark_read(tmp_path / "a" / "sectorstore.json")
    assert (found.weight, found.read_only, len(stores.attached())) == (7, True, 1)


def test_orders_of_one_heartbeat_do_not_lose_each_other(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(path: Path, content: bytes) -> None:
        time.sleep(0.02)
        write_file(path, content)

    monkeypatch.setattr("workers.storage.attached_stores.write_file", slowly)
    watch = StoreWatch(stores, sector_bytes=2048)
    orders = [
        Command(id="0", op=Operation.DETACH, args={"uid": stores.attached()[0].uid}),
        Command(id="1", op=Operation.SET_STORE, args={"uid": stores.attached()[1].uid, "weight": "7"}),
        Command(id="2", op=Operation.SET_STORE, args={"uid": stores.attached()[1].uid, "read_only": "yes"}),
    ]
    for name in "cdef":
        (tmp_path / name).mkdir()
        args = {"path": str(tmp_path / name), "init": "yes"}
        orders.append(Command(id=name, op=Operation.ATTACH, args=args))
    for order in orders:
        watch.orders.order(order)

    deadline = time.monotonic() + 60
    while None in (ends := [watch.orders.order(order) for order in orders]):
        assert time.monotonic() < deadline
        time.sleep(0.01)

    assert ends == [""] * 7
    assert sorted(one.path.rpartition("/")[2] for one in stores.attached()) == list("bcdef")
    found = mark_read(tmp_path / "b" / "sectorstore.json")
    assert (found.weight, found.read_only) == (7, True)


@pytest.mark.parametrize("text", ["", '[{"path": "/a"', '{"a": 1}', "[1]"])
def test_a_broken_list_of_stores_is_told_and_forgets_none(stores: Stores, text: str) -> None:
    watch = StoreWatch(stores, sector_bytes=2048)
    watch.start()
    known = watch.attached()
    stores.path.write_text(text)

    found = watch.attached()

    assert {one.uid for one in found} == {one.uid for one in known}
    assert {one.condition for one in found} == {StoreCondition.AWAY}
    assert "stores.json cannot be read" in found[0].reason
    with pytest.raises(StoreAway, match="cannot be read"):
        stores.detach(known[0].uid)
    with pytest.raises(BadMark, match="cannot be read"):
        stores.open()
    assert stores.path.read_text() == text
    watch.stop()


def test_stores_stay_attached_while_the_folder_of_their_host_is_away(stores: Stores, tmp_path: Path) -> None:
    known = stores.attached()
    stores.folder.rename(tmp_path / "away")
    (tmp_path / "c").mkdir()

    assert stores.attached() == known
    assert {one.path for one in stores.here()} == {str(tmp_path / "a"), str(tmp_path / "b")}
    with pytest.raises(StoreAway, match="own folder mounted"):
        stores.attach(str(tmp_path / "c"), init=True)
    assert not stores.folder.exists()

    (tmp_path / "away").rename(stores.folder)
    stores.attach(str(tmp_path / "c"), init=True)
    assert len(stores.attached()) == 3


def test_a_store_that_cannot_be_listed_hides_no_others_sectors(stores: Stores, tmp_path: Path) -> None:
    for name, miner in (("a", 1000), ("b", 1001)):
        (tmp_path / name / "sealed").mkdir()
        (tmp_path / name / "sealed" / f"s-t0{miner}-7").touch()
    fresh = Stores(tmp_path / "worker", stores.roots)
    assert stores.miners() == {1000, 1001}
    (tmp_path / "a" / "sealed").rename(tmp_path / "a" / "refused")
    (tmp_path / "a" / "sealed").symlink_to("sealed")  # an error other than that nothing is there

    assert condition(stores, tmp_path / "a") is StoreCondition.AWAY
    assert stores.miners() == {1000, 1001}, "what is proven stays so"
    assert fresh.miners() == {1001}
    assert [(one.miner_id, one.runs) for one in stored_here(stores)] == [(1001, (7, 1))]
    (tmp_path / "a" / "sectorstore.json").unlink()
    assert stores.miners() == {1001}
