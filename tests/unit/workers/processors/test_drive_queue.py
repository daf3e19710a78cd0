"""Sectors of one host are labelled as batches on drives, through kills, cancelled sectors and lost drives."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from poolsite.filecoin.merkle import BASE_ARITY
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.wire.hardware import LayerBatch
from poolsite.wire.page_shape import CARD_PIECE, FIRST_EXTENT, shape_of
from tests.unit.workers.processors.cards import CpuCard
from tests.unit.workers.processors.sealing import digest, sealing
from tests.waiting import until
from workers.processors import batch_rates, c1, drive_queue, page_batch, page_layers, pc1, pc2
from workers.processors.batch_rates import (
    NOW,
    RATES,
    BatchRates,
    RateMeter,
    batch_now_read,
    label_key,
    rates_read,
)
from workers.processors.card_trees import CARD_VARIABLE, TRIED_LEVELS, TreeMaker
from workers.processors.child import as_processor_error
from workers.processors.drive_queue import DriveQueue, label_line
from workers.processors.errors import BadFile, PermanentError, TemporaryError, TicketTooOld
from workers.processors.label_queue import LABEL_QUEUE, TicketLife
from workers.processors.labelling import LabelledSector, label_sectors
from workers.processors.layer_drives import LAYERS_VARIABLE, LayerDrives
from workers.processors.layer_source import LayersPlace, layers_place
from workers.processors.page_stripes import DamagedChunk
from workers.processors.trees import CHUNK_LEVELS
from workers.stage_processors import HostProcessors
from workers.storage import page_drives
from workers.storage.files import NotEnoughSpace, hole_write, write_file
from workers.storage.page_drives import FILE_NAME, NotOurDrive
from workers.storage.sector import LAYERS_PLACE, SectorFiles

SMALL = seal_parameters(5)
SECTORS = 5


@pytest.fixture
def settings(tmp_path):
    drives = [tmp_path / f"drive-{number}" for number in range(2)]
    for drive in drives:
        drive.mkdir()
        (drive / FILE_NAME).touch()
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
    assert {path.name for path in (tmp_path / "host" / "layers").iterdir()} == {"store", "rates"}
    used = [
        (path / FILE_NAME).stat().st_blocks * 512 for path in (tmp_path / "drive-0", tmp_path / "drive-1")
    ]
    assert max(used) <= FIRST_EXTENT + 8192


def test_a_batch_says_how_far_it_is(tmp_path, settings, pool, monkeypatch):
    """Its end is not known before a batch has had trees made, and nothing is said after it."""
    monkeypatch.setattr(batch_rates, "NOW_S", 0.0)
    queue, seen = DriveQueue(settings), []

    def progress(*_):
        seen.append(batch_now_read(queue.folder))

    assert (
        together(queue, [sector(number, tmp_path) for number in range(3)], pool, progress=progress)
        == [None] * 3
    )

    known = [one for one in seen if one is not None]
    first, last = known[0], known[-1]
    assert (first.sectors, first.lanes_empty, first.layers, first.page_bytes) == (3, 13, 2, 512)
    assert sorted({one.layer for one in known}) == [1, 2, 3]
    assert (last.done, last.end_s) == (last.total, 0)
    assert 3 < last.reads_milli / 1000 < 14
    assert any(one.reads_s for one in known)
    assert batch_now_read(queue.folder) is None
    rates_set(settings, hours=2)
    seen.clear()
    assert together(queue, [sector(9, tmp_path)], pool, progress=progress) == [None]
    ends = [one.end_s - time.time() for one in seen if one is not None]
    assert 3600 < max(ends) <= 7200


def test_what_a_killed_process_said_of_its_batch_counts_no_more(tmp_path):
    path = tmp_path / batch_rates.NOW
    found = LayerBatch(sectors=1, layer=1, layers=2, done=0, total=8)
    write_file(path, msgspec.json.encode(found))
    assert batch_now_read(tmp_path) == found
    os.utime(path, (time.time() - 121, time.time() - 121))

    assert batch_now_read(tmp_path) is None


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


def layers_keep(queue, sectors, pool, monkeypatch):
    """Label a batch that then breaks off, and stays on the drives."""

    def broken(*_, **__):
        raise OSError(5, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(drive_queue, "layer_files_write", broken)
        errors = together(queue, sectors, pool)
    assert [str(error) for error in errors] == ["[Errno 5] broken"] * len(sectors)


def test_a_batch_that_nobody_comes_for_gives_its_room_to_the_next(tmp_path, settings, pool, monkeypatch):
    monkeypatch.setattr(drive_queue, "FORGET_S", 0.0)
    layers_keep(DriveQueue(settings), [sector(number, tmp_path) for number in (0, 1)], pool, monkeypatch)
    folder = tmp_path / "host" / "layers"
    assert len(list(folder.glob("*.json"))) == 1
    real = page_drives.PageDrives.extent_take

    def room_for_one(drives, extent, size):
        if len(list(folder.glob("*.json"))) > 1:
            raise NotEnoughSpace(28, "no room")
        real(drives, extent, size)

    monkeypatch.setattr(page_drives.PageDrives, "extent_take", room_for_one)

    assert together(DriveQueue(settings), [sector(2, tmp_path)], pool) == [None]

    assert not list(folder.glob("*.json"))


def test_a_batch_that_nobody_comes_for_is_kept_if_there_is_room(
    tmp_path, settings, pool, expected, monkeypatch
):
    monkeypatch.setattr(drive_queue, "FORGET_S", 0.0)
    sectors = [sector(number, tmp_path) for number in range(3)]
    layers_keep(DriveQueue(settings), sectors[:2], pool, monkeypatch)
    assert together(DriveQueue(settings), sectors[2:], pool) == [None]
    labelled, real = [], page_batch.PageBatch.run

    def run(batch, **options):
        labelled.append(batch.is_labelled)
        real(batch, **options)

    monkeypatch.setattr(page_batch.PageBatch, "run", run)

    assert together(DriveQueue(settings), sectors[:2], pool) == [None, None]

    assert labelled == [True]
    assert list(map(layers, sectors)) == expected[:3]


def test_a_batch_that_another_process_left_is_seen(tmp_path, settings, pool, expected, monkeypatch):
    """The child that was given up is killed while it labels: its sectors come to the next one."""
    sectors, later = [sector(number, tmp_path) for number in range(2)], DriveQueue(settings)

    opened, waits = later._drives_open, [True]

    def drives_open(*given):
        if waits:
            waits.clear()
            layers_keep(DriveQueue(settings), sectors, pool, monkeypatch)
        return opened(*given)

    monkeypatch.setattr(later, "_drives_open", drives_open)

    [refused] = together(later, sectors[1:], pool)
    assert isinstance(refused, TemporaryError)
    assert together(later, sectors, pool) == [None, None]

    assert list(map(layers, sectors)) == expected[:2]


def test_an_aborted_sector_is_no_error_of_the_others(tmp_path, settings, pool, expected, monkeypatch):
    sectors, real = [sector(number, tmp_path) for number in range(3)], page_batch.PageBatch.run

    def run(batch, **options):
        real(batch, **options)
        shutil.rmtree(sectors[1].files.cache)

    monkeypatch.setattr(page_batch.PageBatch, "run", run)

    errors = together(DriveQueue(settings), sectors, pool)

    assert [type(error) for error in errors] == [type(None), TemporaryError, type(None)]
    assert [layers(sectors[0]), layers(sectors[2])] == [expected[0], expected[2]]


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


def test_drives_on_which_another_process_goes_on_are_waited_for(tmp_path, settings, pool, monkeypatch):
    monkeypatch.setattr(page_drives, "LOCK_WAIT_S", 0.02)
    monkeypatch.setattr(drive_queue, "BUSY_S", 0.4)
    queue = DriveQueue(settings)
    held = queue._drives_open(SMALL, lambda *_: None)
    waiting = pool.submit(together, queue, [sector(0, tmp_path)], pool)
    for _ in range(20):
        os.utime(tmp_path / "host" / "layers" / "store")
        time.sleep(0.05)
    assert not waiting.done()
    held.close()

    assert waiting.result(60) == [None]


def test_the_child_s_line_is_the_drives_if_its_host_names_some(tmp_path, settings, monkeypatch):
    monkeypatch.delenv(LAYERS_VARIABLE, raising=False)
    assert label_line() is LABEL_QUEUE
    [spec] = HostProcessors(layers=settings).specs(["pc1"], compiling=tmp_path, snark="vanilla")
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


def drive_line() -> Any:
    """Return the line of this process, which is of drives."""
    return label_line()


def all_together(seals, pool):
    """Run pc1 of sectors as one batch; return their futures once they stand in line, or are done."""
    queue = drive_line()
    with queue.coming(SMALL):
        futures = [pool.submit(one.pc1, infos) for one, infos in seals]
        while sum(future.done() for future in futures) + len(queue._waiting) < len(seals):
            time.sleep(0.01)
    return futures


def commit(one, infos, output):
    """Run pc2 and c1; return comm_r and the proof's digest."""
    sealed = one.pc2(output)
    return sealed.comm_r, c1.run(one.c1_task(sealed, infos)).sha256


