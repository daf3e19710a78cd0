"""A batch with layers on drives equals each sector alone, through kills, wrong reads and failing drives."""

from __future__ import annotations

import errno
import json
import os
import signal
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from poolsite.wire.page_shape import LANES, PARENTS, shape_of
from tests.naive import labels as naive
from tests.unit.workers.processors.sealing import digest, golden
from workers.kernels import lanes, page_plan
from workers.kernels.cpu import FORCE_VARIABLE
from workers.processors import page_audit, page_batch, page_reader
from workers.processors.errors import BadFile, BadInput, PermanentError
from workers.processors.labelling import LabelledSector, label_sectors
from workers.processors.page_batch import PageBatch
from workers.processors.page_layers import layer_files_write
from workers.processors.page_reader import RingReader, ThreadReader, reader_of
from workers.processors.page_stripes import DamagedChunk
from workers.processors.parent_cache import parents_of
from workers.processors.pc1 import sealed_begin
from workers.processors.pc2 import seal_trees
from workers.processors.sector_record import parameters_of, sector_files
from workers.processors.tree_d import ZERO_SOURCE, tree_d_build
from workers.storage.checksums import Checksums
from workers.storage.files import NotEnoughSpace
from workers.storage.mapped import resident_bytes
from workers.storage.page_drives import FILE_NAME, NotOurDrive, drives_open
from workers.storage.sector import SectorFiles

PARAMETERS = parameters_of(2048, "V1_1", None)
DRIVES = 3
STORE = "5" * 32


def ids_of(sectors):
    return [sha256(bytes([sector])).digest()[:31] + b"\0" for sector in range(sectors)]


class Store:
    """Drives in folders, and the file of one batch."""

    def __init__(self, folder):
        self.paths = [folder / f"drive-{number}" for number in range(DRIVES)]
        for path in self.paths:
            path.mkdir()
            (path / FILE_NAME).touch()
        self.state = folder / "batch.json"
        self.drives: Any = None

    def batch(self, sectors):
        extent = shape_of(PARAMETERS, sectors, DRIVES).extent_bytes
        if self.drives is None:
            self.drives = drives_open(
                self.paths, store=STORE, extent_bytes=extent, is_new=not self.state.exists()
            )
        return PageBatch(PARAMETERS, ids_of(sectors), self.drives, self.state)

    def close(self):
        if self.drives is not None:
            self.drives.close()
        self.drives = None

    def flip(self, batch, layer, chunk, at=5):
        """Flip a bit of a stripe on its drive."""
        with (self.paths[chunk % DRIVES] / FILE_NAME).open("r+b") as file:
            start = self.drives.extent_start(batch.extents[layer - 1]) + batch.shape.stripe_start(chunk) + at
            file.seek(start)
            byte = file.read(1)[0]
            file.seek(start)
            file.write(bytes([byte ^ 1]))
            os.fsync(file.fileno())


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path)
    yield made
    made.close()


def layers_of(batch):
    """Read all layers: [layer][sector] bytes."""
    shape = batch.shape
    layers: list[list[bytes]] = []
    for layer in range(1, shape.layers + 1):
        chunks = [batch.chunk_read(layer, chunk).copy() for chunk in range(shape.steps)]
        nodes = np.concatenate(chunks).reshape(shape.nodes, shape.lanes, 32)
        layers.append([nodes[:, sector].tobytes() for sector in range(shape.sectors)])
    return layers


def expected(sectors):
    """Make the same by hashlib, each sector alone."""
    parents = parents_of(PARAMETERS).tolist()
    layers: list[list[bytes]] = [[] for _ in range(PARAMETERS.layers)]
    for replica_id in ids_of(sectors):
        previous: list[bytes] = []
        for layer in range(1, PARAMETERS.layers + 1):
            previous = naive.layer_labels(replica_id, layer, parents=parents, previous=previous)
            layers[layer - 1].append(b"".join(previous))
    return layers


SEVENTEEN = expected(17)


@pytest.mark.parametrize("forced", ["", "portable"])
@pytest.mark.parametrize("sectors", [1, 17, 128])
def test_labels_equal_those_of_each_sector_alone(store, sectors, forced, monkeypatch):
    monkeypatch.setenv(FORCE_VARIABLE, forced)
    batch = store.batch(sectors)

    batch.run()

    assert layers_of(batch) == (SEVENTEEN if sectors == 17 else expected(sectors))
    assert batch.reads > 0
    batch.close()


