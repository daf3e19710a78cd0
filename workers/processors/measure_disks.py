"""`python -m workers measure-disks`: how many random reads a second drives make, all of them together.

PC1 with its layers on drives (docs/performance.md) needs 8.7 reads for each node of a batch.  A folder gets a
file, which is removed afterwards; a device is only read.  With --all, for batches of every size, with the
labels and trees that the cores make; it is kept in the host's folder, and its page in the console shows it.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryFile
from typing import Final

import numpy as np

from poolsite.filecoin.merkle import BASE_ARITY
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.wire.batch_model import (
    CORES,
    MEMORY,
    READS,
    ROOM,
    TREES,
    BatchFigures,
    BatchMachine,
    batch_figures,
    reads_hours,
)
from poolsite.wire.hardware import DrivesMeasured, PagesMeasured
from poolsite.wire.page_shape import BATCH_MAX
from workers.gpus import gpus_here
from workers.kernels import field, labels, page_plan
from workers.kernels.lanes import NODES
from workers.processors.batch_rates import measured_write
from workers.processors.card_trees import TRIED_LEVELS, tree_maker
from workers.processors.page_batch import sectors_a_thread
from workers.processors.page_reader import RingReader, reader_of
from workers.processors.parallel import thread_count
from workers.processors.terminal import error_text
from workers.storage.files import space_check
from workers.storage.mapped import resident_bytes
from workers.storage.memory import memory_bytes
from workers.storage.page_drives import FILE_NAME
from workers.storage.sector import tree_nodes
from workers.storage.sizes import size_text

SECONDS: Final = 10.0
FILE_BYTES: Final = 1 << 30
"""Written to each folder; far more than a drive's own cache gives back."""
PART_BYTES: Final = 1 << 22
ROUND_READS: Final = 1 << 13
"""Reads of a round on each drive: a chunk of 4,096 nodes takes four times as many of all."""
SIZES: Final = (16, 32, 64, BATCH_MAX)
"""Sectors of a batch that pages are made for."""
LABELS_S: Final = 1.0
"""Most seconds for which the labels of each size, and trees, are measured."""
LABEL_NODES: Final = 512
"""Nodes that are labelled between two looks at the clock."""
BOUND_BY: Final = {
    MEMORY: "this machine's memory does not hold it",
    ROOM: "no room for one batch",
    READS: "reads",
    CORES: "cores",
    TREES: "trees",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """Measured reads of all drives together."""

    drives: int
    page_bytes: int
    reads_s: float
    cpu_us: float
    """CPU time of this process per read, microseconds."""
    failed: int
    is_ring: bool
    """Whether io_uring reads; else threads do."""

    @property
    def hours(self) -> float:
        """Return how long the reads of a batch's PC1 take at 32 GiB."""
        return reads_hours(self.reads_s)


def drives_measure(paths: Sequence[Path], *, page_bytes: int, seconds: float, file_bytes: int) -> Measured:
    """Read random pages of all drives.  Raises OSError, NotEnoughSpace."""
    with ExitStack() as stack:
        handles, pages = [], []
        for path in paths:
            if path.is_block_device():
                handle = os.open(path, os.O_RDONLY | os.O_DIRECT)
                stack.callback(os.close, handle)
            else:
                handle = _file_fill(stack, path, file_bytes)
            handles.append(handle)
            pages.append(os.lseek(handle, 0, os.SEEK_END) // page_bytes)
            if not pages[-1]:
                raise OSError(f"{path} has no page of {page_bytes} bytes")
        many = ROUND_READS * len(handles)
        room, results = resident_bytes(many * page_bytes), np.zeros(many, np.int64)
        room[:] = 0
        reader = reader_of(handles, [room])
        stack.callback(reader.close)
        numbers = np.random.default_rng()
        requests = np.zeros((many, page_plan.REQUEST), np.int64)
        requests[:, page_plan.DRIVE] = np.arange(many) % len(handles)
        requests[:, page_plan.ADDRESS] = room.ctypes.data + page_bytes * np.arange(many)
        reader.read(requests[:1], page_bytes, 0, results[:1])  # compiles or loads the kernel
        done = failed = 0
        took = cpu = 0.0
        while took < seconds:
            requests[:, page_plan.OFFSET] = page_bytes * numbers.integers(
                0, np.array(pages)[requests[:, page_plan.DRIVE]]
            )
            started, cpu_before = time.monotonic(), time.process_time()
            reader.read(requests, page_bytes, 0, results)
            took, cpu = took + time.monotonic() - started, cpu + time.process_time() - cpu_before
            done, failed = done + many, failed + int((results != page_bytes).sum())
        is_ring = isinstance(reader, RingReader)
        return Measured(len(handles), page_bytes, done / took, cpu / done * 1e6, failed, is_ring)


def labels_measure(sectors: int, *, seconds: float) -> float:
    """Return how many nodes of so many sectors all cores label in a second, their parents in memory."""
    stride, many = NODES // 16 * sectors, sectors_a_thread(sectors)
    ring = resident_bytes(LABEL_NODES * stride)
    room = resident_bytes(LABEL_NODES * page_plan.PARENTS * stride)
    room[::4096] = 1
    addresses = room.ctypes.data + stride * np.arange(LABEL_NODES * page_plan.PARENTS).reshape(
        LABEL_NODES, page_plan.PARENTS
    )
    addresses[1:, 0] = ring.ctypes.data + stride * np.arange(LABEL_NODES - 1)  # the node before
    ids = np.arange(8 * many, dtype=np.uint32).reshape(many, 8)
    kernel, groups = labels.rows_of(many), range(sectors // many)

    def work(group: int) -> None:
        kernel(ids, 2, LABEL_NODES, addresses, ring.ctypes.data, stride, NODE_BYTES * many * group)

    with ThreadPoolExecutor(min(thread_count(), len(groups))) as threads:
        list(threads.map(work, groups))  # compiles or loads the kernel
        started, nodes = time.monotonic(), 0
        while not nodes or time.monotonic() - started < seconds:
            list(threads.map(work, groups))
            nodes += LABEL_NODES
        return nodes / (time.monotonic() - started)


def columns_measure(*, seconds: float) -> float:
    """Return how many columns of 32 GiB a second trees are made of, by the cores or by their card.

    Each has its hash, its node of the replica, and the nodes over both.
    """
    maker = tree_maker()
    size = BASE_ARITY ** maker.levels(TRIED_LEVELS)
    below_modulus = np.uint64((1 << 61) - 1)
    rows = [np.random.default_rng(row).integers(0, below_modulus, (size, 4), np.uint64) for row in range(11)]

    def work(_: int) -> None:
        tree = np.empty((tree_nodes(size, BASE_ARITY), 4), np.uint64)
        maker.columns_grow(rows, tree, size)
        field.add_rows(rows[-1], rows[0], tree[:size])
        maker.grow(tree, size)

    threads = range(thread_count())
    with ThreadPoolExecutor(len(threads)) as pool:
        list(pool.map(work, threads))  # compiles or loads the kernels
        started, columns = time.monotonic(), 0
        while not columns or time.monotonic() - started < seconds:
            list(pool.map(work, threads))
            columns += size * len(threads)
        return columns / (time.monotonic() - started)


def _file_fill(stack: ExitStack, folder: Path, size: int) -> int:
    """Return a file of random bytes on a folder's drive, without a name: none is left after a kill."""
    space_check(folder, size)
    file = stack.enter_context(TemporaryFile(dir=folder))  # noqa: SIM115  # the caller's stack closes it
    part = np.random.default_rng().bytes(PART_BYTES)
    for _ in range(0, size, PART_BYTES):
        file.write(part)
    file.flush()
    os.fsync(file.fileno())
    handle = os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDONLY | os.O_DIRECT)
    stack.callback(os.close, handle)
    return handle


def main(arguments: Sequence[str]) -> int:
    """Measure the drives; 1 if one cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m workers measure-disks", description=__doc__)
    parser.add_argument("drive", nargs="+", type=Path, help="a folder on each drive, or its device")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--sectors", type=int, choices=SIZES, default=BATCH_MAX, help="of a batch")
    parser.add_argument("--all", action="store_true", help="for batches of every size, and keep it")
    parser.add_argument("--dir", type=Path, default=Path("var/sealer"), help="the host's own folder")
    parser.add_argument("--endurance", type=float, default=0.0, metavar="TB", help="TBW of each drive")
    parser.add_argument("--file-size", type=int, default=FILE_BYTES >> 20, metavar="MiB", help="in a folder")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args(arguments)
    try:
        room = len(wanted.drive) * min(map(_room_bytes, wanted.drive))
        measured = _sizes_measure(wanted)
    except OSError as error:
        sys.stderr.write(f"measure-disks: {error_text(error)}\n")
        return 1
    columns_s = int(columns_measure(seconds=min(LABELS_S, wanted.seconds))) if wanted.all else 0
    machine = BatchMachine(
        cpus=thread_count(), ram_bytes=memory_bytes(), has_card=bool(gpus_here()), columns_s=columns_s
    )
    endurance = wanted.endurance * 1e12 * len(wanted.drive)
    for page, found in measured:
        figures = batch_figures(
            page.sectors,
            page,
            drives=found.drives,
            room_bytes=room,
            machine=machine,
            endurance_bytes=endurance,
        )
        if wanted.json:
            fields = asdict(found) | (asdict(figures) if wanted.all else {})
            sys.stdout.write(json.dumps(fields) + "\n")
        else:
            sys.stdout.write(_text(found, page.sectors) + _figures_text(figures, room))
    if failed := sum(found.failed for _, found in measured):
        sys.stderr.write(f"measure-disks: {failed} reads failed\n")
    elif wanted.all:
        whole = DrivesMeasured(
            drives=tuple(str(path) for path in wanted.drive),
            at=int(time.time()),
            room_bytes=room,
            endurance_bytes=int(endurance),
            columns_s=columns_s,
            pages=tuple(page for page, _ in measured),
        )
        _keep(wanted.dir, whole)
    return int(failed > 0)


def _sizes_measure(wanted: argparse.Namespace) -> list[tuple[PagesMeasured, Measured]]:
    """Measure pages of one size, or of each: labels of the cores only then.  Raises OSError."""
    sizes = SIZES if wanted.all else (wanted.sectors,)
    seconds, measured = wanted.seconds / len(sizes), []
    for sectors in sizes:
        found = drives_measure(
            wanted.drive,
            page_bytes=NODES // 16 * sectors,
            seconds=seconds,
            file_bytes=max(wanted.file_size << 20, PART_BYTES),
        )
        nodes_s = labels_measure(sectors, seconds=min(LABELS_S, seconds)) if wanted.all else 0.0
        page = PagesMeasured(
            sectors=sectors,
            reads_s=int(found.reads_s),
            read_ns=int(1000 * found.cpu_us),
            nodes_s=int(nodes_s),
        )
        measured.append((page, found))
    return measured


def _keep(folder: Path, measured: DrivesMeasured) -> None:
    """Write what was measured to the folder of a host; say why not if there is none."""
    try:
        if not folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, "there is no such folder of a host (--dir)", str(folder))
        measured_write(folder, measured)
    except OSError as error:
        sys.stderr.write(f"measure-disks: not kept for the console: {error_text(error)}\n")


def _room_bytes(path: Path) -> int:
    """Return the bytes that a batch may take of a drive: a device, or in a folder what is free or pages'."""
    if path.is_block_device():
        with path.open("rb") as device:
            return device.seek(0, os.SEEK_END)
    pages = path / FILE_NAME
    return disk_usage(path).free + (512 * pages.stat().st_blocks if pages.exists() else 0)


def _figures_text(figures: BatchFigures, room: int) -> str:
    needs, has = size_text(figures.needs_bytes), size_text(room)
    lines = [f"  {size_text(figures.memory_bytes)} of memory; {needs} of drives, of which {has} are free"]
    if not figures.per_day:
        lines.append(f"  {BOUND_BY[figures.binds]}")
    else:
        days = "not known (--endurance)" if figures.days is None else f"{figures.days:,.0f} days"
        by = BOUND_BY.get(figures.binds, BOUND_BY[READS])
        lines.append(
            f"  at most {figures.per_day:,.0f} sectors a day by {by}; life of the drives at that: {days}"
        )
    return "\n".join(lines) + "\n"


def _text(found: Measured, sectors: int) -> str:
    by = "io_uring" if found.is_ring else "threads (io_uring is forbidden here)"
    many, size = f"{found.drives} drive" + "s" * (found.drives > 1), size_text(found.page_bytes)
    rate = f"{found.reads_s:,.0f} reads a second of {size}, {found.cpu_us:.2f} us of CPU each"
    last = f"reads of PC1 of {sectors} sectors of 32 GiB: {found.hours:,.1f} hours at this rate"
    return f"{many} by {by}: {rate}\n{last}\n"
