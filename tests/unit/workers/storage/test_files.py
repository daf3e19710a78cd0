from __future__ import annotations

import errno
import mmap
import os
import re
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from workers.storage import files
from workers.storage.files import NotEnoughSpace, TruncatedFile, copy_file, space_check, write_file
from workers.storage.mapped import file_read, file_write, mapped_digest, pages_release


def test_a_file_gets_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "file"

    with file_write(path, size_bytes=10) as raw:
        raw[:] = 7
        assert not path.exists()

    assert path.read_bytes() == b"\x07" * 10
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def write_and_fail(path):
    with file_write(path, size_bytes=10) as raw:
        raw[:] = 7
        raise RuntimeError


def test_an_error_on_the_way_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    write_file(path, b"old")

    with pytest.raises(RuntimeError):
        write_and_fail(path)

    assert path.read_bytes() == b"old"


def test_a_kept_temporary_file_is_continued(tmp_path):
    path = tmp_path / "file"
    files.temporary_name(path).write_bytes(b"0123456789")

    with file_write(path, size_bytes=10, keep=True) as raw:
        raw[0] = ord("x")

    assert path.read_bytes() == b"x123456789"


def test_a_temporary_file_of_another_size_is_not_continued(tmp_path):
    path = tmp_path / "file"
    files.temporary_name(path).write_bytes(b"0123")

    with file_write(path, size_bytes=4, keep=False) as raw:
        assert raw.tobytes() == bytes(4)


def test_a_full_disk_is_an_error_before_anything_is_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)

    with pytest.raises(OSError, match="No space left"), file_write(tmp_path / "file", size_bytes=10):
        raise AssertionError("not reached")
    assert list(tmp_path.iterdir()) == []


def test_a_file_larger_than_memory_and_swap_is_mapped(tmp_path):
    figures = re.findall(r"^(?:MemTotal|SwapTotal): +(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    path, size = tmp_path / "file", 1024 * sum(map(int, figures)) + (1 << 30)
    path.touch()
    os.truncate(path, size)  # one hole: it takes no disk

    read = file_read(path, size_bytes=size)
    read[0] = 7

    assert (read[0], read[-1], files.is_hole(path)) == (7, 0, True)


def test_a_mapped_file_keeps_its_content_when_its_memory_is_given_back(tmp_path):
    path, content = tmp_path / "file", os.urandom(3 * mmap.PAGESIZE)
    with file_write(path, size_bytes=len(content)) as raw:
        raw[:] = np.frombuffer(content, np.uint8)
        pages_release(raw[10:])
        assert raw.tobytes() == content
        assert mapped_digest(raw) == sha256(content).hexdigest()

    read = file_read(path, size_bytes=len(content))
    assert read[mmap.PAGESIZE] == content[mmap.PAGESIZE]
    pages_release(read)

    assert read.tobytes() == path.read_bytes() == content


def test_room_is_checked_ahead(tmp_path):
    space_check(tmp_path, 1)

    with pytest.raises(NotEnoughSpace, match="of disk needed"):
        space_check(tmp_path, 1 << 60)


def test_reading_checks_the_size_and_never_changes_the_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")

    with pytest.raises(TruncatedFile, match="3 bytes instead of 4"):
        file_read(path, size_bytes=4)
    raw = file_read(path, size_bytes=3)
    raw[0] = 0

    assert path.read_bytes() == b"abc"


def test_a_copy_is_extended_with_zeros_and_never_cut(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"abc")

    copy_file(source, target, size_bytes=5)

    assert target.read_bytes() == b"abc\0\0"
    with pytest.raises(TruncatedFile, match="more than 2"):
        copy_file(source, target, size_bytes=2)
    assert target.read_bytes() == b"abc\0\0"


def test_a_watched_copy_is_on_the_disk_before_its_beats(tmp_path, monkeypatch):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(20))
    monkeypatch.setattr(files, "COPY_BYTES", 4)
    monkeypatch.setattr(files, "SYNC_BYTES", 8)
    seen = []
    monkeypatch.setattr(os, "fdatasync", lambda _: seen.append("sync"))

    copy_file(source, target, size_bytes=20, beat=lambda: seen.append("beat"))

    assert seen == ["beat", "sync", "beat", "beat", "sync", "beat", "beat"]
    assert target.read_bytes() == bytes(20)