def test_sixteen_lanes_and_four_streams_make_the_same_pages(store, monkeypatch):
    for threads in ("1", "2", "4", "8"):
        monkeypatch.setenv("POOLSITE_KERNEL_THREADS", threads)
        batch = store.batch(17)
        batch.run()
        assert layers_of(batch) == SEVENTEEN
        batch.close()
        batch.remove()


def kill_itself(nodes, done, _total):
    if done >= nodes:
        os.kill(os.getpid(), signal.SIGKILL)


def test_killed_at_any_chunk_it_continues_at_the_checkpoint(store, monkeypatch):
    monkeypatch.setattr(page_batch, "CHECKPOINT_S", 0.0)
    steps = shape_of(PARAMETERS, 17, DRIVES).steps
    begun = []
    for kill_at in (1, 3, steps, steps + 4, steps + 5, 2 * steps - 1):
        child = os.fork()
        if not child:
            try:
                batch = store.batch(17)
                batch.run(progress=partial(kill_itself, kill_at * batch.shape.chunk))
            finally:
                os._exit(1)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        known = json.loads(store.state.read_text())
        begun.append((known["layer"] - 1) * steps + known["chunk"])
    batch = store.batch(17)

    batch.run()

    assert layers_of(batch) == SEVENTEEN
    assert begun == sorted(begun)
    assert begun[-1] >= 2 * steps - 3
    batch.close()


def test_what_was_torn_after_the_checkpoint_is_written_again(store, monkeypatch):
    monkeypatch.setattr(page_batch, "CHECKPOINT_S", 0.0)
    batch = store.batch(17)

    def stop(done, _):
        if done >= (batch.shape.steps + 5) * batch.shape.chunk:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batch.run(progress=stop)
    at = batch.position
    batch.close()
    for chunk in range(at.chunk, batch.shape.steps):
        store.flip(batch, at.layer, chunk)
    again = store.batch(17)
    assert again.position == at

    again.run()

    assert layers_of(again) == SEVENTEEN
    again.close()


class FaultyReader:
    """Spoils what is read of one page: as often as it says, or until its chunk is written again."""

    def __init__(self, batch, fault, *, times):
        self.batch, self.real, self.fault, self.times = batch, batch.memory.reader, fault, times
        self.page = None

    def read(self, requests, size, room, results):
        self.real.read(requests, size, room, results)
        if self.page is None and len(requests):
            self.page = tuple(requests[0, [page_plan.DRIVE, page_plan.OFFSET]])
        for at in np.flatnonzero((requests[:, [page_plan.DRIVE, page_plan.OFFSET]] == self.page).all(axis=1)):
            if self.times:
                self.times -= 1
                if self.fault is None:
                    own = self.batch.memory.slots[room].room
                    own[requests[at, page_plan.ADDRESS] - own.ctypes.data] ^= 1
                else:
                    results[at] = self.fault

    def close(self):
        self.real.close()


FAULTS = pytest.mark.parametrize("fault", [-errno.EIO, 100, 0, None], ids=["EIO", "short", "none", "flipped"])


@FAULTS
@pytest.mark.parametrize("times", [1, 2])
def test_a_wrong_read_is_repeated_or_its_chunk_made_again(store, fault, times):
    batch = store.batch(17)
    batch.memory.reader = faulty = FaultyReader(batch, fault, times=times)

    batch.run()

    assert faulty.times == 0
    assert layers_of(batch) == SEVENTEEN
    batch.close()


@FAULTS
def test_what_cannot_be_made_again_is_named(store, fault):
    batch = store.batch(17)
    batch.memory.reader = FaultyReader(batch, fault, times=1000)

    with pytest.raises(DamagedChunk, match=r"drive \d \(.*drive-\d\), layer 1, chunk \d of 8: ") as named:
        batch.run()

    text = {-errno.EIO: "Input/output error", None: "not what was written"}.get(fault, "bytes of 1024 read")
    assert text in str(named.value)
    batch.close()


