"""What a host's last report says of its disk."""

from __future__ import annotations

from typing import Any, Final

DISK_LOW: Final = 0.1
"""Share of free disk space below which a host is short of it."""

PINGS: Final = "pings"
"""Of a damocles-worker: when each process of its name pinged last, and how many threads were at work."""
PLANS: Final = "plans"
"""Of a damocles-worker: when it asked for proofs and jobs beside sealing, by kind, in seconds since 1970."""


def disk_share(hardware: dict[str, Any]) -> float | None:
    """Return the free part of a host's disk, 0 to 1; None if it did not tell."""
    total = hardware.get("disk_total_bytes") or 0
    return hardware.get("disk_free_bytes", 0) / total if total else None


def has_lost_folder(hardware: dict[str, Any]) -> bool:
    """Return whether a host told that the disk of its own folder cannot be asked."""
    return hardware.get("disk_total_bytes") == 0


def is_short_of_disk(hardware: dict[str, Any]) -> bool:
    """Return whether a host has too little room for long."""
    free = disk_share(hardware)
    return free is not None and free < DISK_LOW
