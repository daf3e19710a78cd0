"""A host's settings by level: what it was started with, and what the console has set; a later level wins.

What the console has set is kept in the host's folder, so that a start without the console obeys it too.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from poolsite.wire.host_settings import FILE_LEVELS, Setting
from poolsite.wire.sealing_rules import PLAN, SealingRules, thread_key
from workers.setting_levels import (
    SLOTS,
    Levels,
    Merged,
    Value,
    console_levels,
    merge,
    numbers_of,
    rules_merged,
    slots_of_plans,
    threads_of,
)
from workers.storage.files import write_file

log = structlog.get_logger(__name__)

CONSOLE_FILE: Final = "console_settings.json"
"""In a worker's folder: what the console has set."""
SECTORS_MAX: Final = "sectors_max"
"""Sectors that a host seals at a time; 0: as many as its disk has room for."""
SECTOR_ROOM: Final = "sector_room_bytes"
"""Disk that one more sector of the largest expected kind needs while it is sealed."""
ROOM_LEAST: Final = 64 << 20
"""That of a host that was told nothing, whatever it seals."""
ROOM_SECTORS: Final = 16
"""Least disk, in sectors, that is counted on for one more where nobody has set it."""
REASONED: Final = ("default", "proposed")
"""Levels that nobody has set."""


class HostSettings:
    """The merged settings of a host; safe to use from several threads."""

    def __init__(
        self,
        folder: Path,
        own: Mapping[str, Mapping[str, Value]],
        *,
        check: Callable[[dict[str, int]], None] | None = None,
        file: str = "",
    ) -> None:
        self.path = folder / CONSOLE_FILE
        self.file = file
        """Path of what FILE_LEVELS were read from."""
        self.own: Levels = dict(own)
        """Of the levels that are not the console's."""
        self.check = check
        """Raises ValueError for settings that the host cannot obey."""
        self.configured: dict[str, str] = {}
        self._lock = threading.Lock()
        self._merged: Merged = merge(own)
        self._load()

    def _load(self) -> None:
        try:
            stored = json.loads(self.path.read_text())
        except (FileNotFoundError, ValueError):
            return
        if isinstance(stored, dict):
            self._apply({str(name): str(value) for name, value in stored.items()})

    def _apply(self, configured: dict[str, str]) -> str:
        """Apply the console's settings; return why not, and keep the present ones then."""
        own = merge(self.own)
        merged = slots_of_plans(merge(self.own | console_levels(configured, known=own)), own=own)
        try:
            if self.check is not None:
                self.check(numbers_of(merged))
            for number in (0, *threads_of(merged)):
                rules_merged(merged, number)
        except ValueError as error:
            return str(error)
        with self._lock:
            self._merged, self.configured = merged, configured
        return ""

    def console_set(self, configured: dict[str, str]) -> str:
        """Apply these settings of the console and no others, and keep them; return why not, or nothing."""
        if refusal := self._apply(configured):
            log.warning("settings_refused", reason=refusal)
            return refusal
        write_file(self.path, json.dumps(configured).encode())
        return ""

    def get(self, key: str) -> int:
        """Return a setting; 0 for one that the host has not."""
        with self._lock:
            return numbers_of(self._merged).get(key, 0)

    def rules(self, number: int = 0) -> SealingRules:
        """Return the rules of a sealing thread; without a number those of the host."""
        with self._lock:
            return rules_merged(self._merged, number)

    def plan(self, number: int) -> str:
        """Return the plan of a sealing thread."""
        with self._lock:
            return str(self._merged.get(thread_key(number, PLAN), ("sealer", ""))[0])

    def room_bytes(self, *, sector_bytes: int) -> int:
        """Return the disk that a new sector needs, of this size at most; what somebody set is obeyed."""
        with self._lock:
            room, level = self._merged.get(SECTOR_ROOM, (0, ""))
        room = room if isinstance(room, int) else 0
        return max(room, ROOM_SECTORS * sector_bytes if level in REASONED else 0, 1)

    def slots(self) -> dict[str, int]:
        """Return the slots by stage."""
        with self._lock:
            named = {key: value for key, value in numbers_of(self._merged).items() if key.startswith(SLOTS)}
        return {key.removeprefix(SLOTS): value for key, value in named.items()}

    def described(self) -> tuple[Setting, ...]:
        """Return every setting with the level that it comes from."""
        with self._lock:
            return tuple(
                Setting(
                    key=key,
                    value=str(value),
                    origin=origin,
                    file=self.file if origin in FILE_LEVELS else "",
                )
                for key, (value, origin) in sorted(self._merged.items())
            )
