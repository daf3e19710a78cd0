"""A folder of its own for each sealing thread of a damocles-worker's file."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from msgspec.structs import replace

from poolsite.wire.job_inputs import Piece, SealInputs
from poolsite.wire.pipeline import NEXT_STAGE, SnapStage, SnapState, Stage
from poolsite.wire.sealing_rules import thread_key
from workers.agent import places
from workers.agent.journal import Work, journal_open
from workers.agent.places import NoThread, SealingPlaces
from workers.host_settings import HostSettings
from workers.setting_levels import rules_default
from workers.stage_processors import Location
from workers.storage.store import StoreAway

STATE = next(state for state, spec in NEXT_STAGE.items() if spec.stage == Stage.ADD_PIECE)


def inputs(number: int, *, state: str = STATE, stage: str = Stage.ADD_PIECE) -> SealInputs:
    return SealInputs(miner_id=1000, number=number, seal_proof=5, sector_size=2048, state=state, stage=stage)


class Host:
    """A host with sealing threads."""

    def __init__(self, folder: Path, *plans: str) -> None:
        self.folder, self.journal = folder, journal_open(folder)
        self.locations = [
            Location(str(folder / f"disk{number}"), plan, number + 1) for number, plan in enumerate(plans)
        ]
        self.settings: HostSettings | None = None
        for one in self.locations:
            (folder / one.path).mkdir()

    @property
    def places(self) -> SealingPlaces:
        """As another process of the host has them."""
        return SealingPlaces(self.folder, self.journal, self.locations, settings=self.settings)

    def rules(self, **told: str) -> None:
        """Set rules of threads, as disk0's `_0=`."""
        levels = {"file of thread": {thread_key(one.number, "plan"): one.plan for one in self.locations}}
        self.settings = HostSettings(self.folder, {**levels, "default": rules_default()})
        words = {key.rpartition("_"): value for key, value in told.items()}
        self.settings.console_set(
            {f"thread.{thread_key(int(end) + 1, name)}": value for (name, _, end), value in words.items()}
        )

    def begin(self, job: str, given: SealInputs) -> str:
        """Choose a place for a sector whose stage is written down."""
        self.journal.work_write(job, Work(token=1, inputs=given))
        return self.places.root(job, given).parent.name


def test_each_sector_has_a_thread_to_itself_and_keeps_it(tmp_path: Path) -> None:
    host = Host(tmp_path, "sealer", "sealer")

    assert [host.begin("j1", inputs(1)), host.begin("j2", inputs(2))] == ["disk0", "disk1"]
    assert [host.begin("j2", inputs(2)), host.begin("j1", inputs(1))] == ["disk1", "disk0"]
    host.journal.forget("j1")
    assert host.begin("j3", inputs(3)) == "disk0"


def test_a_thread_of_the_sectors_plan_comes_first(tmp_path: Path) -> None:
    host = Host(tmp_path, "sealer", "snapup")
    update = inputs(1, state=SnapState.PIECES_ASSIGNED, stage=SnapStage.SNAP_ENCODE)

    assert host.begin("j1", update) == "disk1"
    assert host.begin("j2", inputs(2)) == "disk0"


def test_a_sector_is_found_where_its_files_lie(tmp_path: Path) -> None:
    host = Host(tmp_path, "sealer", "sealer")
    old = tmp_path / "sealing" / "cache" / "s-t01000-7"
    old.mkdir(parents=True)

    assert host.places.root("j7", inputs(7)) == tmp_path / "sealing"
    host.begin("j1", inputs(1))
    (tmp_path / "disk0" / "sealing" / "sealed").mkdir()
    (tmp_path / "disk0" / "sealing" / "sealed" / "s-t01000-1").touch()
    (tmp_path / "jobs" / "j1" / "place").unlink()
    assert host.begin("j1", inputs(1)) == "disk0"


def test_nothing_is_written_under_a_disk_that_is_away(tmp_path: Path) -> None:
    host = Host(tmp_path, "sealer")
    host.begin("j1", inputs(1))
    (tmp_path / "disk0").rename(tmp_path / "gone")

    with pytest.raises(StoreAway, match=r"disk0/sealing, which .* is not available: is its disk mounted"):
        host.begin("j1", inputs(1))
    with pytest.raises(StoreAway, match="no sealing thread's location is available"):
        host.begin("j2", inputs(2))
    with pytest.raises(StoreAway, match="disk0 is not available and may contain files"):
        host.places.roots("j9")
    assert not (tmp_path / "disk0").exists()


def test_nothing_is_sealed_where_a_disk_was_mounted(tmp_path: Path) -> None:
    host = Host(tmp_path, "sealer", "sealer")
    host.begin("j1", inputs(1))
    host.journal.forget("j1")
    (tmp_path / "disk0").rename(tmp_path / "unmounted")
    (tmp_path / "disk0").mkdir()

    assert host.begin("j2", inputs(2)) == "disk1"
    assert (host.places.rooms(1), not host.places.missing()) == (0, False)
    assert "disk0/sealing is gone: is its disk mounted?" in host.places.reported()[f"{tmp_path}/disk0"].reason
    host.locations.pop()
    with pytest.raises(StoreAway, match="no sealing thread's location is available"):
        host.begin("j3", inputs(3))
    assert not list((tmp_path / "disk0").iterdir())

    (tmp_path / "disk0").rmdir()
    (tmp_path / "unmounted").rename(tmp_path / "disk0")
    assert host.begin("j3", inputs(3)) == "disk0"
    assert not host.places.reported()


