"""Sectors of one host are labelled as batches on drives, through kills, cancelled sectors and lost drives."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from poolsite.wire.batch_model import BEST, LEAST, SET, UNMEASURED
from poolsite.wire.hardware import BatchSize, DrivesMeasured, LayerBatch, PagesMeasured
from poolsite.wire.page_shape import FIRST_EXTENT, shape_of
from tests.unit.workers.processors.drive_queue.sectors import SECTORS, SMALL, layers, sector
from workers import reset_drives
from workers.__main__ import main as workers_main
from workers.processors import batch_rates, drive_queue, page_batch
from workers.processors.batch_rates import (
    NOW,
    RATES,
    BatchRates,
    RateMeter,
    batch_now_read,
    label_key,
    measured_write,
    rates_read,
    size_read,
)
from workers.processors.child import as_processor_error
from workers.processors.drive_queue import DriveQueue, label_line
from workers.processors.errors import BadFile, PermanentError, TemporaryError, TicketTooOld
from workers.processors.label_queue import LABEL_QUEUE, TicketLife
from workers.processors.layer_drives import LAYERS_VARIABLE
from workers.stage_processors import HostProcessors
from workers.storage import page_drives
from workers.storage.files import NotEnoughSpace, write_file
from workers.storage.page_drives import FILE_NAME, NotOurDrive, drives_open


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


def test_batches_begin_anew_on_a_drive_that_was_replaced(tmp_path, settings, pool, monkeypatch, capsys):
    def broken(*_, **__):
        raise OSError(5, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(drive_queue, "layer_files_write", broken)
        together(DriveQueue(settings), [sector(number, tmp_path) for number in (0, 1)], pool)
    own, files = tmp_path / "host", [tmp_path / f"drive-{number}" / FILE_NAME for number in range(2)]
    names = ", ".join(f"'{file.parent}'" for file in files)
    (own / "config.toml").write_text(f"[layers]\ndrives = [{names}]\n")
    files[1].write_bytes(b"")  # another drive, which a person has mounted
    before = files[0].read_bytes()
    [lost] = together(DriveQueue(settings), [sector(0, tmp_path)], pool)
    assert "“python -m workers reset-drives” on the host, and retry" in str(lost)

    assert workers_main(["reset-drives", "--dir", str(own)]) == 1
    assert "sectors of the batches there: 2; their layers are lost" in capsys.readouterr().err
    files[1].write_bytes(b"a partition table")
    assert workers_main(["reset-drives", "--dir", str(own), "--yes"]) == 1
    assert "holds something else: nothing of it was changed" in capsys.readouterr().err
    assert files[0].read_bytes() == before
    files[1].write_bytes(b"")
    with monkeypatch.context() as patch:
        begun = own / "layers" / "meanwhile.json"
        patch.setattr(reset_drives, "drives_open", lambda *a, **k: begun.touch() or drives_open(*a, **k))
        assert workers_main(["reset-drives", "--dir", str(own), "--yes"]) == 1
        assert "a batch was begun meanwhile: try again" in capsys.readouterr().err
        begun.unlink()
    assert workers_main(["reset-drives", "--dir", str(own), "--yes"]) == 0
    assert not list((own / "layers").glob("*.json"))

    assert together(DriveQueue(settings), [sector(0, tmp_path), sector(2, tmp_path)], pool) == [None, None]
    (own / "config.toml").unlink()
    assert workers_main(["reset-drives", "--dir", str(own)]) == 1
    assert "names no drives in [layers]" in capsys.readouterr().err


def test_an_order_repeated_after_a_kill_forgets_no_later_batch(tmp_path, settings, pool, monkeypatch, capsys):
    own = tmp_path / "host"
    folder, file, labelled = own / "layers", own / "config.toml", partial(layers_keep, pool=pool)

    def ordered(order):
        return workers_main(["reset-drives", "--dir", str(own), "--yes", "--order", order])

    labelled(DriveQueue(settings), [sector(0, tmp_path)], monkeypatch=monkeypatch)
    file.write_text(f"[layers]\ndrives = {json.dumps(settings.drives)}\n")
    with monkeypatch.context() as patch:
        patch.setattr(page_drives.PageDrives, "clear", lambda _: 1 // 0)  # a kill, before it is reported
        with pytest.raises(ZeroDivisionError):
            ordered("b")
    assert not list(folder.glob("*.json"))
    labelled(DriveQueue(settings), [sector(1, tmp_path)], monkeypatch=monkeypatch)

    assert ordered("b") == 1
    assert "a batch was begun meanwhile: try again" in capsys.readouterr().err
    assert len(list(folder.glob("*.json"))) == 1
    assert ordered("c") == 0
    assert not list(folder.glob("*.json"))


def test_a_drive_that_does_not_write_for_a_while_is_tried_again(tmp_path, settings, pool, monkeypatch):
    def failed(*_):
        raise OSError(5, "Input/output error")

    def read_only(*_):
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", read_only)
        [of_header] = together(DriveQueue(settings), [sector(0, tmp_path)], pool)
    assert together(DriveQueue(settings), [sector(1, tmp_path)], pool) == [None]
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", failed)
        [of_page] = together(DriveQueue(settings), [sector(0, tmp_path)], pool)

    for failure, why in ((of_header, "Read-only file system"), (of_page, "Input/output error")):
        known = as_processor_error(failure)
        assert isinstance(known, TemporaryError)
        assert f"drive 1: {why}; once it answers again, retry its sectors" in str(known)
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


@pytest.mark.parametrize(("reads_s", "columns_s", "seconds"), [(1, 0, 1116), (10**6, 1, 64)])
def test_a_first_batch_is_refused_by_what_was_measured(tmp_path, settings, reads_s, columns_s, seconds):
    """One read, or one column of the trees, a second."""
    measured = DrivesMeasured(
        drives=settings.drives,
        pages=(PagesMeasured(sectors=16, reads_s=reads_s),),
        columns_s=columns_s,
    )
    measured_write(DriveQueue(settings).folder.parent, measured)
    queue = DriveQueue(settings)

    for fresh_s, refusal in ((84600, TicketTooOld), (seconds - 5, PermanentError)):
        with queue.coming(SMALL) as label, pytest.raises(refusal, match=rf"about {seconds / 3600:.1f} h"):
            label(**late(sector(0, tmp_path), left_s=seconds / 2, fresh_s=fresh_s))
    with DriveQueue(settings).coming(SMALL) as label:
        label(**late(sector(1, tmp_path), left_s=seconds + 60, fresh_s=84600))


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


def test_of_a_batch_that_was_begun_only_the_rest_counts(tmp_path, settings, pool, monkeypatch):
    one = sector(0, tmp_path)
    layers_keep(DriveQueue(settings), [one], pool, monkeypatch)
    rates_set(settings, hours=1)
    queue = DriveQueue(settings)

    with queue.coming(SMALL) as label, pytest.raises(TicketTooOld, match=r"about 0\.5 h, .* for 0\.1 h"):
        label(**late(one, left_s=360))
    with queue.coming(SMALL) as label:
        label(**late(one, left_s=2700))


def test_size_of_batches_is_chosen_anew_only_while_none_is_on_the_drives(
    tmp_path, settings, pool, monkeypatch
):
    def measured(best):
        pages = tuple(
            PagesMeasured(sectors=size, reads_s=10**6, nodes_s=10**7 if size == best else 10)
            for size in (16, 32, 64, 128)
        )
        found = DrivesMeasured(drives=settings.drives, room_bytes=1 << 50, pages=pages)
        measured_write(tmp_path / "host", found)

    picking = msgspec.structs.replace(settings, sectors=0, sector_bytes=2048)
    queue = DriveQueue(picking)
    assert (queue.size, size_read(queue.folder)) == (BatchSize(sectors=128, why=UNMEASURED),) * 2
    measured(64)
    sizes = batches(monkeypatch)

    with monkeypatch.context() as patch:
        patch.setattr(drive_queue, "layer_files_write", lambda *_, **__: 1 / 0)
        together(queue, [sector(number, tmp_path) for number in range(3)], pool)
    assert sizes == [3]
    assert queue.size == size_read(queue.folder) == BatchSize(sectors=64, why=BEST)
    measured(128)
    assert DriveQueue(picking).size.sectors == 64, "its batch goes on with the extents of that size"
    assert (
        together(DriveQueue(picking), [sector(number, tmp_path) for number in range(3)], pool) == [None] * 3
    )
    queue = DriveQueue(picking)
    assert queue.size.sectors == 128
    queue._within_s = 1e-9  # as a sector has said whose ticket is too short for any batch
    queue._size_choose()
    assert queue.size == BatchSize(sectors=16, why=LEAST)
    assert DriveQueue(settings).size == BatchSize(sectors=16, why=SET), "the file's word wins"