class FaultyMemory:
    """Flips a bit of pages between their labels and their checksums, so often in all."""

    def __init__(self, batch, *, layer, nodes, times):
        self.batch, self.layer, self.nodes, self.times = batch, layer, nodes, times
        self.write = batch._write

    def __call__(self, layer, chunk):
        shape = self.batch.shape
        for node in self.nodes:
            if self.times and (layer, chunk) == (self.layer, node // shape.chunk):
                self.times -= 1
                self.batch.memory.ring[node % shape.window * shape.page_bytes + 7] ^= 1
        self.write(layer, chunk)


@pytest.fixture
def audited_whole(monkeypatch):
    monkeypatch.setattr(page_audit, "AUDITED_LEAST", PARAMETERS.nodes)


@pytest.mark.usefixtures("audited_whole")
@pytest.mark.parametrize("layer", [1, 2])
def test_wrong_labels_with_right_checksums_are_found_and_labelled_again(store, layer, monkeypatch):
    """Those before the one that is found, too."""
    batch = store.batch(17)
    fault = FaultyMemory(batch, layer=layer, nodes=[3, 29, 60], times=3)
    monkeypatch.setattr(batch, "_write", fault)

    batch.run()

    assert fault.times == 0
    assert layers_of(batch) == SEVENTEEN
    batch.close()


@pytest.mark.usefixtures("audited_whole")
def test_a_machine_that_labels_wrongly_again_is_named(store, monkeypatch):
    batch = store.batch(17)
    monkeypatch.setattr(batch, "_write", FaultyMemory(batch, layer=2, nodes=[29], times=9))

    with pytest.raises(PermanentError, match=r"labels wrongly: node \d+ of layer 2"):
        batch.run()

    assert not batch.is_labelled
    batch.close()


def test_memory_of_labels_is_released_before_the_trees(store):
    batch = store.batch(17)
    with_labels = batch.memory_bytes()
    batch.run()
    assert batch.memory_bytes() < with_labels / 4
    store.flip(batch, 1, 2)

    pages = batch.repairing(partial(batch.chunk_read, 1, 2)).copy()

    assert batch.memory_bytes() == with_labels
    own = pages.reshape(batch.shape.chunk, batch.shape.lanes, 32)[:, 3].tobytes()
    assert own == SEVENTEEN[0][3][len(own) * 2 : len(own) * 3]
    batch.close()


def test_damage_on_the_drives_is_made_good_chunk_by_chunk(store, monkeypatch):
    """Damage of the layer before, of its checksums, and of the part of this layer that is in the ring."""
    monkeypatch.setattr(page_batch, "CHECKPOINT_S", 0.0)
    batch = store.batch(17)

    def stop(done, _):
        if done >= (batch.shape.steps + 6) * batch.shape.chunk:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batch.run(progress=stop)
    batch.close()
    store.flip(batch, 1, 2)
    store.flip(batch, 1, 3, at=batch.shape.pages_bytes)
    store.flip(batch, 2, 4)
    again = store.batch(17)

    again.run()

    assert layers_of(again) == SEVENTEEN
    again.close()


def test_pages_of_another_batch_are_no_pages_of_this_one(store):
    """A write that never reached its drive leaves what was there before, whole."""
    batch = store.batch(17)
    batch.run()
    batch.stripes.batch = bytes(16)

    with pytest.raises(DamagedChunk, match="not what was written"):
        batch.chunk_read(1, 0)

    batch.close()


def test_a_drive_that_lost_everything_is_named(store):
    batch = store.batch(17)
    batch.run()
    batch.close()
    store.close()
    (store.paths[1] / FILE_NAME).unlink()

    with pytest.raises(NotOurDrive, match=r"drive 2 is not mounted, or new: .* touch .*drive-1"):
        store.batch(17)


def test_a_batch_without_room_leaves_nothing(store, monkeypatch):
    real, calls = os.posix_fallocate, []

    def full(handle, start, size):
        calls.append(start)
        if len(calls) > DRIVES + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle, start, size)

    store.drives = drives_open(
        store.paths,
        store=STORE,
        extent_bytes=shape_of(PARAMETERS, 17, DRIVES).extent_bytes,
        is_new=True,
    )
    before = [(path / FILE_NAME).stat().st_blocks for path in store.paths]
    monkeypatch.setattr(os, "posix_fallocate", full)

    with pytest.raises(NotEnoughSpace, match="drive 2 has no room"):
        store.batch(17)

    assert not store.state.exists()
    assert [(path / FILE_NAME).stat().st_blocks for path in store.paths] == before


