"""What a host's last report says of its disks."""

from __future__ import annotations

from typing import Any, Final

DISK_LOW: Final = 0.1
"""Share of free disk space below which a host is short of it."""
DISK_FULL: Final = 0.02
"""The same below which its disk counts as full."""

PINGS: Final = "pings"
"""Of a damocles-worker: when each process of its name pinged last, and how many threads were at work."""
PLANS: Final = "plans"
"""Of a damocles-worker: when it asked for proofs and jobs beside sealing, by kind, in seconds since 1970."""


def sealing_disks(hardware: dict[str, Any]) -> list[tuple[int, int]]:
    """Return free and all bytes of each disk on which a host seals: of its sealing stores, or its own folder.

    Sealing stores on one disk count once.
    """
    stores = (disk for disk in hardware.get("disks") or () if (disk.get("sealing") or {}).get("total_bytes"))
    found = {(int(disk["free_bytes"]), int(disk["total_bytes"])) for disk in stores}
    own = int(hardware.get("disk_free_bytes") or 0), int(hardware.get("disk_total_bytes") or 0)
    return sorted(found) or [own]


def disk_space(hardware: dict[str, Any]) -> tuple[int, int]:
    """Return free and all bytes of the disks on which a host seals; of its own folder's once that is full.

    Without room for its records there it stops, too.
    """
    free, total = int(hardware.get("disk_free_bytes") or 0), int(hardware.get("disk_total_bytes") or 0)
    if total and free < DISK_FULL * total:
        return free, total
    disks = sealing_disks(hardware)
    return sum(free for free, _ in disks), sum(total for _, total in disks)


def disk_share(hardware: dict[str, Any]) -> float | None:
    """Return the free part of a host's disks for sealing, 0 to 1; None if it did not tell."""
    free, total = disk_space(hardware)
    return free / total if total else None


def has_lost_folder(hardware: dict[str, Any]) -> bool:
    """Return whether a host told that the disk of its own folder cannot be asked."""
    return hardware.get("disk_total_bytes") == 0


def is_short_of_disk(hardware: dict[str, Any]) -> bool:
    """Return whether a host has too little room for long."""
    free = disk_share(hardware)
    return free is not None and free < DISK_LOW