@pytest.fixture
def alone(tmp_path, seals, monkeypatch):
    """Return comm_r and C1 digest of each sector when sealed alone, with its layers in files."""
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


def test_a_card_makes_the_trees_of_a_batch_and_the_cpu_where_it_fails(seals, alone, pool, monkeypatch):
    card: Any = CpuCard(fails_at=4)
    monkeypatch.setenv(CARD_VARIABLE, "always")
    maker = TreeMaker(card, None)
    monkeypatch.setattr(page_layers, "tree_maker", lambda: maker)
    monkeypatch.setattr(pc2, "tree_maker", lambda: maker)

    outputs = [future.result(60) for future in [pool.submit(one.pc1, infos) for one, infos in seals]]

    assert card.calls == 6, "columns and replica of three sectors"
    assert [commit(one, infos, output) for (one, infos), output in zip(seals, outputs, strict=True)] == alone


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
    assert len(names) == 6, names


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
    outputs = [future.result(60) for future in all_together(seals, pool)]
    (one, infos), output = seals[0], outputs[0]
    sealed = one.pc2(output)
    for drive in ("drive-0", "drive-1"):
        path = tmp_path / drive / FILE_NAME
        raw = bytearray(path.read_bytes())
        raw[FIRST_EXTENT + 5 :: 512] = bytes(byte ^ 1 for byte in raw[FIRST_EXTENT + 5 :: 512])
        path.write_bytes(raw)

    with pytest.raises(
        DamagedChunk, match=r"drive \d \(.*drive-\d\), layer \d, chunk \d of 8: not what was written"
    ):
        c1.run(one.c1_task(sealed, infos))

    assert one.pc1(infos) == output
    assert commit(one, infos, output) == alone[0]
    assert commit(seals[1][0], seals[1][1], outputs[1]) == alone[1]


