"""Processes of a pool of processors, for tests that kill or stop them."""

from __future__ import annotations

from workers.processors.pool import ProcessorPool


def pids_of(pool: ProcessorPool) -> tuple[int, ...]:
    """Return the process ids of the living children."""
    return tuple(child.pid for child in pool._children.values() if child.is_alive)