def test_layers_give_their_room_back_and_another_batch_takes_it(store):
    batch = store.batch(17)
    before = (store.paths[0] / FILE_NAME).stat().st_blocks
    batch.run()
    first = list(batch.extents)

    batch.layer_release(1)
    other = PageBatch(PARAMETERS, ids_of(3), store.drives, store.state.with_name("other.json"))

    assert (store.paths[0] / FILE_NAME).stat().st_blocks < before + 2 * other.shape.extent_bytes // 512
    assert first[0] in other.extents
    assert first[1] not in other.extents
    other.close()
    batch.close()


def test_layers_become_the_files_of_each_sector(store, tmp_path):
    """The golden sector lies between others; a sector that was aborted is left out."""
    case = golden("seal_2k_v1_1")
    ids = [*ids_of(2), bytes.fromhex(case["replica_id"]), *ids_of(1)]
    shape = shape_of(PARAMETERS, 4, DRIVES)
    store.drives = drives_open(store.paths, store=STORE, extent_bytes=shape.extent_bytes, is_new=True)
    batch = PageBatch(PARAMETERS, ids, store.drives, store.state)
    batch.run()
    files = [SectorFiles(PARAMETERS, tmp_path / f"cache-{n}", tmp_path / f"sealed-{n}") for n in range(3)]
    for own in files:
        own.cache.mkdir()
    known = [layer["sha256"] for layer in case["layers"]]
    store.flip(batch, 2, 4)

    layer_files_write(batch, [*files, None])

    assert [digest(files[2].layer(layer)) for layer in (1, 2)] == known
    assert [Checksums(files[2].cache).known(files[2].layer(layer)) for layer in (1, 2)] == known
    assert batch.extents == [-1, -1]
    layer_files_write(batch, [*files, None])  # again, after a kill: all is there
    batch.close()


def test_a_batch_whose_room_was_released_writes_to_no_drive(store):
    """Released room may be another batch's, or the header's, when the batch is opened again after a kill."""
    batch = store.batch(17)
    batch.run()
    for layer in (1, 2):
        batch.layer_release(layer)
    batch.close()
    before = [(path / FILE_NAME).read_bytes() for path in store.paths]
    again = store.batch(17)

    again.run()
    with pytest.raises(BadFile, match="layer 1 of the batch is on the drives no more"):
        again.repairing(lambda: again.chunk_read(1, 0))

    assert [(path / FILE_NAME).read_bytes() for path in store.paths] == before
    again.close()


def sealed(files, replica_id):
    """Return comm_r of an empty sector whose layers are there."""
    comm_d = tree_d_build(files, ZERO_SOURCE)
    sealed_begin(LabelledSector(files, replica_id), ZERO_SOURCE)
    return seal_trees(files, comm_d=comm_d)


def test_a_batch_of_128_killed_midway_has_the_comm_r_of_each_alone(store, tmp_path, monkeypatch):
    monkeypatch.setattr(page_batch, "CHECKPOINT_S", 0.0)
    child = os.fork()
    if not child:
        try:
            batch = store.batch(128)
            batch.run(progress=partial(kill_itself, (batch.shape.steps + 4) * batch.shape.chunk))
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    batch = store.batch(128)
    assert batch.position.layer == 2
    batch.run()
    assert layers_of(batch) == expected(128)
    chosen = (0, 15, 16, 127)
    paged, alone = (
        {number: sector_files(PARAMETERS, tmp_path / f"{word}-{number}") for number in chosen}
        for word in ("paged", "alone")
    )
    for files in (*paged.values(), *alone.values()):
        files.cache.mkdir(parents=True)
    ids = [batch.replica_ids[number] for number in chosen]

    layer_files_write(batch, [paged.get(number) for number in range(128)])
    label_sectors(list(map(LabelledSector, alone.values(), ids)))

    for number, replica_id in zip(chosen, ids, strict=True):
        assert sealed(paged[number], replica_id) == sealed(alone[number], replica_id)
    batch.close()