def test_an_abort_and_a_full_disk_are_no_error_of_the_others(tmp_path, seals, alone, pool, monkeypatch):
    real, full = page_batch.PageBatch.run, [seals[2][0].cache]

    def run(batch, **options):
        real(batch, **options)
        shutil.rmtree(seals[1][0].cache, ignore_errors=True)

    def space_check(folder, needed):
        if folder in full:
            raise NotEnoughSpace("no space")

    monkeypatch.setattr(page_batch.PageBatch, "run", run)
    monkeypatch.setattr(page_layers, "space_check", space_check)
    futures = all_together(seals, pool)

    assert [type(future.exception(60)) for future in futures] == [
        type(None),
        FileNotFoundError,
        NotEnoughSpace,
    ]
    full.clear()
    outputs = [futures[0].result(), seals[2][0].pc1(seals[2][1])]
    made = [(*seals[at], output) for at, output in zip((0, 2), outputs, strict=True)]
    assert [commit(*one) for one in made] == alone[::2]


def test_a_batch_whose_sectors_all_find_their_disk_full_is_kept(tmp_path, seals, alone, pool, monkeypatch):
    def space_check(*_):
        raise NotEnoughSpace("no space")

    with monkeypatch.context() as patch:
        patch.setattr(page_layers, "space_check", space_check)
        assert isinstance(pool.submit(seals[0][0].pc1, seals[0][1]).exception(60), NotEnoughSpace)
    queue = drive_line()
    assert queue._unfinished() == queue._paths()

    (one, infos) = seals[0]
    assert commit(one, infos, one.pc1(infos)) == alone[0]

    assert queue._unfinished() == []


