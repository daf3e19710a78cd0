"""What drives read at random is measured, and nothing is left on them."""

from __future__ import annotations

import json
import time

import pytest

from workers.__main__ import main
from workers.processors import measure_disks


def test_drives_are_measured_together_and_left_as_they_were(tmp_path, capsys):
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()

    code = main(["measure-disks", *map(str, folders), "--seconds", "0.01", "--file-size", "4", "--json"])

    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (found["drives"], found["page_bytes"], found["failed"]) == (2, 4096, 0)
    assert found["reads_s"] > 0
    assert not [*folders[0].iterdir(), *folders[1].iterdir()]


@pytest.mark.parametrize(("sectors", "size"), [("16", "512 bytes"), ("64", "2.0 KiB")])
def test_pages_are_as_large_as_the_batch_has_sectors(tmp_path, capsys, sectors, size):
    words = ["measure-disks", str(tmp_path), "--seconds", "0.01", "--file-size", "4", "--sectors", sectors]

    assert main(words) == 0

    said = capsys.readouterr().out
    assert said.startswith("1 drive by ")
    assert f"reads a second of {size}, " in said
    assert f"reads of PC1 of {sectors} sectors of 32 GiB: " in said


class SlowToBegin:
    """Reads at once, but compiles for half a second before its first page."""

    def __init__(self):
        self.begun = False

    def read(self, requests, size, room, results):
        if len(requests) and not self.begun:
            time.sleep(0.5)
            self.begun = True
        results[:] = size

    def close(self):
        pass


def test_a_kernel_s_compilation_is_not_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(measure_disks, "reader_of", lambda _handles, _rooms: SlowToBegin())

    found = measure_disks.drives_measure([tmp_path], page_bytes=4096, seconds=0.01, file_bytes=1 << 22)

    assert measure_disks.ROUND_READS / found.reads_s < 0.5


def test_a_missing_drive_is_named(tmp_path, capsys):
    assert main(["measure-disks", str(tmp_path / "gone")]) == 1

    assert str(tmp_path / "gone") in capsys.readouterr().err


def test_every_size_of_batch_is_measured_at_once(tmp_path, capsys):
    words = ["measure-disks", str(tmp_path), "--seconds", "0.04", "--file-size", "4", "--all", "--json"]

    assert main(words) == 0

    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["sectors"], one["page_bytes"]) for one in found] == [
        (16, 512),
        (32, 1024),
        (64, 2048),
        (128, 4096),
    ]
    assert all(one["memory_bytes"] > 0 and one["days"] is None for one in found)


def test_endurance_is_not_known_unless_it_is_given(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(measure_disks, "_room_bytes", lambda _: 1 << 50)
    words = ["measure-disks", str(tmp_path), "--seconds", "0.01", "--file-size", "4"]
    assert main(words) == 0
    assert "life of the drives at that: not known (--endurance)" in capsys.readouterr().out
    assert main([*words, "--endurance", "14000"]) == 0
    assert "not known" not in capsys.readouterr().out
    monkeypatch.setattr(measure_disks, "_room_bytes", lambda _: 1 << 30)
    assert main(words) == 0
    assert "no room for one batch" in capsys.readouterr().out


def test_the_smallest_drive_bounds_the_room(tmp_path, capsys, monkeypatch):
    """Each has the same part of every layer: what others have more is of no use."""
    folders = [tmp_path / name for name in ("large", "small")]
    for folder in folders:
        folder.mkdir()
    rooms = {folders[0]: 1 << 50, folders[1]: 1 << 30}
    monkeypatch.setattr(measure_disks, "_room_bytes", rooms.get)

    assert main(["measure-disks", *map(str, folders), "--seconds", "0.01", "--file-size", "4"]) == 0

    assert "2.0 GiB are free\n  no room for one batch" in capsys.readouterr().out
