"""Sectors of one host are labelled as batches on drives, through kills, cancelled sectors and lost drives."""

from __future__ import annotations

import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import msgspec
import pytest

from poolsite.filecoin.porep.parameters import seal_parameters
from tests.unit.workers.processors.sealing import digest, sealing
from workers.processors import c1, drive_queue, page_batch
from workers.processors.drive_queue import DriveQueue, label_line
from workers.processors.errors import TemporaryError
from workers.processors.label_queue import LABEL_QUEUE
from workers.processors.labelling import LabelledSector, label_sectors
from workers.processors.page_shape import LAYERS_VARIABLE, LayerDrives
from workers.processors.page_stripes import DamagedChunk
from workers.stage_processors import HostProcessors
from workers.storage import page_drives
from workers.storage.files import NotEnoughSpace
from workers.storage.page_drives import FILE_NAME, NotOurDrive
from workers.storage.sector import LAYERS_PLACE, SectorFiles

SMALL = seal_parameters(5)
SECTORS = 5


@pytest.fixture
def settings(tmp_path):
    drives = [tmp_path / f"drive-{number}" for number in range(2)]
    for drive in drives:
        drive.mkdir()
    folder = tmp_path / "host" / "layers"
    return LayerDrives(
        folder=str(folder), drives=tuple(map(str, drives)), sectors=16, wait_minutes=0, writes_files=True
    )


@pytest.fixture
def pool():
    with ThreadPoolExecutor(16) as made:
        yield made


def sector(number, folder):
    files = SectorFiles(SMALL, folder / f"cache-{number}", folder / f"sealed-{number}")
    files.cache.mkdir(exist_ok=True)
    return LabelledSector(files, sha256(bytes([number])).digest()[:31] + b"\0")


def layers(one):
    return [digest(one.files.layer(layer)) for layer in (1, 2)]


@pytest.fixture
def expected(tmp_path):
    """Layers' digests of each sector, labelled by itself in memory."""
    (tmp_path / "alone").mkdir()
    alone = [sector(number, tmp_path / "alone") for number in range(SECTORS)]
    for one in alone:
        label_sectors([one])
    return list(map(layers, alone))


def together(queue, sectors, pool, *, progress=lambda *_: None):
    """Label sectors, each from a thread of its own; return their errors."""
    arrived = threading.Barrier(len(sectors))

    def stage(one):
        with queue.coming(SMALL) as label:
            arrived.wait(60)
            label(one, progress=progress)

    return [future.exception(60) for future in [pool.submit(stage, one) for one in sectors]]


def batches(monkeypatch):
    """Return the list to which the sizes of batches are added when they begin."""
    sizes, real = [], page_batch.PageBatch.run

    def run(batch, **options):
        sizes.append(len(batch.replica_ids))
        real(batch, **options)

    monkeypatch.setattr(page_batch.PageBatch, "run", run)
    return sizes


def test_a_batch_gives_each_sector_the_layers_of_it_alone(tmp_path, settings, pool, expected, monkeypatch):
    sizes, sectors = batches(monkeypatch), [sector(number, tmp_path) for number in range(SECTORS)]

    errors = together(DriveQueue(settings), sectors, pool)

    assert errors == [None] * SECTORS
    assert list(map(layers, sectors)) == expected
    assert sizes == [SECTORS]
    assert [path.name for path in (tmp_path / "host" / "layers").iterdir()] == ["store"]
    used = [
        (path / FILE_NAME).stat().st_blocks * 512 for path in (tmp_path / "drive-0", tmp_path / "drive-1")
    ]
    assert max(used) <= page_drives.FIRST_EXTENT + 8192


def test_more_than_a_page_holds_are_two_batches(tmp_path, settings, pool, monkeypatch):
    sizes = batches(monkeypatch)
    with ThreadPoolExecutor(17) as many:
        errors = together(DriveQueue(settings), [sector(number, tmp_path) for number in range(17)], many)

    assert errors == [None] * 17
    assert sizes == [16, 1]


def test_after_a_kill_it_goes_on_with_those_that_come_again(tmp_path, settings, pool, expected, monkeypatch):
    """One was aborted meanwhile, and one that is new waits for the next batch."""
    monkeypatch.setattr(page_batch, "CHECKPOINT_S", 0.0)
    sectors = [sector(number, tmp_path) for number in range(SECTORS)]
    child = os.fork()
    if not child:
        try:
            with ThreadPoolExecutor(SECTORS) as own:

                def progress(done, total):
                    if done >= total * 3 // 4:
                        os.kill(os.getpid(), signal.SIGKILL)

                together(DriveQueue(settings), sectors[1:], own, progress=progress)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    [state] = (tmp_path / "host" / "layers").glob("*.json")
    assert json.loads(state.read_text())["layer"] == 2
    begun, real = [], page_batch.PageBatch.run

    def run(batch, **options):
        begun.append((len(batch.replica_ids), batch.position.layer))
        real(batch, **options)

    monkeypatch.setattr(page_batch.PageBatch, "run", run)

    errors = together(DriveQueue(settings), [sectors[3], sectors[0], sectors[2], sectors[1]], pool)

    assert errors == [None] * 4
    assert list(map(layers, sectors[:4])) == expected[:4]
    assert begun == [(4, 2), (1, 1)]
    assert not sectors[4].files.layer(1).exists()