@pytest.mark.parametrize("written", [0, 1, 2, 3])
def test_killed_while_sectors_are_told_no_needed_batch_is_forgotten(
    tmp_path, seals, alone, pool, monkeypatch, written
):
    monkeypatch.setattr(drive_queue, "FORGET_S", 0.0)
    monkeypatch.setattr(drive_queue, "ROOM_S", 0.02)
    child = os.fork()
    if not child:
        try:
            made: list[SectorFiles] = []
            place_type: Any = LayersPlace
            queue_type: Any = DriveQueue
            real = LayersPlace.write

            def write(place, files):
                if len(made) == written:
                    os.kill(os.getpid(), signal.SIGKILL)
                real(place, files)
                made.append(files)

            place_type.write = write
            real_members = DriveQueue._members_write

            def members_write(queue, path, members):
                if members.are_told:
                    os.kill(os.getpid(), signal.SIGKILL)
                real_members(queue, path, members)

            queue_type._members_write = members_write
            with ThreadPoolExecutor(3) as own:
                [future.result(60) for future in all_together(seals, own)]
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    told = [one for one, _ in seals if (one.cache / LAYERS_PLACE).exists()]
    assert len(told) == written
    outputs = [future.result(60) for future in all_together(seals, pool)]
    for one, _ in seals:
        if one not in told[:1]:
            (one.cache / LAYERS_PLACE).unlink()  # those that came again are done before
    queue = drive_line()

    assert (queue._spent() == []) is bool(told)
    assert (queue._left() == []) is bool(told) or not queue._unfinished()

    for one in told[:1]:
        at = [seal for seal, _ in seals].index(one)
        assert commit(one, seals[at][1], outputs[at]) == alone[at]


def test_a_batch_with_room_goes_on_before_one_that_waits_for_some(tmp_path, seals, alone, pool, monkeypatch):
    """A proof has met a damaged page: its sector must not wait until the others of its batch are done."""
    monkeypatch.setattr(drive_queue, "ROOM_S", 0.05)
    (first, infos), (second, others), (third, _) = seals
    [future.result(60) for future in all_together([seals[0], seals[2]], pool)]
    real, refused = page_drives.PageDrives.extent_take, threading.Semaphore(0)

    def full(drives, extent, size):
        if (third.cache / LAYERS_PLACE).exists():
            refused.release()
            raise NotEnoughSpace(28, "no room")
        real(drives, extent, size)

    monkeypatch.setattr(page_drives.PageDrives, "extent_take", full)
    waiting = pool.submit(second.pc1, others)
    assert refused.acquire(timeout=60)
    (first.cache / LAYERS_PLACE).unlink()

    output = pool.submit(first.pc1, infos).result(60)

    assert not waiting.done()
    assert commit(first, infos, output) == alone[0]
    (first.cache / LAYERS_PLACE).unlink()
    (third.cache / LAYERS_PLACE).unlink()
    waiting.result(60)


def test_the_file_of_another_batch_has_not_the_layers_of_a_sector(tmp_path, seals):
    (one, infos) = seals[0]
    one.pc1(infos)
    files = SectorFiles(SMALL, one.cache, one.sealed)
    assert layers_place(files) is not None
    [state] = (tmp_path / "host" / "layers").glob("*.json")
    known = json.loads(state.read_text())
    state.write_text(json.dumps({**known, "batch": "0" * 32}))

    assert layers_place(files) is None


def test_a_batch_is_kept_while_a_sector_s_disk_is_away(tmp_path, seals):
    (one, infos) = seals[0]
    one.pc1(infos)
    assert drive_line()._spent() == []
    (tmp_path / "0").rename(tmp_path / "away")

    assert drive_line()._spent() == []