def test_a_disk_that_gives_errors_holds_up_no_other_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path, "sealer", "sealer")
    plain = Path.is_dir

    def is_dir(path: Path) -> bool:
        if path.is_relative_to(tmp_path / "disk0"):
            raise OSError(errno.EIO, "Input/output error")  # as XFS does that has shut down
        return plain(path)

    monkeypatch.setattr(Path, "is_dir", is_dir)

    assert host.places.threads_free(1) == [2]
    assert host.begin("j1", inputs(1)) == "disk1"
    assert not host.places.is_there(host.locations[0].root)
    assert list(host.places.reported()) == [f"{tmp_path}/disk0"]


def test_free_threads_with_room_on_their_disks_are_rooms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path, "sealer", "sealer", "sealer", "snapup")
    free = host.places.rooms(1)
    host.begin("j1", inputs(1))

    assert (free, host.places.rooms(1), host.places.rooms(1 << 60)) == (3, 2, 0)
    disk = type("Disk", (), {"f_bavail": 25, "f_frsize": 1})
    monkeypatch.setattr("os.statvfs", lambda _path: disk)
    places = host.places
    assert places.rooms(10) == 1  # both are on one disk, on which the first sector has yet to write
    places.beside = lambda: {str(tmp_path.stat().st_dev): 6, "another": 60}
    assert (places.rooms(10), places.rooms(9)) == (0, 1), "a finished sector is about to take some of it"


def test_what_a_claimed_sector_has_yet_to_write_is_no_room(tmp_path: Path) -> None:
    host, room = Host(tmp_path), 1 << 20
    for number in (1, 2):
        host.journal.work_write(f"j{number}", Work(token=1, inputs=inputs(number)))
    own = host.places.own
    assert host.places.unwritten(room) == {own: 2 * room}

    (own / "unsealed").mkdir(parents=True)
    (own / "unsealed" / "s-t01000-1").write_bytes(bytes(room // 2))
    assert room < host.places.unwritten(room)[own] <= room + room // 2
    (own / "unsealed" / "s-t01000-1").write_bytes(bytes(2 * room))
    assert host.places.unwritten(room) == {own: room}, "what took more takes nothing from others"

    later = next(one for one in NEXT_STAGE.values() if one.stage == Stage.PERSIST)
    host.journal.work_write("j2", Work(token=2, inputs=inputs(2, stage=later.stage)))
    assert host.places.unwritten(room) == {own: 0}, "it has written all that it will"


def test_without_threads_all_is_sealed_in_the_own_folder(tmp_path: Path) -> None:
    host = Host(tmp_path)

    assert host.places.root("j1", inputs(1)) == tmp_path / "sealing"
    assert host.places.roots("j1") == [tmp_path / "sealing"]


def test_a_folder_that_cannot_be_counted_owes_its_whole_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> int:
        raise FileNotFoundError

    host = Host(tmp_path)
    host.journal.work_write("j1", Work(token=1, inputs=inputs(1)))
    monkeypatch.setattr(places, "sector_bytes", gone)

    assert host.places.unwritten(100) == {host.places.own: 100}


def test_a_new_sector_begins_in_a_thread_that_takes_it(tmp_path: Path) -> None:
    host = Host(tmp_path, "sealer", "sealer")
    host.rules(allowed_miners_0="f01001", disable_cc_1="true")

    with pytest.raises(NoThread, match="no sealing thread's rules allow this sector"):
        host.begin("j1", inputs(1))
    piece = Piece(size=2048, comm_p=bytes(32))
    assert host.begin("j2", replace(inputs(2), pieces=(piece,))) == "disk1"
    assert host.begin("j3", replace(inputs(3), miner_id=1001)) == "disk0"
    assert not list((tmp_path / "disk0").glob("sealing/*/s-t01000-1")), "nothing was made of the first"


def test_what_has_begun_is_placed_by_no_rule(tmp_path: Path) -> None:
    host = Host(tmp_path, "sealer")
    host.rules(allowed_miners_0="f01001")
    update = inputs(1, state=SnapState.PIECES_ASSIGNED, stage=SnapStage.SNAP_ENCODE)

    assert host.begin("j1", update) == "disk0"


def test_a_thread_rests_between_two_sectors_as_long_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(tmp_path, "sealer", "sealer")
    host.rules(seal_interval_0="1min")
    seen, at = host.places, 100.0
    monkeypatch.setattr("workers.agent.places.time.monotonic", lambda: at)
    assert seen.threads_free(1) == [1, 2], "a start waits for nothing"

    host.begin("j1", inputs(1))
    host.begin("j2", inputs(2))
    assert seen.threads_free(1) == []
    for job in ("j1", "j2"):
        host.journal.forget(job)

    assert seen.threads_free(1) == [2]
    at += 61
    assert seen.threads_free(1) == [1, 2]


def test_a_thread_that_has_another_plan_begins_nothing_new(tmp_path: Path) -> None:
    host = Host(tmp_path, "sealer", "sealer")
    host.rules(plan_0="snapup")

    assert host.places.threads_free(1) == [2]
    update = inputs(1, state=SnapState.PIECES_ASSIGNED, stage=SnapStage.SNAP_ENCODE)
    assert host.begin("j1", update) == "disk0"
