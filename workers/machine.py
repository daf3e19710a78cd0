"""`python -m workers machine`: what this machine has, and the slots that it can serve.

A host that joins and has no `config.toml` gets the one that this proposes.
Source: Linux Documentation/ABI (stable/sysfs-devices-node, testing/sysfs-devices-system-cpu).
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from poolsite.filecoin.porep.parameters import parameters_of_size
from poolsite.wire.hardware import Disk
from poolsite.wire.sums import labelling_bytes, memory_for_slots
from workers.config import DEFAULT_SLOTS
from workers.config_mistakes import BadConfig
from workers.gpus import gpus_here, read_text
from workers.host_arguments import sector_size_read
from workers.host_settings import ROOM_SECTORS, SECTOR_ROOM
from workers.processors.sealing_space import sealing_disk_bytes
from workers.storage.memory import memory_bytes
from workers.storage.sizes import size_text

SYSTEM: Final = Path("/sys/devices/system")
BLOCK_BYTES: Final = 4 << 20
SAMPLE_BYTES: Final = 512 << 20
"""What is written to a disk and read back, where it has ten times that free."""
SAMPLE_S: Final = 2.0
"""Longest time for either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a machine has."""

    cpus: int
    """Logical processors that this process may use."""
    numa_nodes: int
    l3_bytes: int
    """Of one L3 cache; 0 where the kernel does not tell."""
    l3_caches: int
    ram_bytes: int
    gpus: tuple[str, ...]
    disks: tuple[Disk, ...]


def machine_read(folders: tuple[Path, ...]) -> Machine:
    """Look at this machine, and measure the disks of these folders."""
    caches = {read_text(path / "shared_cpu_list"): read_text(path / "size") for path in l3_folders()}
    sizes = [size_read(size) for size in caches.values()]
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        numa_nodes=max(1, len(list((SYSTEM / "node").glob("node[0-9]*")))),
        l3_bytes=max(sizes, default=0),
        l3_caches=len(caches),
        ram_bytes=memory_bytes(),
        gpus=gpus_here(),
        disks=tuple(disk_measure(folder) for folder in folders),
    )


def l3_folders() -> list[Path]:
    """Return the kernel's folder of each processor's third-level cache."""
    folders = (SYSTEM / "cpu").glob("cpu[0-9]*/cache/index*")
    return [folder for folder in folders if read_text(folder / "level") == "3"]


def size_read(text: str) -> int:
    """Return the bytes of `32768K` or `32M`; 0 for anything else."""
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:], 0)
    return int(text[:-1]) * factor if factor and text[:-1].isdigit() else 0


def disk_read(folder: Path) -> Disk:
    """Return the size of a folder's disk.  Raises OSError."""
    room = os.statvfs(folder)
    return Disk(
        folder=str(folder),
        total_bytes=room.f_blocks * room.f_frsize,
        free_bytes=room.f_bavail * room.f_frsize,
        disk=str(folder.stat().st_dev),
    )


