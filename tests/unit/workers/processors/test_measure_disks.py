"""What drives read at random is measured, and nothing is left on them."""

from __future__ import annotations

import json
import sys
import time
from types import SimpleNamespace

import msgspec
import pytest

from poolsite.wire.batch_model import batch_table
from poolsite.wire.hardware import LayerBatch
from workers import machine_report
from workers.__main__ import main
from workers.machine_report import MachineReport
from workers.processors import measure_disks
from workers.processors.batch_rates import MEASURED, measured_read
from workers.processors.layer_drives import LayerDrives
from workers.storage.page_drives import FILE_NAME


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


def test_every_size_of_batch_is_measured_at_once_and_kept_for_the_console(tmp_path, capsys):
    """With the labels that the cores make; the host's next look at its machine tells it."""
    drive, own = tmp_path / "nvme", tmp_path / "sealer"
    for folder in (drive, own):
        folder.mkdir()
    words = ["measure-disks", str(drive), "--dir", str(own), "--seconds", "0.04", "--file-size", "4"]

    assert main([*words, "--all", "--json", "--endurance", "600"]) == 0

    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["sectors"], one["page_bytes"]) for one in found] == [
        (16, 512),
        (32, 1024),
        (64, 2048),
        (128, 4096),
    ]
    assert all(one["memory_bytes"] > 0 and one["reads_needed_s"] > 0 for one in found)
    report = MachineReport(own, lambda: (own,))
    report._read()
    told = report.hardware()["drives_measured"]
    assert (told.drives, told.endurance_bytes) == ((str(drive),), 600 * 10**12)
    assert [page.sectors for page in told.pages] == [16, 32, 64, 128]
    assert told.columns_s > 0
    assert all(min(page.reads_s, page.read_ns, page.nodes_s) > 0 for page in told.pages)
    table = batch_table({"drives_measured": msgspec.to_builtins(told)})
    assert [size.reads_s for size in table if size.sectors >= 16] == [int(one["reads_s"]) for one in found]


def test_a_host_that_is_asked_to_measures_the_drives_that_its_file_names(tmp_path, monkeypatch):
    drive, own = tmp_path / "nvme", tmp_path / "sealer"
    own.mkdir()
    short = (*machine_report.MEASURE, "--seconds", "0.04", "--file-size", "4")
    monkeypatch.setattr(machine_report, "MEASURE", short)
    layers = LayerDrives(folder=str(own / "layers"), drives=(str(drive),))
    report = MachineReport(own, lambda: (own,), layers=layers)

    def asked():
        report.measure()
        report._read()
        return report.hardware()

    told = asked()
    assert told["drives_measured"] is None
    assert str(drive) in told["drives_error"]
    drive.mkdir()
    told = asked()
    assert (told["drives_measured"].drives, told["drives_error"]) == ((str(drive),), "")
    monkeypatch.setattr(report, "_batch", lambda: LayerBatch(sectors=16, layer=1, layers=2, done=0, total=9))
    assert asked()["drives_error"].startswith("a batch is labelled on them")
    assert asked()["drives_measured"].drives == (str(drive),), "what was measured before stays"


def test_a_host_measures_once_by_itself_and_not_beside_a_batch(tmp_path, monkeypatch):
    say = "import sys; sys.stderr.write('measure-disks: not kept for the console: full')"
    monkeypatch.setattr(machine_report, "MEASURE", (sys.executable, "-c", say))
    layers = LayerDrives(folder=str(tmp_path / "layers"), drives=("/mnt/nvme",))
    report = MachineReport(tmp_path, lambda: (tmp_path,), layers=layers)
    now: list[LayerBatch | None] = [LayerBatch(sectors=16, layer=1, layers=2, done=0, total=9)]
    monkeypatch.setattr(report, "_batch", lambda: now[0])

    report._read()
    assert report.hardware()["drives_error"] == "", "nobody asked; once the batch has ended it is measured"
    now[0] = None
    report._read()
    assert report.hardware()["drives_error"] == "not kept for the console: full"
    monkeypatch.setattr(machine_report, "MEASURE", ("no-such-program",))
    report._read()
    assert report.hardware()["drives_error"] == "not kept for the console: full", "it did not run again"


def test_what_is_measured_beside_no_host_is_not_kept(tmp_path, capsys):
    drive, missing = tmp_path / "nvme", tmp_path / "sealer"
    drive.mkdir()
    words = ["measure-disks", str(drive), "--dir", str(missing), "--seconds", "0.04", "--file-size", "4"]

    assert main([*words, "--all"]) == 0

    said = capsys.readouterr()
    assert "reads of PC1 of 128 sectors of 32 GiB: " in said.out
    assert f"not kept for the console: {missing}: " in said.err
    assert not missing.exists()


def test_what_pages_take_of_a_drive_is_room_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr(measure_disks, "disk_usage", lambda _path: SimpleNamespace(free=1 << 30))
    assert measure_disks._room_bytes(tmp_path) == 1 << 30
    (tmp_path / FILE_NAME).write_bytes(bytes(1 << 20))
    assert measure_disks._room_bytes(tmp_path) == pytest.approx((1 << 30) + (1 << 20), abs=1 << 14)


def test_a_damaged_file_of_what_was_measured_is_none(tmp_path):
    assert measured_read(tmp_path) is None
    (tmp_path / MEASURED).write_text('{"drives": 7}')
    assert measured_read(tmp_path) is None


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
