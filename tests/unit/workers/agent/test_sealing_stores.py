"""Several disks in which one host seals: where a sector begins, and what is said of one that is away."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from poolsite.wire.job_inputs import SealInputs
from poolsite.wire.pipeline import SnapStage, SnapState, Stage
from tests.integration.disks import mounted
from workers.agent.journal import Work, journal_open
from workers.agent.places import SealingPlaces, room_of
from workers.agent.sealing_stores import SealingStores
from workers.agent.stages import StageRunner
from workers.machine import disk_read
from workers.processors.errors import BadInput
from workers.storage.files import NotEnoughSpace, space_of
from workers.storage.store import StoreAway
from workers.storage.store_mark import BadMark, mark_change
from workers.storage.stores import Stores
from workers.store_watch import StoreWatch


def inputs(number: int, *, miner: int = 1000, size: int = 2048) -> SealInputs:
    return SealInputs(
        miner_id=miner,
        number=number,
        seal_proof=5,
        sector_size=size,
        state="ALLOCATED",
        stage=Stage.ADD_PIECE,
    )


class Host:
    """A host with the sealing stores that are named."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder, self.journal = folder / "worker", journal_open(folder / "worker")
        self.roots = [folder / name for name in names]
        for root in self.roots:
            root.mkdir(exist_ok=True)
        self.open()

    def open(self) -> None:
        """Start it."""
        SealingStores(self.folder, self.roots).open()

    @property
    def places(self) -> SealingPlaces:
        """As another process of the host has them."""
        return SealingPlaces(self.folder, self.journal)

    def begin(self, job: str, given: SealInputs) -> str:
        """Choose a place for a sector whose stage is written down."""
        self.journal.work_write(job, Work(token=1, inputs=given))
        return self.places.root(job, given).parent.name

    def mark(self, name: str, **facts: object) -> None:
        mark_change(self.folder.parent / name / "sectorstore.json", facts)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, "a", "b")


def test_weight_times_free_room_decides_where_a_sector_begins(host: Host) -> None:
    host.mark("b", Weight=3)
    assert host.begin("j1", inputs(1)) == "b"

    host.mark("b", DenyMiners=[1000])
    assert (host.begin("j2", inputs(2)), host.begin("j3", inputs(3, miner=1001))) == ("a", "b")
    host.mark("a", AllowMiners=["f01001"])
    with pytest.raises(BadInput, match=r"no sealing store of this host accepts sectors of f01000: see"):
        host.begin("j4", inputs(4))
    host.mark("b", DenyMiners=[], ReserveBytes=1 << 60)
    with pytest.raises(NotEnoughSpace, match=r"b: .* of disk needed"):
        host.begin("j4", inputs(4))


def test_what_sectors_have_yet_to_write_counts_against_a_disk(tmp_path: Path) -> None:
    with mounted(tmp_path / "a", megabytes=4) as first, mounted(tmp_path / "b", megabytes=3) as second:
        host = Host(tmp_path, "a", "b")
        need = room_of(inputs(1, size=100 << 10))  # 1.6 MiB
        begun = [host.begin(f"j{number}", inputs(number, size=100 << 10)) for number in (1, 2)]

        assert begun == ["a", "b"], "the first has not written a byte yet, and its room is not given twice"
        assert host.places.rooms(need) == 1
        assert host.begin("j3", inputs(3, size=100 << 10)) == "a"
        assert host.places.rooms(need) == 0
        with pytest.raises(NotEnoughSpace):
            host.begin("j4", inputs(4, size=100 << 10))
        host.journal.forget("j2")
        assert host.begin("j4", inputs(4, size=100 << 10)) == "b"
        assert host.places.sectors_by_store() == {str(first): 2, str(second): 1}


def test_what_a_store_of_the_disk_was_promised_is_no_room_for_a_new_sector(tmp_path: Path) -> None:
    with mounted(tmp_path / "a", megabytes=4) as disk:
        host = Host(tmp_path, "a")
        (disk / "store").mkdir()
        stores = Stores(tmp_path / "worker", (disk / "store",))
        stores.open()
        [store] = stores.attached()
        watch = StoreWatch(stores, sector_bytes=2048)
        given = inputs(1, size=100 << 10)
        need = room_of(given)
        free = SealingPlaces(host.folder, host.journal).rooms(need)

        with stores.reserved("finished", store, 2 << 20):
            watch.start()
            places = host.places
            places.beside = watch.promised
            assert places.rooms(need) == 1, "as the host's own process looked last"
            places = StageRunner(folder=host.folder, stores=stores, pool=cast("Any", None)).places
            assert (free, places.rooms(need)) == (2, 1)
            host.journal.work_write("j1", Work(token=1, inputs=given))
            places.root("j1", given)
            assert places.rooms(need) == 0
            host.journal.work_write("j2", Work(token=1, inputs=inputs(2, size=100 << 10)))
            with pytest.raises(NotEnoughSpace):
                places.root("j2", inputs(2, size=100 << 10))
        stores.reserve("next", store, 3 << 20)  # what grows holds up no finished sector
        watch.stop()


def test_what_is_written_is_not_counted_twice(tmp_path: Path) -> None:
    with mounted(tmp_path / "a", megabytes=4):
        host = Host(tmp_path, "a")
        given = inputs(1, size=100 << 10)
        host.begin("j1", given)
        free = host.places.rooms(100 << 10)
        folder = tmp_path / "a" / "sealing" / "cache" / "s-t01000-1"
        folder.mkdir(parents=True)
        (folder / "layer").write_bytes(bytes(1 << 20))

        assert abs(host.places.rooms(100 << 10) - free) <= 1


