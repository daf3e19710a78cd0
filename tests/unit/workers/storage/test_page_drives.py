"""Drives of pages: ours are known again, others are never touched, room is reserved whole and given back."""

from __future__ import annotations

import errno
import mmap
import os
from pathlib import Path

import pytest

from workers.storage import page_drives
from workers.storage.files import NotEnoughSpace
from workers.storage.page_drives import FILE_NAME, DriveFailed, NotOurDrive, drives_open

EXTENT = 1 << 20
STORE = "5" * 32


@pytest.fixture
def folders(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / FILE_NAME).touch()
    return [tmp_path / name for name in ("a", "b", "c")]


def opened(paths, *, is_new=False, extent_bytes=EXTENT, store=STORE):
    return drives_open(paths, store=store, extent_bytes=extent_bytes, is_new=is_new)


def test_drives_are_known_again_by_their_headers(folders):
    first = opened(folders, is_new=True)
    first.close()

    again = opened(folders)

    assert again.store == first.store
    again.close()


def test_written_blocks_are_read_from_their_drive(folders):
    drives = opened(folders, is_new=True)
    drives.extent_take(1, EXTENT)
    with mmap.mmap(-1, 8192) as written, mmap.mmap(-1, 8192) as found:
        written[:] = bytes(range(256)) * 32
        drives.write(2, [memoryview(written)[:4096], memoryview(written)[4096:]], drives.extent_start(1))
        drives.read(2, memoryview(found), drives.extent_start(1))
        assert found[:] == written[:]
        with pytest.raises(DriveFailed, match="drive 2: ends at 3145728 bytes"):
            drives.read(1, memoryview(found), drives.extent_start(2))
    drives.close()


def test_a_file_of_somebody_else_is_not_changed(folders):
    file = folders[1] / FILE_NAME
    file.write_bytes(b"precious" * 512)

    with pytest.raises(NotOurDrive, match="nothing of it was changed"):
        opened(folders, is_new=True)

    assert file.read_bytes() == b"precious" * 512


def test_headers_are_not_written_where_a_later_drive_is_refused(folders):
    (folders[2] / FILE_NAME).write_bytes(b"precious" * 512)

    with pytest.raises(NotOurDrive):
        opened(folders, is_new=True)

    assert not any((folders[0] / FILE_NAME).read_bytes())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda paths: paths[::-1], "this was drive 3 of 3, and is named as 1 of 3"),
        (lambda paths: paths[:2], "this was drive 1 of 3, and is named as 1 of 2"),
    ],
)
def test_drives_in_another_order_or_number_are_refused(folders, change, text):
    opened(folders, is_new=True).close()

    with pytest.raises(NotOurDrive, match=text):
        opened(change(folders))


def test_a_replaced_drive_is_named_with_what_is_lost(folders):
    opened(folders, is_new=True).close()
    (folders[1] / FILE_NAME).write_bytes(bytes(1 << 20))

    with pytest.raises(NotOurDrive, match="drive 2 is blank: what it held is lost") as refused:
        opened(folders)

    assert refused.value.filename == str(folders[1])


@pytest.mark.parametrize("is_new", [False, True])
def test_a_drive_of_another_store_is_refused(folders, is_new):
    opened(folders[:1], is_new=True).close()
    opened(folders[1:2], is_new=True, store="6" * 32).close()
    before = [(folder / FILE_NAME).read_bytes() for folder in folders[:2]]

    with pytest.raises(NotOurDrive, match="belongs to another store of pages"):
        opened(folders[1:2], is_new=is_new)
    with pytest.raises(NotOurDrive):
        opened(folders[:2], is_new=is_new)

    assert [(folder / FILE_NAME).read_bytes() for folder in folders[:2]] == before