def test_killed_while_it_is_forgotten_a_batch_begins_anew(tmp_path, seals, alone, pool):
    (one, infos) = seals[0]
    one.pc1(infos)
    (one.cache / LAYERS_PLACE).unlink()
    child = os.fork()
    if not child:
        try:
            drives_type: Any = page_drives.PageDrives
            drives_type.extent_release = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
            queue = drive_line()
            [path] = queue._spent()
            queue._forget(path, queue._drives_open(SMALL, lambda *_: None))
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL

    assert commit(one, infos, one.pc1(infos)) == alone[0]


def test_a_damaged_file_of_a_batch_leaves_no_sector_waiting(tmp_path, settings, pool, monkeypatch):
    real = page_batch.PageBatch.run

    def run(batch, **options):
        real(batch, **options)
        (tmp_path / "host" / "layers" / "other.json").write_text("{")

    monkeypatch.setattr(page_batch.PageBatch, "run", run)

    errors = together(DriveQueue(settings), [sector(number, tmp_path) for number in range(2)], pool)

    assert [type(error) for error in errors] == [BadFile] * 2
    with monkeypatch.context() as patch:
        patch.setattr(DriveQueue, "_known_read", lambda _: None)
        later = DriveQueue(settings)  # before that was damaged
    assert [type(error) for error in together(later, [sector(2, tmp_path)], pool)] == [BadFile]
    assert later._waiting == []


def test_staged_data_are_copied_with_signs_of_life(tmp_path, monkeypatch):
    files = sector(0, tmp_path).files
    (tmp_path / "staged").write_bytes(b"data")
    hole_write(tmp_path / "empty", size_bytes=SMALL.sector_bytes)
    told = []

    pc1.sealed_begin(sector(0, tmp_path), str(tmp_path / "staged"), on_part=lambda: told.append(1))
    assert (told, files.sealed.read_bytes()) == ([1], b"data".ljust(SMALL.sector_bytes, b"\0"))

    monkeypatch.setattr(pc1, "copy_file", None)
    pc1.sealed_begin(sector(0, tmp_path), str(tmp_path / "empty"))
    assert files.sealed.read_bytes() == bytes(SMALL.sector_bytes)


def late(one, *, left_s, fresh_s=0):
    """Return a sector's label function options: how long its ticket is good for."""
    return {"sector": one, "ticket": TicketLife(int(time.time() + left_s), fresh_s)}


def rates_set(settings, *, hours):
    """Note a last batch that took so long, its labels half of it."""
    shape, seconds = shape_of(SMALL, 1, len(settings.drives)), hours * 1800
    known = BatchRates(
        nodes_s={label_key(shape, 16): shape.layers * shape.nodes / seconds},
        tree_nodes_s={str(shape.nodes): shape.nodes / seconds},
    )
    write_file(DriveQueue(settings).folder / RATES, msgspec.json.encode(known))


def test_a_batch_that_would_outlive_a_ticket_begins_without_its_sector(
    tmp_path, settings, pool, expected, monkeypatch
):
    """Nothing is known of the first batch's length; the next one waits a little for another ticket."""
    sectors, queue = [sector(number, tmp_path) for number in range(4)], DriveQueue(settings)
    with queue.coming(SMALL) as label:
        label(**late(sectors[3], left_s=1))
    rates_set(settings, hours=1)
    monkeypatch.setattr(drive_queue, "AGAIN_S", 3600.0)
    sizes, arrived = batches(monkeypatch), threading.Barrier(3)

    def stage(given):
        with queue.coming(SMALL) as label:
            arrived.wait(60)
            label(**given)

    given = [late(sectors[0], left_s=3300), late(sectors[1], left_s=90000), {"sector": sectors[2]}]
    futures = [pool.submit(stage, one) for one in given]

    with pytest.raises(TicketTooOld, match=r"would take about 2\.0 h, and its ticket is good for 0\.9 h"):
        futures[0].result(60)
    assert sizes == [], "it waits for that one to come back"
    arrived = threading.Barrier(14)
    with ThreadPoolExecutor(14) as many:
        again = [late(sector(number, tmp_path), left_s=90000) for number in (0, *range(4, 17))]
        assert [future.exception(60) for future in [many.submit(stage, one) for one in again]] == [None] * 14

    assert [future.exception(60) for future in futures[1:]] == [None, None]
    assert sizes == [16]
    assert list(map(layers, sectors[:3])) == expected[:3]