def disk_measure(folder: Path) -> Disk:
    """Write and read a sample in a folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    disk = disk_read(folder)
    sample = folder / f".measure-{os.getpid()}"
    written = read = 0.0
    try:
        if disk.free_bytes >= 10 * SAMPLE_BYTES:
            written = rate(sample, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            read = rate(sample, os.O_RDONLY)
    except OSError:
        written = read = 0.0
    finally:
        with suppress(OSError):
            sample.unlink()
    return replace(disk, write_bytes_s=int(written), read_bytes_s=int(read))


def rate(path: Path, flags: int) -> float:
    """Return the bytes per second of writing or reading a file from its start.  Raises OSError."""
    try:
        file = os.open(path, flags | os.O_DIRECT, 0o600)
    except OSError:
        file = os.open(path, flags, 0o600)  # a file system without O_DIRECT, such as tmpfs
    try:
        with mmap.mmap(-1, BLOCK_BYTES) as block:
            is_write = bool(flags & os.O_WRONLY)
            begin, done = time.monotonic(), 0
            while done < SAMPLE_BYTES and time.monotonic() - begin < SAMPLE_S:
                count = os.write(file, block) if is_write else os.readv(file, [block])
                if not count:
                    break
                done += count
            if is_write:
                os.fsync(file)
            return done / max(time.monotonic() - begin, 1e-9)
    finally:
        os.close(file)


def sector_disk_bytes(sector_bytes: int) -> int:
    """Return the disk that a sector takes while it is sealed."""
    return sealing_disk_bytes(parameters_of_size(sector_bytes))


def slots_propose(machine: Machine, sector_bytes: int) -> dict[str, int]:
    """Return the slots by stage that memory, cores and the first folder's disk allow.

    A sector in PC1 has two layers in memory (`workers.processors.labelling`) and a core; the other stages
    use all cores, so one of each.  Raises BadConfig where not even one sector fits.
    """
    memory, disk = labelling_bytes(sector_bytes), sector_disk_bytes(sector_bytes)
    in_memory = memory_for_slots(machine.ram_bytes) // memory
    on_disk = machine.disks[0].free_bytes // disk if machine.disks else in_memory
    for count, what, need, there in (
        (in_memory, "of memory", memory, memory_for_slots(machine.ram_bytes)),
        (on_disk, "of disk", disk, machine.disks[0].free_bytes if machine.disks else 0),
    ):
        if count < 1:
            text = f"{size_text(need)} {what}, but only {size_text(there)} is available"
            raise BadConfig(f"a sector of {size_text(sector_bytes)} needs {text}")
    most = max(DEFAULT_SLOTS["PC1"], machine.cpus)
    return {**DEFAULT_SLOTS, "PC1": min(in_memory, on_disk, most)}


def config_text(machine: Machine, sector_bytes: int) -> str:
    """Return a `config.toml` for this machine.  Raises BadConfig."""
    slots, room = slots_propose(machine, sector_bytes), sector_disk_bytes(sector_bytes)
    lines = [
        f"# Proposed by `python -m workers machine` for sectors of {size_text(sector_bytes)}:",
        f"# {machine.cpus} cores, {size_text(machine.ram_bytes)} of memory, NUMA nodes: {machine.numa_nodes}"
        + (f", {', '.join(machine.gpus)}" if machine.gpus else ""),
        *(f"# {disk_text(disk)}" for disk in machine.disks),
        "# What the console sets for the pool, tenant or group overrides these; what stands outside of",
        "# [proposed] overrides that.",
        "[proposed]",
        f"{SECTOR_ROOM} = {max(room, ROOM_SECTORS * sector_bytes)}",
        "",
        "[proposed.slots]",
        *(f"{stage.lower()} = {count}" for stage, count in slots.items()),
    ]
    return "\n".join(lines) + "\n"


def disk_text(disk: Disk) -> str:
    """Return `/mnt/a: 1.0 TiB free, writes 2.1 GiB/s, reads 3.0 GiB/s`."""
    rates = f", writes {size_text(disk.write_bytes_s)}/s, reads {size_text(disk.read_bytes_s)}/s"
    return f"{disk.folder}: {size_text(disk.free_bytes)} free{rates if disk.write_bytes_s else ''}"


def main(argv: list[str] | None = None) -> int:
    """Print what the machine has as JSON, or with --config the proposed file; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m workers machine", description="Inspect this machine.")
    parser.add_argument("--dir", type=Path, default=Path("var/sealer"), help="the worker's own folder")
    parser.add_argument("--store", type=Path, help="store for finished sectors")
    parser.add_argument("--sector-size", default="32GiB", help="2KiB, 8MiB, 512MiB, 32GiB or 64GiB")
    parser.add_argument("--config", action="store_true", help="print a config.toml for it")
    options = parser.parse_args(argv)
    try:
        sector_bytes = sector_size_read(options.sector_size)
        machine = machine_read(tuple(folder for folder in (options.dir, options.store) if folder is not None))
        if options.config:
            sys.stdout.write(config_text(machine, sector_bytes))
        else:
            sys.stdout.write(json.dumps(msgspec.to_builtins(machine), indent=2) + "\n")
    except (BadConfig, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
