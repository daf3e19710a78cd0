"""Trees and proofs of sectors read the layers of their batch on drives, whose room the next one gets."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from poolsite.filecoin.merkle import BASE_ARITY
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.page_shape import CARD_PIECE, FIRST_EXTENT, shape_of
from tests.unit.workers.processors.cards import CpuCard
from tests.unit.workers.processors.drive_queue.sectors import SMALL, commit, sector
from tests.unit.workers.processors.sealing import digest, sealing
from tests.waiting import until
from workers.gpus import CARD_VARIABLE
from workers.kernels import uring
from workers.processors import c1, drive_queue, page_batch, page_layers, pc1, pc2, synthetic
from workers.processors.card_trees import TreeMaker
from workers.processors.child import as_processor_error
from workers.processors.drive_queue import DriveQueue, label_line
from workers.processors.errors import BadFile, TemporaryError
from workers.processors.layer_source import LayersPlace, layers_place
from workers.processors.page_stripes import DamagedChunk
from workers.processors.sector_record import sector_files
from workers.processors.tasks import SyntheticTask
from workers.storage import page_drives
from workers.storage.files import NotEnoughSpace, hole_write
from workers.storage.page_drives import FILE_NAME
from workers.storage.sector import LAYERS_PLACE, SectorFiles


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


def test_pc2_and_c1_read_the_layers_from_the_drives(tmp_path, seals, alone, pool):
    outputs = [future.result(60) for future in [pool.submit(one.pc1, infos) for one, infos in seals]]

    assert [commit(one, infos, output) for (one, infos), output in zip(seals, outputs, strict=True)] == alone
    assert alone[0][0].hex() == seals[0][0].case["comm_r"]
    assert not list(tmp_path.glob("[0-2]/cache/sc-02-data-layer-*"))
    assert [one.pc1(infos) for one, infos in seals] == outputs, "again, as after a kill before the answer"


def test_synthetic_proofs_of_a_batch_are_the_reference_s_byte_for_byte(tmp_path, seals, monkeypatch):
    """Most labels are read with their page's sum alone; those of a page whose sum differs by the stripe's."""
    (tmp_path / "synth").mkdir()
    one = sealing("2k_synth", 10, folder=tmp_path / "synth")
    infos = one.add_piece()
    output = one.pc2(one.pc1(infos))
    real, spoilt = uring.drives_pread, list[int]()

    def misread(handles, requests, run, results):
        real(handles, requests, run, results)
        if len(spoilt) < 3:
            results[len(spoilt)] = -errno.EIO
            spoilt.append(len(requests))

    monkeypatch.setattr(uring, "drives_pread", misread)
    paths = (str(one.cache), str(one.sealed))

    synthetic.run(SyntheticTask(one.name, *paths, one.value("prover_id"), 1, one.value("ticket"), output))

    assert not list(one.cache.glob("sc-02-data-layer-*"))
    assert len(spoilt) == 3
    known = one.case["cache_files"]["syn-porep-vanilla-proofs.dat"]
    assert digest(one.cache / "syn-porep-vanilla-proofs.dat") == known["sha256"]


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


def test_a_card_gets_no_piece_whose_labels_find_no_memory(tmp_path, monkeypatch):
    card: Any = CpuCard()
    graph = seal_parameters(int(RegisteredSealProof.STACKED_DRG_8MIB_V1_1))
    shape, files, maker = shape_of(graph, 128, 2), sector_files(graph, tmp_path), TreeMaker(card, None)
    monkeypatch.setattr(page_layers, "tree_maker", lambda: maker)

    def levels(available):
        monkeypatch.setattr(page_layers, "available_bytes", lambda: available)
        return page_layers._piece_levels(shape, files)

    needed = shape.pieces_bytes(CARD_PIECE)

    assert BASE_ARITY ** levels(needed) == CARD_PIECE
    assert BASE_ARITY ** levels(needed - 1) == shape.chunk


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