def test_those_in_time_begin_if_no_other_comes_back(tmp_path, settings, pool, monkeypatch):
    sectors, queue = [sector(number, tmp_path) for number in range(2)], DriveQueue(settings)
    rates_set(settings, hours=1)
    monkeypatch.setattr(drive_queue, "AGAIN_S", 0.1)

    def stage(given):
        with queue.coming(SMALL) as label:
            label(**given)

    futures = [
        pool.submit(stage, late(one, left_s=left)) for one, left in zip(sectors, (9, 900000), strict=True)
    ]

    assert [type(future.exception(60)) for future in futures] == [TicketTooOld, type(None)]


def test_a_batch_that_no_ticket_outlives_is_refused_with_its_remedy(tmp_path, settings):
    rates_set(settings, hours=30)
    queue = DriveQueue(settings)

    with (
        queue.coming(SMALL) as label,
        pytest.raises(PermanentError, match=r"takes about 30\.0 h here, .* good for 23\.5 h: name fewer"),
    ):
        label(**late(sector(0, tmp_path), left_s=1000, fresh_s=84600))


def test_with_another_number_of_drives_it_is_measured_again(tmp_path, settings):
    """The refusal asks for more of them: what was measured with fewer says nothing."""
    rates_set(settings, hours=30)
    more = tmp_path / "drive-2"
    more.mkdir()
    (more / FILE_NAME).touch()

    queue = DriveQueue(msgspec.structs.replace(settings, drives=(*settings.drives, str(more))))

    with queue.coming(SMALL) as label:
        label(**late(sector(0, tmp_path), left_s=1000, fresh_s=84600))


@pytest.mark.parametrize("damage", [b"", b"{", b'{"nodes_s": {"\xff": 1}}', b"\0" * 40, b'{"nodes_s": 7}'])
def test_of_damaged_rates_nothing_is_known(tmp_path, settings, damage):
    queue = DriveQueue(settings)
    for name in (RATES, NOW):
        (queue.folder / name).write_bytes(damage)

    assert (rates_read(queue.folder), batch_now_read(queue.folder)) == (BatchRates(), None)
    with queue.coming(SMALL) as label:
        label(**late(sector(0, tmp_path), left_s=1000, fresh_s=84600))

    assert rates_read(queue.folder).nodes_s


def test_the_end_of_a_batch_that_goes_on_changes_no_rate(tmp_path, settings, pool, monkeypatch):
    """A few chunks after a kill say nothing of a whole batch; those of a layer do."""
    rates_set(settings, hours=2)
    folder, shape = DriveQueue(settings).folder, shape_of(SMALL, 16, len(settings.drives))
    before = rates_read(folder)
    batch: Any = SimpleNamespace(shape=shape)
    monkeypatch.setattr(batch_rates, "NOTE_S", 0.0)
    total = shape.layers * shape.nodes

    meter = RateMeter(folder, batch, members=1)
    meter.labelled(total - shape.chunk)
    meter.labelled(total, is_end=True)
    assert rates_read(folder) == before

    whole = RateMeter(folder, batch, members=1)
    whole.labelled(shape.chunk)
    whole.labelled(shape.nodes)
    assert rates_read(folder) == before
    whole.labelled(total, is_end=True)
    assert rates_read(folder) != before


def test_a_drive_that_is_not_mounted_may_come_back(tmp_path, seals, alone, pool):
    """After a start of the machine: neither labels nor a proof wait for a person."""
    (one, infos) = seals[0]
    output = one.pc1(infos)
    sealed = one.pc2(output)
    drive = tmp_path / "drive-1"
    drive.rename(tmp_path / "away")
    drive.mkdir()

    for act in (lambda: c1.run(one.c1_task(sealed, infos)), lambda: seals[1][0].pc1(seals[1][1])):
        error = pool.submit(act).exception(60)
        assert isinstance(error, Exception)
        failure = as_processor_error(error)
        assert isinstance(failure, TemporaryError)
        assert "drive 2 is not mounted, or new" in str(failure)

    drive.rmdir()
    (tmp_path / "away").rename(drive)
    assert commit(one, infos, output) == alone[0]


