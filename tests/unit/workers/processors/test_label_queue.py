"""Sectors of one graph are labelled side by side, each with its own request, files and error."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from poolsite.filecoin.porep.parameters import seal_parameters
from tests.unit.workers.processors.sealing import digest, sealing
from workers.kernels import labels as label_kernel
from workers.processors import label_queue, labelling, tree_d
from workers.processors.label_queue import LabelQueue
from workers.processors.labelling import LabelledSector, label_sectors, memory_needed
from workers.processors.parallel import THREADS_VARIABLE
from workers.storage.files import DamagedFile
from workers.storage.sector import SectorFiles

SMALL, LARGER = seal_parameters(5), seal_parameters(6)


class Labelling:
    """Stands where `label_sectors` does; notes the batches and waits to be let go on."""

    def __init__(self, *, is_held: bool = False) -> None:
        self.batches: list[list[bytes]] = []
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Event()
        self.damaged: set[bytes] = set()
        if not is_held:
            self.may_end.set()

    def __call__(self, sectors: Sequence[LabelledSector], *, progress: Callable[[int, int], None]) -> None:
        self.batches.append([sector.replica_id for sector in sectors])
        self.begun.release()
        assert self.may_end.wait(60)
        for sector in sectors:
            if sector.replica_id in self.damaged:
                raise DamagedFile(f"of sector {sector.replica_id[0]}")
        progress(1, 1)


def sector(number: int, folder: Path, *, parameters: Any = SMALL) -> LabelledSector:
    files = SectorFiles(parameters, folder / f"cache-{number}", folder / f"sealed-{number}")
    return LabelledSector(files, bytes([number]) * 32)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as made:
        yield made


@pytest.fixture
def one_core(monkeypatch):
    monkeypatch.setenv(THREADS_VARIABLE, "1")


def together(queue, sectors, pool):
    """Announce all sectors, then let each stand in line from a thread of its own; gives their errors."""
    arrived = threading.Barrier(len(sectors))

    def stage(one):
        with queue.coming(one.files.parameters) as label:
            arrived.wait(60)
            label(one)

    futures = [pool.submit(stage, one) for one in sectors]
    return [future.exception(60) for future in futures]


@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (2, [2]), (3, [2, 1]), (4, [4]), (6, [4, 2])])
def test_sectors_that_wait_together_are_labelled_together(tmp_path, pool, count, sizes):
    labelling = Labelling()

    errors = together(LabelQueue(labelling), [sector(n, tmp_path) for n in range(count)], pool)

    assert errors == [None] * count
    assert [len(batch) for batch in labelling.batches] == sizes
    labelled = {replica_id for batch in labelling.batches for replica_id in batch}
    assert labelled == {bytes([n]) * 32 for n in range(count)}


@pytest.mark.parametrize(("count", "sizes"), [(2, [1, 1]), (4, [2, 2])])
def test_two_cores_share_the_sectors(tmp_path, pool, monkeypatch, count, sizes):
    monkeypatch.setenv(THREADS_VARIABLE, "2")
    labelling = Labelling(is_held=True)
    sectors = [sector(n, tmp_path) for n in range(count)]
    done = pool.submit(together, LabelQueue(labelling), sectors, pool)

    both = [labelling.begun.acquire(timeout=60) for _ in range(2)]
    labelling.may_end.set()

    assert both == [True, True]
    assert done.result(60) == [None] * count
    assert [len(batch) for batch in labelling.batches] == sizes


@pytest.mark.usefixtures("one_core")
def test_a_lone_sector_waits_for_nobody(tmp_path):
    labelling = Labelling()

    with LabelQueue(labelling).coming(SMALL) as label:
        label(sector(1, tmp_path))

    assert labelling.batches == [[bytes([1]) * 32]]


@pytest.mark.usefixtures("one_core")
def test_another_graph_and_another_first_layer_are_labelled_apart(tmp_path, pool):
    labelling = Labelling()
    halfway = sector(3, tmp_path)
    halfway.files.cache.mkdir()
    first = label_kernel.first_label(halfway.replica_id, 1)
    halfway.files.layer(1).write_bytes(first + bytes(SMALL.sector_bytes - 32))
    sectors = [sector(1, tmp_path), sector(2, tmp_path, parameters=LARGER), halfway, sector(4, tmp_path)]

    together(LabelQueue(labelling), sectors, pool)

    alike = {frozenset(number[0] for number in batch) for batch in labelling.batches}
    assert alike == {frozenset({1, 4}), frozenset({2}), frozenset({3})}


@pytest.mark.usefixtures("one_core")
def test_a_sector_that_fails_before_its_labels_holds_nobody_up(tmp_path, pool):
    labelling = Labelling()
    queue = LabelQueue(labelling)
    with queue.coming(SMALL):  # ends without having stood in line, as by an error
        waiting = pool.submit(together, queue, [sector(1, tmp_path)], pool)
        assert not labelling.begun.acquire(timeout=0.05), "it waits for the one that comes"

    assert waiting.result(60) == [None]


@pytest.mark.usefixtures("one_core")
def test_a_damaged_sector_is_only_its_own_error(tmp_path, pool):
    labelling = Labelling()
    labelling.damaged = {bytes([2]) * 32}

    errors = together(LabelQueue(labelling), [sector(n, tmp_path) for n in range(4)], pool)

    assert [str(error) for error in errors] == ["None", "None", "of sector 2", "None"]
    assert sorted(map(len, labelling.batches)) == [1, 1, 1, 1, 4]


@pytest.mark.usefixtures("one_core")
def test_those_that_come_while_a_batch_runs_are_the_next_batch(tmp_path, pool):
    labelling = Labelling(is_held=True)
    queue = LabelQueue(labelling)
    running = pool.submit(together, queue, [sector(1, tmp_path)], pool)
    assert labelling.begun.acquire(timeout=60)
    later = pool.submit(together, queue, [sector(2, tmp_path), sector(3, tmp_path)], pool)
    while len(queue._waiting) < 2:
        assert not later.done()

    labelling.may_end.set()

    assert running.result(60) + later.result(60) == [None] * 3
    assert [len(batch) for batch in labelling.batches] == [1, 2]


@pytest.mark.usefixtures("one_core")
def test_a_sector_that_waits_for_a_core_says_that_it_goes_on(tmp_path, pool, monkeypatch):
    monkeypatch.setattr(label_queue, "WAIT_S", 0.01)
    labelling = Labelling(is_held=True)
    queue, told = LabelQueue(labelling), threading.Semaphore(0)
    running = pool.submit(together, queue, [sector(1, tmp_path)], pool)
    assert labelling.begun.acquire(timeout=60)

    with queue.coming(SMALL) as label:
        waiting = pool.submit(label, sector(2, tmp_path), progress=lambda *_: told.release())
        assert all(told.acquire(timeout=60) for _ in range(3)), (
            "its child would be killed, and what it labels for the first one lost"
        )
        labelling.may_end.set()
        waiting.result(60)

    assert running.result(60) == [None]


@pytest.mark.usefixtures("one_core")
def test_a_batch_is_as_large_as_memory_allows(tmp_path, pool, monkeypatch):
    monkeypatch.setattr(label_queue, "available_bytes", lambda: memory_needed(SMALL, 3))
    labelling = Labelling()

    together(LabelQueue(labelling), [sector(n, tmp_path) for n in range(4)], pool)

    assert [len(batch) for batch in labelling.batches] == [2, 2]


def prepared(folder: Path, count: int) -> list[Any]:
    """Several sectors of the golden data that differ by their number, up to their staged files."""
    made = []
    for number in range(count):
        (folder / str(number)).mkdir()
        one = sealing("2k_v1_1", 5, folder=folder / str(number))
        one.case["sector_id"] = number
        made.append((one, one.add_piece()))
    return made


@pytest.mark.usefixtures("one_core")
def test_sectors_side_by_side_get_the_labels_that_each_gets_alone(tmp_path, pool, monkeypatch):
    sectors, alone = prepared(tmp_path, 4), []
    (tmp_path / "alone").mkdir()
    for one, infos in prepared(tmp_path / "alone", 4):
        one.pc1(infos)
        alone.append([digest(one.cache / f"sc-02-data-layer-{layer}.dat") for layer in (1, 2)])
    counts, real, arrived = [], label_kernel.label_rows, threading.Barrier(4)
    build = tree_d.tree_d_build

    def noting(ids, *arguments, **options):
        counts.append(len(ids))
        return real(ids, *arguments, **options)

    def arrive(*arguments, **options):
        arrived.wait(60)
        return build(*arguments, **options)

    monkeypatch.setattr(label_kernel, "label_rows", noting)
    monkeypatch.setattr("workers.processors.pc1.tree_d_build", arrive)
    for future in [pool.submit(one.pc1, infos) for one, infos in sectors]:
        future.result(60)

    assert counts == [4, 4]
    for (one, _), known in zip(sectors, alone, strict=True):
        assert [digest(one.cache / f"sc-02-data-layer-{layer}.dat") for layer in (1, 2)] == known


class Killed(BaseException):
    """Stands for the end of the process."""


def test_a_batch_killed_in_its_second_layer_goes_on_there(tmp_path, monkeypatch):
    sectors, real = [sector(n, tmp_path) for n in range(4)], label_kernel.label_rows
    for one in sectors:
        one.files.cache.mkdir()

    def until_layer_2(*arguments, **options):
        if options["layer"] == 2:
            raise Killed
        return real(*arguments, **options)

    monkeypatch.setattr(label_kernel, "label_rows", until_layer_2)
    with pytest.raises(Killed):
        label_sectors(sectors)
    layers, reports = [], []

    def noting(ids, *arguments, **options):
        layers.append((options["layer"], len(ids)))
        return real(ids, *arguments, **options)

    monkeypatch.setattr(label_kernel, "label_rows", noting)
    monkeypatch.setattr(labelling, "PART_BYTES", 32)
    label_sectors(sectors, progress=lambda *report: reports.append(report))

    assert layers == [(2, 4)]
    assert reports.count((64, 128)) > 4 * 64, "after each part of the layers that were there"
    alone = dataclasses.replace(sectors[3], files=sector(9, tmp_path).files)
    alone.files.cache.mkdir()
    label_sectors([alone])
    assert digest(sectors[3].files.layer(2)) == digest(alone.files.layer(2))
