"""Room on the disk of the pieces that downloads side by side have been promised."""

from __future__ import annotations

import threading
from dataclasses import replace

from django.conf import settings

from apps.core.disk import DiskFull, DiskLevel, disk_space


class RoomAwaited(Exception):
    """There is room once other downloads have ended or failed."""


class Reservations:
    """Bytes that are still to come, by the row that they are for; may be used from any thread.

    Those that have come are no longer free on the disk, and count there.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._to_come: dict[int, int] = {}

    def reserve(self, key: int, size: int) -> None:
        """Promise room for so many bytes to a row, instead of what it was promised before.

        Raises DiskFull where the disk has no room for them, RoomAwaited where others were promised it.
        """
        with self._lock:
            space = disk_space(settings.PIECES_DIR)
            others = sum(count for row, count in self._to_come.items() if row != key)
            if replace(space, free=space.free - size).level is DiskLevel.FULL:
                raise DiskFull(space, size=size)
            if replace(space, free=space.free - size - others).level is DiskLevel.FULL:
                raise RoomAwaited
            self._to_come[key] = size

    def note_left(self, key: int, size: int) -> None:
        """Note how many bytes are still to come for a row."""
        with self._lock:
            self._to_come[key] = max(size, 0)

    def release(self, key: int) -> None:
        """Free what is reserved for a row, if anything is."""
        with self._lock:
            self._to_come.pop(key, None)