def test_a_card_gets_no_piece_whose_labels_find_no_memory(monkeypatch):
    card: Any = CpuCard()
    shape, maker = shape_of(SMALL, 128, 2), TreeMaker(card, None)
    monkeypatch.setattr(page_layers, "tree_maker", lambda: maker)

    def levels(available):
        monkeypatch.setattr(page_layers, "available_bytes", lambda: available)
        return page_layers._piece_levels(shape, 9)

    needed = shape.pieces_bytes(CARD_PIECE)

    assert (levels(needed), levels(needed - 1)) == (TRIED_LEVELS, CHUNK_LEVELS)
    assert BASE_ARITY**TRIED_LEVELS == CARD_PIECE


def test_of_a_batch_that_was_begun_only_the_rest_counts(tmp_path, settings, pool, monkeypatch):
    one = sector(0, tmp_path)
    layers_keep(DriveQueue(settings), [one], pool, monkeypatch)
    rates_set(settings, hours=1)
    queue = DriveQueue(settings)

    with queue.coming(SMALL) as label, pytest.raises(TicketTooOld, match=r"about 0\.5 h, .* for 0\.1 h"):
        label(**late(one, left_s=360))
    with queue.coming(SMALL) as label:
        label(**late(one, left_s=2700))


def test_room_is_given_back_though_no_batch_follows(tmp_path, seals, alone):
    (first, infos), (second, others) = seals[:2]
    output = first.pc1(infos)
    second.pc1(others)
    folder, queue = tmp_path / "host" / "layers", drive_line()
    used = (tmp_path / "drive-0" / FILE_NAME).stat().st_blocks
    queue.room_return()
    assert len(list(folder.glob("*.json"))) == 2, "both are needed"
    (second.cache / LAYERS_PLACE).unlink()

    queue.room_return()

    assert len(list(folder.glob("*.json"))) == 1
    assert (tmp_path / "drive-0" / FILE_NAME).stat().st_blocks < used
    assert commit(first, infos, output) == alone[0]


def test_no_room_is_given_back_while_a_batch_is_labelled(seals):
    (one, infos) = seals[0]
    one.pc1(infos)
    (one.cache / LAYERS_PLACE).unlink()
    queue = drive_line()
    queue._running = 1

    queue.room_return()

    assert queue._spent() == queue._paths() != []


def test_the_room_is_looked_after_from_the_start_of_the_process(seals, monkeypatch):
    (one, infos) = seals[0]
    one.pc1(infos)
    (one.cache / LAYERS_PLACE).unlink()
    monkeypatch.setattr(drive_queue, "ROOM_S", 0.02)

    drive_line().tend()

    until(lambda: not drive_line()._paths())


@pytest.mark.parametrize("damage", [b"{", b'{"batch": "\xff"}'])
def test_a_sector_whose_file_is_damaged_is_found_in_its_batch(seals, alone, pool, monkeypatch, damage):
    """Nothing is labelled again, and C1 names the file until PC1 has written it anew."""
    outputs = [future.result(60) for future in all_together(seals, pool)]
    (one, infos), output = seals[0], outputs[0]
    sealed = one.pc2(output)
    (one.cache / LAYERS_PLACE).write_bytes(damage)
    with pytest.raises(BadFile, match="which batch has the layers is lost"):
        c1.run(one.c1_task(sealed, infos))
    labelled = []
    monkeypatch.setattr(page_batch.PageBatch, "_label", lambda *_: labelled.append(1))

    assert one.pc1(infos) == output

    assert labelled == []
    assert commit(one, infos, output) == alone[0]


def test_a_damaged_file_of_a_sector_and_of_its_batch_names_what_is_lost(tmp_path, seals):
    (one, infos) = seals[0]
    one.pc1(infos)
    (one.cache / LAYERS_PLACE).write_bytes(b"{")
    [state] = (tmp_path / "host" / "layers").glob("*.json")
    state.write_text("{")

    with pytest.raises(BadFile, match="where the batch's layers are is lost"):
        one.pc1(infos)