def test_the_memory_that_a_host_is_asked_for_is_that_of_the_batch(store):
    batch = store.batch(17)

    room = batch.shape.stripe_bytes + batch.shape.tail_bytes

    assert batch.memory_bytes() == batch.shape.memory_bytes + room
    assert (LANES, PARENTS) == (lanes.WIDE, page_plan.PARENTS)
    batch.close()


@pytest.mark.parametrize("sectors", [0, 129])
def test_a_batch_has_at_most_as_many_sectors_as_a_page(store, sectors):
    with pytest.raises(BadInput, match=f"{sectors} sectors in a batch"):
        PageBatch(PARAMETERS, [bytes(32)] * sectors, store.drives, store.state)


def test_the_file_of_another_batch_is_refused(store):
    store.batch(17).close()

    with pytest.raises(BadInput, match="another batch"):
        store.batch(16)

    store.state.write_text("{")
    with pytest.raises(BadFile, match="is lost"):
        store.batch(17)


@pytest.mark.parametrize("kind", [RingReader, ThreadReader])
def test_readers_read_the_same_and_tell_what_they_could_not(tmp_path, kind):
    paths = [tmp_path / name for name in ("a", "b", "c", "d")]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number + 1]) * 8192)
    handles = [os.open(path, os.O_RDONLY) for path in paths]
    room = resident_bytes(512 * 600)
    requests = np.zeros((600, page_plan.REQUEST), np.int64)
    requests[:, page_plan.DRIVE] = np.arange(600) % 4
    requests[:, page_plan.OFFSET] = np.arange(600) % 16 * 512
    requests[:, page_plan.ADDRESS] = room.ctypes.data + 512 * np.arange(600)
    requests[7, page_plan.OFFSET], requests[8, page_plan.OFFSET], requests[9, page_plan.OFFSET] = (
        8192,
        8000,
        -4,
    )
    results = np.zeros(600, np.int64)
    try:
        reader = kind(handles, [room]) if kind is RingReader else kind(handles)
    except PermissionError:  # as in a container: threads read there
        assert isinstance(reader_of(handles, [room]), ThreadReader)
        return

    for _ in range(2):
        reader.read(requests, 512, 0, results)

        wanted = np.full(600, 512)
        wanted[7:10] = 0, 192, -errno.EINVAL
        assert results.tolist() == wanted.tolist()
        rows = room.reshape(600, 512)
        good = np.delete(np.arange(600), [7, 8, 9])
        assert (rows[good] == (good % 4 + 1)[:, None]).all()
        room[:] = 0
    reader.close()
    for handle in handles:
        os.close(handle)


def test_a_ring_that_takes_nothing_ends_with_errors(tmp_path):
    (tmp_path / "a").write_bytes(bytes(4096))
    room, results = resident_bytes(512 * 300), np.full(300, 512)
    requests = np.zeros((300, page_plan.REQUEST), np.int64)
    requests[:, page_plan.ADDRESS] = room.ctypes.data + 512 * np.arange(300)
    with (tmp_path / "a").open("rb") as file:
        try:
            reader = RingReader([file.fileno()], [room])
        except PermissionError:  # as in a container: threads read there
            assert isinstance(reader_of([file.fileno()], [room]), ThreadReader)
            return
        os.dup2(file.fileno(), reader._rings[0].handle)

        reader.read(requests, 512, 0, results)

        assert (results < 0).all()
        reader.close()


def test_threads_read_where_io_uring_is_forbidden(tmp_path, monkeypatch):
    def forbidden(_depth):
        raise OSError(errno.EPERM, "io_uring_setup")

    monkeypatch.setattr(page_reader, "_setup", forbidden)
    reader = reader_of([0], [resident_bytes(4096)])

    assert isinstance(reader, ThreadReader)
    reader.close()


def test_threads_read_where_io_uring_reads_registered_memory_only(tmp_path, monkeypatch):
    """Linux 5.4 and 5.5, as of Ubuntu 20.04."""
    real = page_reader._setup

    def older(depth):
        handle, parameters = real(depth)
        parameters[5] &= 0b111
        return handle, parameters

    monkeypatch.setattr(page_reader, "_setup", older)
    reader = reader_of([0], [resident_bytes(4096)])
    reader.close()

    assert isinstance(reader, ThreadReader)
