"""128 sectors of 8 MiB labelled as one batch with layers on four drives, killed on the way, and each alone.

Each layer's digest and comm_r of every sixteenth sector are compared, of a batch that went on after a kill;
memory, reads and labels are those of one without.  Drives are files beside the compiled kernels.
Run: python -m tests.bench page_batch
By hand, without the kill: python -m tests.bench.page_batch 512MiB 16 (its size; its sectors)
"""

from __future__ import annotations

import functools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from poolsite.wire.page_shape import BATCH_MAX, shape_of
from workers.kernels.cache import cache_base, cache_use
from workers.processors.bench_cases import parameters_of_size
from workers.processors.labelling import LabelledSector, label_sectors
from workers.processors.page_batch import PageBatch
from workers.processors.page_layers import layer_files_write
from workers.processors.pc1 import sealed_begin
from workers.processors.pc2 import seal_trees
from workers.processors.sector_record import sector_files
from workers.processors.terminal import size_argument
from workers.processors.tree_d import ZERO_SOURCE, tree_d_build
from workers.storage.checksums import Checksums
from workers.storage.page_drives import FILE_NAME, drives_open

DRIVES: Final = 4
MODEL_READS: Final = 5.07
"""Reads a node, the mean of two layers with this ring, by the parents alone."""
READS_MAX: Final = MODEL_READS * 1.02
RESIDENT_MIB: Final = 300.0
SEALED_EACH: Final = 16
GROUP: Final = 4
"""Sectors that are labelled alone, four streams together."""


@dataclass(frozen=True, slots=True)
class Size:
    """Size of the batch that is labelled: bytes of a sector, and number of sectors."""

    sector: int = 8 << 20
    sectors: int = BATCH_MAX

    def words(self) -> list[str]:
        """Return them as arguments of a command."""
        return [str(self.sector), str(self.sectors)]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, and its limit."""

    name: str
    value: float
    unit: str
    peer: float | None = None
    limit: float | None = None
    digits: int = 2


def cases() -> list[str]:
    """Name what is measured."""
    return ["unequal", "memory", "resident", "reads", "labels"]


def run(case: str) -> Figure:
    """Measure once; return one figure."""
    found = _measured()
    return {
        "unequal": Figure("layers or comm_r other than alone", found["unequal"], "sectors of 128", limit=0),
        "memory": Figure("ring, rooms, tables", found["share"], "of two layers", limit=0.1),
        "resident": Figure("peak resident memory", found["resident"], "MiB", limit=RESIDENT_MIB),
        "reads": Figure("reads a node", found["reads"], "reads", limit=READS_MAX),
        "labels": Figure("labels by CPU of the whole process", found["labels"], "M labels/s"),
    }[case]


def batch_of(folder: Path, size: Size) -> PageBatch:
    """Open the batch of a folder, or begin it."""
    parameters = parameters_of_size(size.sector)
    paths, state = [folder / f"drive-{number}" for number in range(DRIVES)], folder / "batch.json"
    for path in paths:
        path.mkdir(exist_ok=True)
        (path / FILE_NAME).touch()
    extent = shape_of(parameters, size.sectors, DRIVES).extent_bytes
    drives = drives_open(paths, store="bench", extent_bytes=extent, is_new=not state.exists())
    return PageBatch(parameters, replica_ids(size.sectors), drives, state)


def replica_ids(sectors: int) -> list[bytes]:
    """Return made-up replica ids."""
    return [sha256(bytes([sector])).digest()[:31] + b"\0" for sector in range(sectors)]


def child(folder: Path, size: Size, word: str) -> int:
    """Label; kill this process at three quarters of it with `begin`, else print what it took."""
    cache_use()
    batch = batch_of(folder, size)
    first = (batch.position.layer - 1) * batch.shape.nodes + batch.position.chunk * batch.shape.chunk

    def progress(done: int, total: int) -> None:
        if word == "begin" and done >= total * 3 // 4:
            os.kill(os.getpid(), signal.SIGKILL)

    started, cpu = time.monotonic(), time.process_time()
    batch.run(progress=progress)
    cpu, resident = time.process_time() - cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = {
        "first": first,
        "memory": batch.memory_bytes(),
        "resident": resident / 1024,
        "reads": batch.reads,
        "labelled": batch.labelled,
        "cpu": cpu,
        "wall": time.monotonic() - started,
    }
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


@functools.cache
def _measured() -> dict[str, Any]:
    size = Size()
    with _folder() as folder:
        told = _told(folder, size, "whole")
        batch = batch_of(folder, size)
        batch.close()
        batch.remove()
        batch.drives.close()
        begun = subprocess.run(_command(folder, size, "begin"), check=False)
        assert begun.returncode == -signal.SIGKILL
        again = _told(folder, size, "continue")
        assert again["first"] > 0, "it began anew after the kill"
        equal = _equal(folder, size)
    return _figures(size, told, equal) | {"resident": max(told["resident"], again["resident"])}


def _figures(size: Size, told: dict[str, Any], equal: int) -> dict[str, Any]:
    return {
        "unequal": size.sectors - equal,
        "share": told["memory"] / (2 * size.sector * size.sectors),
        "resident": told["resident"],
        "reads": told["reads"] / told["labelled"],
        "labels": told["labelled"] * size.sectors / told["cpu"] / 1e6,
    }


def by_hand(size: Size) -> dict[str, Any]:
    """Label once, without a kill; return the figures, and seconds of labels and of all comparisons."""
    with _folder() as folder:
        started = time.monotonic()
        told = _told(folder, size, "whole")
        labelled = time.monotonic()
        equal = _equal(folder, size)
        spans = {"labels_s": round(labelled - started), "compared_s": round(time.monotonic() - labelled)}
    return _figures(size, told, equal) | spans


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder on the disk of the compiled kernels."""
    base = cache_base().parent / "page-batch"
    base.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=base) as name:
        yield Path(name)