def test_drives_on_which_nothing_lies_are_divided_anew(folders):
    opened(folders[:2], is_new=True).close()

    opened(folders[::-1], is_new=True, extent_bytes=2 * EXTENT).close()

    opened(folders[::-1], extent_bytes=2 * EXTENT).close()
    with pytest.raises(NotOurDrive, match="its extents have 2097152 bytes instead of 1048576"):
        opened(folders[::-1])


def test_a_missing_folder_is_named(folders, tmp_path):
    opened(folders, is_new=True).close()

    with pytest.raises(NotOurDrive, match=r"drive 2 is not mounted, or new: .* touch .*gone/poolsite-pages"):
        opened([folders[0], tmp_path / "gone", folders[2]])


def test_the_folder_of_a_drive_that_is_not_mounted_stays_as_it_is(folders):
    """Even with nothing on the drives: the folder under its mount is on the system's disk."""
    opened(folders, is_new=True).close()
    (folders[1] / FILE_NAME).unlink()

    with pytest.raises(NotOurDrive, match="drive 2 is not mounted"):
        opened(folders, is_new=True)

    assert list(folders[1].iterdir()) == []
    (folders[1] / FILE_NAME).touch()
    opened(folders, is_new=True).close()
    opened(folders, extent_bytes=None).close()


def test_two_processes_do_not_write_to_one_store(folders, monkeypatch):
    monkeypatch.setattr(page_drives, "LOCK_WAIT_S", 0.1)
    drives = opened(folders, is_new=True)

    with pytest.raises(DriveFailed, match="drive 1: in use by another process"):
        opened(folders)

    drives.close()


def test_a_device_that_the_system_still_holds_is_waited_for(folders, monkeypatch):
    """It closes those of a process that was killed, or closed its io_uring, a moment later."""
    paths, busy, real = [folder / FILE_NAME for folder in folders], [1, 2], os.open
    monkeypatch.setattr(Path, "is_block_device", lambda path: path in paths)

    def opening(path, flags, *more):
        if busy and path == paths[1]:
            busy.pop()
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return real(path, flags & ~os.O_EXCL, *more)

    monkeypatch.setattr(os, "open", opening)

    opened(paths, is_new=True).close()
    assert not busy
    monkeypatch.setattr(page_drives, "LOCK_WAIT_S", 0.1)
    busy += [1] * 1000
    with pytest.raises(DriveFailed, match="drive 2: in use by another process, or mounted"):
        opened(paths)


def test_a_full_drive_is_named_and_nothing_stays_reserved(folders, monkeypatch):
    drives, real = opened(folders, is_new=True), os.posix_fallocate
    before = [(folder / FILE_NAME).stat().st_blocks for folder in folders]

    def full(handle, start, size):
        if handle == drives.drives[2].handle:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle, start, size)

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(NotEnoughSpace, match=r"drive 3 has no room for 1\.0 MiB of a layer") as refused:
        drives.extent_take(0, EXTENT)

    assert refused.value.filename == str(folders[2])
    assert [(folder / FILE_NAME).stat().st_blocks for folder in folders] == before
    drives.close()


def test_a_released_extent_s_room_is_the_file_system_s_again(folders):
    drives = opened(folders, is_new=True)
    before = (folders[0] / FILE_NAME).stat().st_blocks
    drives.extent_take(0, EXTENT)
    assert (folders[0] / FILE_NAME).stat().st_blocks >= before + EXTENT // 512

    drives.extent_release(0)

    assert (folders[0] / FILE_NAME).stat().st_blocks == before
    drives.close()


def test_a_drive_that_does_not_write_is_named(folders):
    drives = opened(folders, is_new=True)
    handle = os.open(folders[1] / FILE_NAME, os.O_RDONLY)
    os.dup2(handle, drives.drives[1].handle)
    os.close(handle)

    with mmap.mmap(-1, 4096) as memory, pytest.raises(DriveFailed, match="drive 2: Bad file descriptor"):
        drives.write(1, [memoryview(memory)], drives.extent_start(0))

    drives.close()
