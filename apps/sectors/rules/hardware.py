"""What a host's last report says of its disks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from poolsite.wire.sealing_rules import LOCATION, THREADS

DISK_LOW: Final = 0.1
"""Share of free disk space below which a host is short of it."""
DISK_FULL: Final = 0.02
"""The same below which its disk counts as full."""

PINGS: Final = "pings"
"""Of a damocles-worker: when each process of its name pinged last, and how many threads were at work."""
PLANS: Final = "plans"
"""Of a damocles-worker: when it asked for proofs and jobs beside sealing, by kind, in seconds since 1970."""

_LOW: Final = "@.{total} > 0 && (!(@.{free} * 10 >= @.{total}) || (@.{free} * 10 >= @.{total}) is unknown)"
_OWN_LOW: Final = _LOW.format(free="disk_free_bytes", total="disk_total_bytes")
_DISK_LOW: Final = _LOW.format(free="free_bytes", total="total_bytes")
PERHAPS_SHORT: Final = f"$ ? ({_OWN_LOW} || exists(@.disks[*] ? ({_DISK_LOW})))"
"""In a host's hardware where one of its disks is low, without which `is_short_of_disk` finds nothing."""
FOLDER_LOST: Final = "$ ? (@.disk_total_bytes == 0)"
"""In that of a host that told that the disk of its own folder cannot be asked."""
SEALING_AWAY: Final = '$.disks[*].sealing ? (@.reason != "" && !(@.total_bytes > 0))'
"""Disks for sealing that a host cannot read; one that is full or read-only has told its size."""


def thread_values(settings: Mapping[str, str], name: str) -> list[str]:
    """Return a setting of each sealing thread, out of those that a host obeys, by key."""
    return [value for key, value in settings.items() if key.startswith(THREADS) and key.endswith(f".{name}")]


def sealing_disks(
    hardware: Mapping[str, Any], settings: Mapping[str, str] | None = None
) -> list[tuple[int, int]]:
    """Return free and all bytes of each disk on which a host seals: not of its own folder if it has others.

    Others are its sealing stores and the locations of its sealing threads; those of a host that does not mark
    them only where the settings that it obeys are given, by key.  Folders on one disk count once, with the
    smallest of their reserves, and one that is away has no bytes.
    """
    locations = thread_values(settings or {}, LOCATION)
    disks = (
        one
        for one in hardware.get("disks") or ()
        if one.get("sealing") or one.get("is_location") or one.get("folder") in locations
    )
    found: dict[object, tuple[int, int]] = {}
    for disk in disks:
        sizes = int(disk.get("free_bytes") or 0), int(disk.get("total_bytes") or 0)
        name = disk.get("disk") or sizes  # an older host names none: two of one disk look the same
        found[name] = max(found.get(name, sizes), sizes)
    return sorted(found.values()) or [_own_disk(hardware)]


def _own_disk(hardware: Mapping[str, Any]) -> tuple[int, int]:
    return int(hardware.get("disk_free_bytes") or 0), int(hardware.get("disk_total_bytes") or 0)


def disk_space(hardware: dict[str, Any]) -> tuple[int, int]:
    """Return free and all bytes of the disks on which a host seals; of its own folder's once that is full.

    Without room for its records there it stops, too.  That disk also counts while all others are away.
    """
    own = free, total = _own_disk(hardware)
    if total and free < DISK_FULL * total:
        return own
    disks = sealing_disks(hardware)
    total = sum(total for _, total in disks)
    return (sum(free for free, _ in disks), total) if total else own


def disk_share(hardware: dict[str, Any]) -> float | None:
    """Return the free part of a host's disks for sealing, 0 to 1; None if it did not tell."""
    free, total = disk_space(hardware)
    return free / total if total else None


def is_short_of_disk(hardware: dict[str, Any]) -> bool:
    """Return whether a host has too little room for long."""
    free = disk_share(hardware)
    return free is not None and free < DISK_LOW
