"""Sectors that one host seals side by side, from ADD_PIECE to FINALIZE, beside the same ones each alone.

A host's own stages, journal, kernel child and store; no console, so nobody waits for a chain.  Memory is
limited by a control group and the disk by its size, as root; every comm_r is compared between the runs.
Run: python -m tests.bench.batch [--size 512MiB] [--count 16] [--memory 19GiB] [--disk 64GiB] [--way WAY …]
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec.structs import replace

from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.wire.job_inputs import SealInputs
from poolsite.wire.pipeline import STATE_OF_STAGE, Stage
from tests.bench.__main__ import machine
from tests.bench.rust_sector import SEED, TICKET
from workers.agent.journal import Work, journal_open
from workers.agent.stages import StageRunner
from workers.config import DEFAULT_SLOTS
from workers.kernels.cache import cache_base
from workers.processors.pool import ProcessorPool
from workers.processors.pool_child import ChildSpec
from workers.processors.terminal import size_argument
from workers.storage.sizes import size_text
from workers.storage.stores import Stores

MINER: Final = 1000
STAGES: Final = (Stage.ADD_PIECE, Stage.TREE_D, Stage.PC1, Stage.PC2, Stage.PERSIST, Stage.C1, Stage.FINALIZE)
KERNELS: Final = ("add_piece", "tree_d", "pc2", "c1")
PROOFS: Final = {
    size: int(number)
    for number in (
        RegisteredSealProof.STACKED_DRG_2KIB_V1_1,
        RegisteredSealProof.STACKED_DRG_8MIB_V1_1,
        RegisteredSealProof.STACKED_DRG_512MIB_V1_1,
    )
    for size in (seal_parameters(int(number)).sector_bytes,)
}
WAYS: Final = {
    "together on one core": (True, True),
    "alone on one core": (False, True),
    "together": (True, False),
    "alone": (False, False),
}
"""Whether all wait for PC1 at once, and whether PC1 has one core instead of all."""
GROUPS: Final = Path("/sys/fs/cgroup")


class Host:
    """One host that seals: its slots, and when each stage of each sector began and ended."""

    def __init__(self, folder: Path, *, size: int, pc1_slots: int, on_one_core: bool) -> None:
        around = ("taskset", "-c", str(max(os.sched_getaffinity(0)))) if on_one_core else ()
        specs = [
            ChildSpec(stages=KERNELS),
            ChildSpec(stages=("pc1",), around=around, environment={"POOLSITE_WORKER_THREADS": "1"})
            if on_one_core
            else ChildSpec(stages=("pc1",)),
        ]
        self.size = size
        self.pool = ProcessorPool(specs)
        stores = Stores(folder / "sealer", (folder / "store",))
        stores.open()
        journal_open(folder / "sealer")
        self.runner = StageRunner(folder=folder / "sealer", stores=stores, pool=self.pool)
        counts = {**{stage: DEFAULT_SLOTS.get(stage, 1) for stage in STAGES}, Stage.PC1: pc1_slots}
        self.slots = {stage: threading.Semaphore(count) for stage, count in counts.items()}
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}

    def seal(self, number: int) -> str:
        """Seal one sector; return its comm_r."""
        known = SealInputs(
            miner_id=MINER,
            number=number,
            seal_proof=PROOFS[self.size],
            sector_size=self.size,
            state="",
            stage="",
            ticket=bytes.fromhex(TICKET),
            seed=bytes.fromhex(SEED),
        )
        for stage in STAGES:
            known = replace(known, state=STATE_OF_STAGE[stage], stage=stage)
            with self.slots[stage]:
                self.began.setdefault(stage, time.monotonic())
                known = self.run(f"sector-{number}", known)
                self.ended[stage] = time.monotonic()
        assert known.comm_r is not None
        return known.comm_r.hex()

    def run(self, job: str, given: SealInputs) -> SealInputs:
        """Run one stage; return what is known afterwards."""
        work = Work(token=1, inputs=given)
        self.runner.journal.work_write(job, work)
        self.runner.run(job)
        failure = self.runner.journal.failure_read(job, work.id, token=1)
        outputs = self.runner.journal.outputs_read(job, work.id)
        if outputs is None:
            raise SystemExit(f"batch: {given.stage} of {job}: {failure}")
        made = {name: getattr(outputs, name) for name in ("pieces", "comm_d", "comm_r")}
        return replace(given, **{name: value for name, value in made.items() if value is not None})


def sealed(folder: Path, wanted: Namespace, way: str) -> dict[str, object]:
    """Seal all in one way; return seconds by stage, CPU seconds, bytes and the comm_r of each."""
    is_together, on_one_core = WAYS[way]
    slots = wanted.count if is_together else 1 if on_one_core else len(os.sched_getaffinity(0))
    host = Host(folder, size=wanted.size, pc1_slots=slots, on_one_core=on_one_core)
    host.pool.precompile()
    before, began = cpu_s(), time.monotonic()
    most, done = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(1.0):
            most = max(most, used_bytes(folder))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(wanted.count) as threads:
            names = list(threads.map(host.seal, range(1, wanted.count + 1)))
    finally:
        done.set()
        watcher.join()
        host.pool.close()
    took_s = time.monotonic() - began
    spans = {str(stage): round(host.ended[stage] - host.began[stage], 1) for stage in STAGES}
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return {
        "all_s": round(took_s, 1),
        "spans_s": spans,
        "cpu_s": round(cpu_s() - before, 1),
        "memory": peak,
        "disk": most,
        "comm_r": names,
    }


def cpu_s() -> float:
    """Return the CPU seconds of this process and of its children that ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def used_bytes(folder: Path) -> int:
    """Return what is used of a folder's file system."""
    room = os.statvfs(folder)
    return (room.f_blocks - room.f_bfree) * room.f_frsize