def test_a_batch_that_nobody_comes_for_gives_its_room_to_the_next(tmp_path, settings, pool, monkeypatch):
    monkeypatch.setattr(drive_queue, "FORGET_S", 0.0)

    def broken(*_, **__):
        raise OSError(5, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(drive_queue, "layer_files_write", broken)
        errors = together(DriveQueue(settings), [sector(number, tmp_path) for number in (0, 1)], pool)
    assert [str(error) for error in errors] == ["[Errno 5] broken"] * 2
    assert len(list((tmp_path / "host" / "layers").glob("*.json"))) == 1

    assert together(DriveQueue(settings), [sector(2, tmp_path)], pool) == [None]

    assert not list((tmp_path / "host" / "layers").glob("*.json"))


def test_a_sector_waits_as_the_file_says_unless_the_batch_is_full(tmp_path, settings, pool, monkeypatch):
    sizes, queue = batches(monkeypatch), DriveQueue(settings)
    queue.wait_s = 3600.0
    first = pool.submit(together, queue, [sector(0, tmp_path)], pool)
    while not queue._waiting:
        assert not first.done()
    assert sizes == []

    with ThreadPoolExecutor(15) as many:
        others = together(queue, [sector(number, tmp_path) for number in range(1, 16)], many)

    assert others + first.result(60) == [None] * 16
    assert sizes == [16]


def test_a_sector_whose_layer_was_given_back_is_labelled_anew(tmp_path, settings, pool, monkeypatch):
    sectors = [sector(number, tmp_path) for number in range(2)]
    real = page_batch.PageBatch.remove

    def broken(*_):
        raise OSError(5, "broken")

    monkeypatch.setattr(page_batch.PageBatch, "remove", broken)
    together(DriveQueue(settings), sectors, pool)
    monkeypatch.setattr(page_batch.PageBatch, "remove", real)
    sectors[1].files.layer(1).unlink()

    [refused] = together(DriveQueue(settings), sectors[1:], pool)
    assert isinstance(refused, TemporaryError)
    assert together(DriveQueue(settings), sectors[1:], pool) == [None]

    assert sectors[1].files.layer(1).exists()


def test_a_lost_drive_is_named_and_the_batch_is_kept(tmp_path, settings, pool, monkeypatch):
    def broken(*_, **__):
        raise OSError(5, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(drive_queue, "layer_files_write", broken)
        together(DriveQueue(settings), [sector(0, tmp_path)], pool)
    whole = (tmp_path / "drive-1" / FILE_NAME).read_bytes()
    (tmp_path / "drive-1" / FILE_NAME).write_bytes(bytes(1 << 20))

    [lost] = together(DriveQueue(settings), [sector(0, tmp_path)], pool)
    assert isinstance(lost, NotOurDrive)
    assert "drive 2 is blank: what it held is lost" in str(lost)
    (tmp_path / "drive-1" / FILE_NAME).write_bytes(whole)

    assert together(DriveQueue(settings), [sector(0, tmp_path)], pool) == [None]


def test_drives_that_another_process_uses_are_waited_for_and_named(tmp_path, settings, pool, monkeypatch):
    monkeypatch.setattr(page_drives, "LOCK_WAIT_S", 0.05)
    monkeypatch.setattr(drive_queue, "BUSY_S", 1.0)
    assert together(DriveQueue(settings), [sector(0, tmp_path)], pool) == [None]
    queue, told = DriveQueue(settings), []
    held = queue._drives_open(SMALL, lambda *_: None)

    [busy] = together(queue, [sector(1, tmp_path)], pool, progress=lambda *report: told.append(report))
    held.close()

    assert isinstance(busy, TemporaryError)
    assert "drive 1: in use by another process" in str(busy)
    assert len(told) > 2, "it says that it goes on while it waits"
    assert together(queue, [sector(1, tmp_path)], pool) == [None]


def test_the_child_s_line_is_the_drives_if_its_host_names_some(settings, monkeypatch):
    monkeypatch.delenv(LAYERS_VARIABLE, raising=False)
    assert label_line() is LABEL_QUEUE
    [spec] = HostProcessors(layers=settings).specs(["pc1"], compiling=settings.folder, snark="vanilla")
    monkeypatch.setenv(LAYERS_VARIABLE, spec.environment[LAYERS_VARIABLE])

    line = label_line()

    assert isinstance(line, DriveQueue)
    assert line.settings == settings
    assert label_line() is line


@pytest.fixture
def seals(tmp_path, settings, monkeypatch):
    """Three golden sectors that differ by number, up to their staged files, on a host with drives."""
    settings = msgspec.structs.replace(settings, writes_files=False)
    monkeypatch.setenv(LAYERS_VARIABLE, msgspec.json.encode(settings).decode())
    made = []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        one = sealing("2k_v1_1", 5, folder=tmp_path / str(number))
        one.case["sector_id"] += number
        made.append((one, one.add_piece()))
    return made


def commit(one, infos, output):
    """Run pc2 and c1; return comm_r and the proof's digest."""
    sealed = one.pc2(output)
    return sealed.comm_r, c1.run(one.c1_task(sealed, infos)).sha256


@pytest.fixture
def alone(tmp_path, seals, monkeypatch):
    """What each of them is alone, by layers in files."""
    found = []
    with monkeypatch.context() as patch:
        patch.delenv(LAYERS_VARIABLE)
        for number in range(3):
            folder = tmp_path / f"alone-{number}"
            folder.mkdir()
            one = sealing("2k_v1_1", 5, folder=folder)
            one.case["sector_id"] += number
            infos = one.add_piece()
            found.append(commit(one, infos, one.pc1(infos)))
    return found


def test_pc2_and_c1_read_the_layers_from_the_drives(tmp_path, seals, alone, pool):
    outputs = [future.result(60) for future in [pool.submit(one.pc1, infos) for one, infos in seals]]

    assert [commit(one, infos, output) for (one, infos), output in zip(seals, outputs, strict=True)] == alone
    assert alone[0][0].hex() == seals[0][0].case["comm_r"]
    assert not list(tmp_path.glob("[0-2]/cache/sc-02-data-layer-*"))
    assert [one.pc1(infos) for one, infos in seals] == outputs, "again, as after a kill before the answer"


def test_the_room_of_a_batch_is_the_next_one_s_once_its_proofs_are_made(tmp_path, seals, alone, pool):
    (first, infos), (second, others) = seals[:2]
    output = first.pc1(infos)
    second.pc1(others)
    assert len(list((tmp_path / "host" / "layers").glob("*.json"))) == 2, "the first waits for its seed"
    assert commit(first, infos, output) == alone[0]
    (first.cache / LAYERS_PLACE).unlink()  # with its cache folder

    seals[2][0].pc1(seals[2][1])

    names = {path.name for path in (tmp_path / "host" / "layers").iterdir()}
    assert len([name for name in names if name.endswith(".json")]) == 2
    assert len(names) == 5, names


def test_a_batch_waits_for_the_room_of_an_earlier_one(tmp_path, seals, pool, monkeypatch):
    monkeypatch.setattr(drive_queue, "ROOM_S", 0.05)
    (first, infos), (second, others) = seals[:2]
    first.pc1(infos)
    real, refused = page_drives.PageDrives.extent_take, threading.Semaphore(0)

    def full(drives, extent, size):
        if (first.cache / LAYERS_PLACE).exists():
            refused.release()
            raise NotEnoughSpace(28, "no room")
        real(drives, extent, size)

    monkeypatch.setattr(page_drives.PageDrives, "extent_take", full)
    waiting = pool.submit(second.pc1, others)
    assert all(refused.acquire(timeout=60) for _ in range(3))
    (first.cache / LAYERS_PLACE).unlink()

    waiting.result(60)


def test_a_damaged_page_is_named_by_c1_and_made_good_by_pc1(tmp_path, seals, alone, pool):
    outputs = [future.result(60) for future in [pool.submit(one.pc1, infos) for one, infos in seals]]
    (one, infos), output = seals[0], outputs[0]
    sealed = one.pc2(output)
    for drive in ("drive-0", "drive-1"):
        path = tmp_path / drive / FILE_NAME
        raw = bytearray(path.read_bytes())
        raw[page_drives.FIRST_EXTENT + 5 :: 512] = bytes(
            byte ^ 1 for byte in raw[page_drives.FIRST_EXTENT + 5 :: 512]
        )
        path.write_bytes(raw)

    with pytest.raises(
        DamagedChunk, match=r"drive \d \(.*drive-\d\), layer \d, chunk \d of 8: not what was written"
    ):
        c1.run(one.c1_task(sealed, infos))

    assert one.pc1(infos) == output
    assert commit(one, infos, output) == alone[0]
    assert commit(seals[1][0], seals[1][1], outputs[1]) == alone[1]