def _command(folder: Path, size: Size, word: str) -> list[str]:
    return [sys.executable, "-m", "tests.bench.page_batch", "child", str(folder), *size.words(), word]


def _told(folder: Path, size: Size, word: str) -> dict[str, Any]:
    done = subprocess.run(_command(folder, size, word), stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _equal(folder: Path, size: Size) -> int:
    """Return how many sectors have the same layers and the same comm_r from the batch and alone."""
    parameters, equal = parameters_of_size(size.sector), 0
    batch = batch_of(folder, size)
    own = [sector_files(parameters, folder / f"paged-{number}") for number in range(size.sectors)]
    for files in own:
        files.cache.mkdir(parents=True)
    layer_files_write(batch, own)
    batch.close()
    for first in range(0, size.sectors, GROUP):
        numbers = range(first, first + GROUP)
        alone = [sector_files(parameters, folder / f"alone-{number}") for number in numbers]
        for files in alone:
            files.cache.mkdir(parents=True)
        ids = batch.replica_ids[first : first + GROUP]
        label_sectors([LabelledSector(*pair) for pair in zip(alone, ids, strict=True)])
        for number, files in zip(numbers, alone, strict=True):
            sums = [_layer_sums(one, parameters.layers) for one in (own[number], files)]
            is_sealed = number % SEALED_EACH == 0
            pair = (own[number], files) if is_sealed else ()
            comm_rs = {_comm_r(one, batch.replica_ids[number]) for one in pair}
            equal += sums[0] == sums[1] and len(comm_rs) == int(is_sealed)
            for one in (own[number], files):
                for path in [one.sealed, *one.cache.iterdir()]:
                    path.unlink(missing_ok=True)
    return equal


def _layer_sums(files: Any, layers: int) -> list[str | None]:
    return [Checksums(files.cache).known(files.layer(layer)) for layer in range(1, layers + 1)]


def _comm_r(files: Any, replica_id: bytes) -> bytes:
    comm_d = tree_d_build(files, ZERO_SOURCE)
    sealed_begin(LabelledSector(files, replica_id), ZERO_SOURCE)
    return seal_trees(files, comm_d=comm_d)


if __name__ == "__main__":
    if sys.argv[1] == "child":
        _, _, given, *numbers, how = sys.argv
        sys.exit(child(Path(given), Size(*map(int, numbers)), how))
    sys.stdout.write(json.dumps(by_hand(Size(size_argument(sys.argv[1]), int(sys.argv[2])))) + "\n")
