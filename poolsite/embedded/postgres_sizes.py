"""Size the embedded PostgreSQL by this machine, which also runs the console and perhaps a sealing host."""

from __future__ import annotations

import os
from typing import Final

from workers.storage.memory import memory_bytes

MIB: Final = 1 << 20
MEMORY: Final = (
    ("shared_buffers", 32, 64, 4096),
    ("effective_cache_size", 4, 256, 1 << 20),
    ("maintenance_work_mem", 256, 64, 1024),
    ("work_mem", 4096, 4, 32),
    ("max_wal_size", 16, 512, 4096),
)
"""Setting, divisor of the memory, least and most MiB.

The least is what every machine had before.  `max_wal_size` is disk space; it grows as the rows do."""


def size_settings() -> tuple[str, ...]:
    """Return the settings for the memory and the cores that this process may use."""
    return sizes_for(memory_bytes(), len(os.sched_getaffinity(0)))


def sizes_for(memory: int, cores: int) -> tuple[str, ...]:
    """Return the settings for a machine with this memory in bytes and this number of cores."""
    sizes = [
        f"{name}={min(max(memory // divisor // MIB, least), most)}MB" for name, divisor, least, most in MEMORY
    ]
    parallel = (f"max_parallel_workers={min(max(cores // 2, 1), 8)}",)
    return (*sizes, *parallel, f"max_parallel_workers_per_gather={min(max(cores // 2, 1), 2)}")