@contextmanager
def disk_of(size: int, beside: Path) -> Iterator[Path]:
    """A disk of a size."""
    image, folder = beside / "disk", beside / "mounted"
    folder.mkdir()
    with image.open("wb") as out:
        out.truncate(size)
    run("mkfs.ext4", "-q", "-m", "0", image)
    run("mount", "-o", "loop", image, folder)
    try:
        yield folder
    finally:
        run("umount", "-l", folder)


def run(*words: str | Path) -> None:
    """Run a command that root may."""
    subprocess.run(words, check=True)


@contextmanager
def memory_limited(limit: int) -> Iterator[None]:
    """Put this process, and what it starts, into a control group of its own."""
    first = GROUPS / "memory"
    root, files = (first, ("memory.limit_in_bytes",)) if first.is_dir() else (GROUPS, ("memory.max",))
    own = next(
        path
        for _, names, path in (
            line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()
        )
        if (names == "memory" if first.is_dir() else not names)
    )
    above = root / own.lstrip("/")
    group = above / f"batch-{os.getpid()}"
    group.mkdir()
    for name in files:
        (group / name).write_text(str(limit))
    (group / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        (above / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()


def child(arguments: list[str]) -> int:
    """Seal in one way; print the JSON."""
    wanted = parser().parse_args(arguments)
    [way] = wanted.way
    base = cache_base().parent / "batch"
    base.mkdir(parents=True, exist_ok=True)
    with ExitStack() as limits:
        folder = Path(limits.enter_context(TemporaryDirectory(dir=base)))
        if wanted.disk:
            folder = limits.enter_context(disk_of(wanted.disk, folder))
        if wanted.memory:
            limits.enter_context(memory_limited(wanted.memory))
        sys.stdout.write(json.dumps(sealed(folder, wanted, way)) + "\n")
    return 0


def parser() -> ArgumentParser:
    """Return what reads the command line."""
    reads = ArgumentParser(prog="python -m tests.bench.batch", description=__doc__)
    reads.add_argument("--size", type=size_argument, default="512MiB")
    reads.add_argument("--count", type=int, default=16)
    reads.add_argument("--memory", type=bytes_argument, default=0, help="limit, as 19GiB; 0: none")
    reads.add_argument("--disk", type=bytes_argument, default=0, help="size of its disk; 0: this one")
    reads.add_argument("--way", action="append", choices=WAYS, help="may be given again; all if none is")
    return reads


def bytes_argument(text: str) -> int:
    """Read whole GiB."""
    return int(text.removesuffix("GiB")) << 30


def main(arguments: list[str]) -> int:
    """Seal in each way, print what it took; 1 if the sectors differ."""
    if arguments[:1] == ["child"]:
        return child(arguments[1:])
    wanted = parser().parse_args(arguments)
    options = [f"--count={wanted.count}", f"--memory={wanted.memory >> 30}", f"--disk={wanted.disk >> 30}"]
    sys.stdout.write(f"{machine()}\n{wanted.count} sectors of {size_text(wanted.size)}\n")
    results = []
    for way in wanted.way or WAYS:
        sys.stderr.write(f"{way}, load {os.getloadavg()[0]:.1f} before\n")
        command = [sys.executable, "-m", "tests.bench.batch", "child", *options]
        command += [f"--size={wanted.size >> 20}MiB", f"--way={way}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
        sys.stdout.write(f"{way}: {line_of(results[-1])}\n")
        sys.stdout.flush()
    if any(one["comm_r"] != results[0]["comm_r"] for one in results):
        sys.stderr.write("batch: comm_r differs\n")
        return 1
    return 0


def line_of(result: dict[str, object]) -> str:
    """Return the figures of one way."""
    spans, memory, disk = result["spans_s"], result["memory"], result["disk"]
    assert isinstance(spans, dict)
    assert isinstance(memory, int)
    assert isinstance(disk, int)
    stages = ", ".join(f"{name} {seconds} s" for name, seconds in spans.items())
    return (
        f"all {result['all_s']} s, CPU {result['cpu_s']} s, resident at most {size_text(memory)},"
        f" disk at most {size_text(disk)}; from the first's begin to the last's end: {stages}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