def test_a_sector_goes_on_where_it_lies(host: Host, tmp_path: Path) -> None:
    host.mark("b", Weight=3)
    host.begin("j1", inputs(1))
    host.mark("b", Weight=0)
    host.mark("a", Weight=1000)

    assert host.begin("j1", inputs(1)) == "b"
    (tmp_path / "b" / "sealing" / "sealed").mkdir()
    (tmp_path / "b" / "sealing" / "sealed" / "s-t01000-1").touch()
    (host.folder / "jobs" / "j1" / "place").unlink()
    assert host.begin("j1", inputs(1)) == "b", "by its files, where the journal lost it"
    old = host.folder / "sealing" / "cache" / "s-t01000-7"
    old.mkdir(parents=True)
    assert host.begin("j7", inputs(7)) == "worker", "what began before the stores came stays"


def test_nothing_is_written_where_a_disk_is_gone_and_the_store_is_named(host: Host, tmp_path: Path) -> None:
    host.mark("b", Weight=3)
    host.begin("j1", inputs(1))
    (tmp_path / "b").rename(tmp_path / "unmounted")
    (tmp_path / "b").mkdir()

    with pytest.raises(StoreAway, match=r"b/sealing, which contains the sector's files, is not available"):
        host.begin("j1", inputs(1))
    assert host.begin("j2", inputs(2)) == "a", "new ones begin elsewhere"
    with pytest.raises(StoreAway, match=r"b is not available and may contain files of the sector"):
        host.places.roots("j9")
    told = host.places.stores.reported(host.places.sectors_by_store())
    assert "is its disk mounted?" in told[str(tmp_path / "b")].reason
    assert (told[str(tmp_path / "b")].sectors, told[str(tmp_path / "a")].reason) == (1, "")
    host.open()
    assert list((tmp_path / "b").iterdir()) == [], "nor does a start mark the bare folder"

    (tmp_path / "b").rmdir()
    (tmp_path / "unmounted").rename(tmp_path / "b")
    assert host.begin("j1", inputs(1)) == "b"


def test_without_any_store_that_is_there_no_sector_begins(host: Host, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.rmtree(tmp_path / name)

    assert host.places.rooms(1) == 0
    with pytest.raises(StoreAway, match="no sealing store is available for a new sector"):
        host.begin("j1", inputs(1))


def test_a_read_only_disk_takes_no_new_sector(tmp_path: Path) -> None:
    with mounted(tmp_path / "a", megabytes=8) as root:
        host = Host(tmp_path, "a", "b")
        host.mark("a", Weight=1000)
        host.mark("b", ReserveBytes=1)
        subprocess.run(["mount", "-o", "remount,ro", root], check=True)

        assert host.begin("j1", inputs(1)) == "b"
        told = host.places.stores.reported({})
        assert "read-only: no new sectors start there" in told[str(root)].reason


def test_stores_on_one_disk_have_its_room_once(host: Host) -> None:
    both = host.places.rooms(1 << 20)
    one = SealingStores(host.folder, host.roots[:1])
    one.open()

    assert abs(both - host.places.rooms(1 << 20)) < both // 10


def test_room_that_one_store_promised_no_other_on_its_disk_has(host: Host) -> None:
    free = space_of(host.folder).free
    stores = host.places.stores
    first, second = (one.path for one in stores.attached())
    promised = {first: free // 2}

    with pytest.raises(NotEnoughSpace):
        stores.choose(miner_id=1000, needs_bytes=3 * free // 4, promised=promised, beside={})
    assert stores.choose(miner_id=1000, needs_bytes=free // 4, promised=promised, beside={}).path in (
        first,
        second,
    )
    disks = {one.disk for one in stores.reported({}).values()}
    assert disks == {disk_read(host.folder).disk} != {""}


def test_a_new_store_gets_a_mark_and_a_missing_folder_ends_the_start(tmp_path: Path) -> None:
    Host(tmp_path, "a")
    mark = (tmp_path / "a" / "sectorstore.json").read_text()
    assert '"CanSeal": true' in mark
    assert '"CanStore": false' in mark

    with pytest.raises(BadMark, match="mount its disk first"):
        SealingStores(tmp_path / "other", [tmp_path / "none"]).open()


def test_an_update_needs_less_room_than_a_new_sector() -> None:
    new = inputs(1, size=1000)
    update = SealInputs(
        miner_id=1000,
        number=1,
        seal_proof=5,
        sector_size=1000,
        state=SnapState.PIECES_ASSIGNED,
        stage=SnapStage.SNAP_ENCODE,
    )

    assert (room_of(new), room_of(update)) == (16_200, 4_200)


def test_a_sector_that_has_written_all_is_promised_no_room(host: Host) -> None:
    given = inputs(1)
    name = host.begin("j1", given)
    assert host.places._promised() == {str(host.folder.parent / name): room_of(given)}

    host.journal.work_write("j1", Work(token=1, inputs=replace(given, stage=Stage.PERSIST)))
    assert host.places._promised() == {}
    host.journal.work_write("j1", Work(token=1, inputs=replace(given, stage=SnapStage.SNAP_ENCODE)))
    assert host.places._promised() != {}, "a rebuild that encodes its update grows again"
