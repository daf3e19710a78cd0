"""Uploads, downloads and unsealed copies side by side: the disk's room is promised to one of them only."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from apps.api.errors import http_status
from apps.core.disk import DiskFull, DiskSpace
from apps.core.errors import DomainError
from apps.miners.models import Miner
from apps.pieces.data import files
from apps.pieces.models import Piece
from apps.pieces.services.fetches import piece_fetch_begin, pieces_fetch
from apps.pieces.services.reservations import Room, RoomAwaited
from apps.pieces.services.restored_data import data_restore
from apps.pieces.services.uploads import PieceSpec, part_upload, piece_remove, piece_upload, upload_begin
from apps.users.rules.principals import SYSTEM
from tests import factories, people

pytestmark = pytest.mark.django_db

DATA = b"x" * 300
RESERVE = 1000
HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "r+b", buffering=0)
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def disk(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A disk with room for `DATA` and a half beside the reserve."""
    settings.PIECES_DIR, settings.DISK_RESERVE_BYTES = str(tmp_path), RESERVE

    def space(_folder: str) -> DiskSpace:
        used = sum(path.stat().st_size for path in tmp_path.glob("*") if path.is_file())
        return DiskSpace(RESERVE + len(DATA) * 3 // 2 - used, 10_000)

    monkeypatch.setattr("apps.pieces.services.reservations.disk_space", space)
    monkeypatch.setattr("apps.pieces.data.files.disk_space", space)
    monkeypatch.setattr(files, "SYNC_BYTES", 100)
    monkeypatch.setattr(files, "CHUNK_BYTES", 100)
    return tmp_path


@pytest.fixture
def miner() -> Miner:
    return factories.miner()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return an event; until it is set, the source sends no bytes."""
    let_go = threading.Event()

    class Source:
        size, first, tag = len(DATA), 0, ""
        left = DATA

        def read(self, size: int) -> bytes:
            assert let_go.wait(60)
            part, self.left = self.left[:size], self.left[size:]
            return part

    @contextmanager
    def opened(_url: str, **_: Any) -> Iterator[Source]:
        yield Source()

    monkeypatch.setattr("apps.pieces.services.fetches.url_opened", opened)
    return let_go


class Calling(io.BytesIO):
    """Bytes that call somebody before they come."""

    def __init__(self, data: bytes, call: Callable[[], object]) -> None:
        super().__init__(data)
        self.call = call

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.tell():
            self.call()
        return super().read(size)


def wanted(miner: Miner, **spec: Any) -> Piece:
    url = "http://198.51.100.1/file"
    return piece_fetch_begin(miner, spec=PieceSpec(**spec), url=url, by=people.principal())[0]


@pytest.mark.parametrize("stated", [300, None])
def test_a_download_waits_while_an_upload_has_the_room(
    miner: Miner, elsewhere: threading.Event, stated: int | None
) -> None:
    elsewhere.set()
    piece = wanted(miner, payload_size=stated)
    seen = []

    def fetch() -> None:
        pieces_fetch()
        piece.refresh_from_db()
        seen.append((piece.state, piece.error))

    upload, _ = piece_upload(
        miner, spec=PieceSpec(payload_size=300), source=Calling(DATA, fetch), by=people.principal()
    )

    assert seen == [("FETCHING", "")]
    piece_remove(upload, by=SYSTEM)
    fetch()
    assert seen[1] == ("RECEIVED", "")


@pytest.mark.parametrize("stated", [300, None])
def test_an_upload_is_refused_while_a_download_has_the_room(
    miner: Miner, elsewhere: threading.Event, monkeypatch: pytest.MonkeyPatch, stated: int | None
) -> None:
    piece = wanted(miner, payload_size=300)
    refused: list[DomainError] = []

    def waited(*args: Any, **data: Any) -> Any:
        if not refused:
            with pytest.raises(DomainError) as refusal:
                piece_upload(
                    miner,
                    spec=PieceSpec(payload_size=stated),
                    source=io.BytesIO(DATA),
                    by=people.principal(),
                )
            refused.append(refusal.value)
            elsewhere.set()
        return wait(*args, **data)

    monkeypatch.setattr("apps.pieces.services.fetches.wait", waited)
    pieces_fetch()

    assert [(one.code, http_status(one)) for one in refused] == [("disk_reserved", 409)]
    assert "reserved for uploads and downloads in progress" in refused[0].reason
    assert Piece.objects.get() == piece
    piece.refresh_from_db()
    assert (piece.state, piece.error) == ("RECEIVED", "")


def test_parts_of_two_uploads_wait_for_each_other(miner: Miner) -> None:
    by = people.principal()
    first, second = (
        upload_begin(miner, spec=PieceSpec(payload_size=300), by=by, is_resumable=True) for _ in range(2)
    )

    def send(part: bytes = DATA[:100]) -> None:
        with pytest.raises(RoomAwaited):
            part_upload(second, source=io.BytesIO(part), offset=0, by=by)

    part_upload(first, source=Calling(DATA[:100], send), offset=0, by=by)

    assert (Piece.objects.get(pk=first.pk).received, Piece.objects.get(pk=second.pk).received) == (100, 0)
    part_upload(second, source=io.BytesIO(DATA[:100]), offset=0, by=by)
    assert Piece.objects.get(pk=second.pk).received == 100


def test_what_is_unsealed_waits_for_an_upload_and_is_not_kept(miner: Miner, disk: Path) -> None:
    piece = factories.piece(miner, state="ACTIVE", has_data=False, payload_size=300)

    def restore() -> None:
        with pytest.raises(RoomAwaited):
            data_restore(piece, source=io.BytesIO(DATA))

    upload, _ = piece_upload(
        miner, spec=PieceSpec(payload_size=300), source=Calling(DATA, restore), by=people.principal()
    )

    assert [path.name for path in disk.iterdir()] == [str(upload.uuid)]


def test_what_does_not_fit_alone_is_not_told_to_wait(miner: Miner, disk: Path) -> None:
    with Room(disk / "other") as other, Room(disk / "file") as room:
        other.reserve(300)
        with pytest.raises(DiskFull):
            room.reserve(500)
        with pytest.raises(RoomAwaited):
            room.reserve(151)
        room.reserve(150)
        other.release()
        room.reserve(450)
    assert list(disk.iterdir()) == []


def test_what_has_come_is_not_counted_twice(disk: Path) -> None:
    with Room(disk / "other") as other, Room(disk / "file") as room:
        other.reserve(300)
        (disk / "other").write_bytes(DATA[:200])
        room.reserve(150)
        with pytest.raises(RoomAwaited):
            room.reserve(151)


def test_the_promise_of_a_process_that_was_killed_ends(disk: Path) -> None:
    promise = disk / "reserved" / "other"
    promise.parent.mkdir()
    promise.write_bytes(b"300\n")
    with subprocess.Popen([sys.executable, "-c", HOLD, promise], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with Room(disk / "file") as room:
            with pytest.raises(RoomAwaited):
                room.reserve(300)
            process.kill()
            process.wait()
            room.reserve(300)
    assert list(disk.iterdir()) == []


def test_of_many_at_once_one_is_promised_the_room(disk: Path) -> None:
    begin, promised, rooms = threading.Barrier(8), [], [Room(disk / str(number)) for number in range(8)]

    def reserve(room: Room) -> None:
        begin.wait()
        try:
            room.reserve(300)
        except RoomAwaited:
            return
        promised.append(room)

    threads = [threading.Thread(target=reserve, args=[room]) for room in rooms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for room in rooms:
        room.release()

    assert len(promised) == 1
    assert list(disk.iterdir()) == []


def test_what_streams_have_not_filled_is_still_to_come(disk: Path) -> None:
    file = disk / "x"
    file.touch()
    os.truncate(file, len(DATA))

    with Room(file) as room, pytest.raises(DiskFull):
        room.reserve(len(DATA))
