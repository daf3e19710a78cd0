"""A host's settings by level: what it was started with, and what the console has set; a later level wins.

What the console has set is kept in the host's folder, so that a start without the console obeys it too.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Final

import structlog

from poolsite.wire.hosts import CONSOLE_LEVELS, LEVELS, SETTING_MAX, SLOTS_MAX, Setting
from poolsite.wire.pipeline import WORKER_STAGES
from workers.storage.files import write_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = structlog.get_logger(__name__)

CONSOLE_FILE: Final = "console_settings.json"
"""In a worker's folder: what the console has set."""
SLOTS: Final = "slots."
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

Levels = dict[str, dict[str, int]]
"""Settings by key, of each level."""


class HostSettings:
    """The merged settings of a host; safe to use from several threads."""

    def __init__(
        self, folder: Path, own: Levels, *, check: Callable[[dict[str, int]], None] | None = None
    ) -> None:
        self.path = folder / CONSOLE_FILE
        self.own = own
        """Of the levels that are not the console's."""
        self.check = check
        """Raises ValueError for settings that the host cannot obey."""
        self.configured: dict[str, str] = {}
        self._lock = threading.Lock()
        self._merged: dict[str, tuple[int, str]] = merge(own)
        self._load()

    def _load(self) -> None:
        try:
            kept = json.loads(self.path.read_text())
        except (FileNotFoundError, ValueError):
            return
        if isinstance(kept, dict):
            self._apply({str(name): str(value) for name, value in kept.items()})

    def _apply(self, configured: dict[str, str]) -> str:
        """Obey the console's settings; gives why not, and keeps the present ones then."""
        merged = merge(self.own | console_levels(configured, known=merge(self.own)))
        try:
            if self.check is not None:
                self.check({key: value for key, (value, _) in merged.items()})
        except ValueError as error:
            return str(error)
        with self._lock:
            self._merged, self.configured = merged, configured
        return ""

    def console_set(self, configured: dict[str, str]) -> str:
        """Obey these settings of the console and no others, and keep them; gives why not, or nothing."""
        if refusal := self._apply(configured):
            log.warning("settings_refused", reason=refusal)
            return refusal
        write_file(self.path, json.dumps(configured).encode())
        return ""

    def get(self, key: str) -> int:
        """Return a setting; 0 for one that the host has not."""
        with self._lock:
            return self._merged.get(key, (0, ""))[0]

    def room_bytes(self, *, sector_bytes: int) -> int:
        """Return the disk that a new sector needs, of this size at most; what somebody set is obeyed."""
        with self._lock:
            room, level = self._merged.get(SECTOR_ROOM, (0, ""))
        return max(room, ROOM_SECTORS * sector_bytes if level in REASONED else 0, 1)

    def slots(self) -> dict[str, int]:
        """Return the slots by stage."""
        with self._lock:
            named = {key: value for key, (value, _) in self._merged.items() if key.startswith(SLOTS)}
        return {key.removeprefix(SLOTS): value for key, value in named.items()}

    def described(self) -> tuple[Setting, ...]:
        """Return every setting with the level that it comes from."""
        with self._lock:
            return tuple(
                Setting(key=key, value=str(value), origin=origin)
                for key, (value, origin) in sorted(self._merged.items())
            )


def merge(levels: Levels) -> dict[str, tuple[int, str]]:
    """Return the settings with the level that each comes from."""
    merged: dict[str, tuple[int, str]] = {}
    for level in LEVELS:
        merged |= {key: (value, level) for key, value in levels.get(level, {}).items()}
    return merged


def console_levels(configured: dict[str, str], *, known: dict[str, tuple[int, str]]) -> Levels:
    """Read what the console has set, as {"host.slots.PC1": "2"}; what this host has not is left out."""
    levels: Levels = {}
    for name, value in configured.items():
        level, _, key = name.partition(".")
        if level not in CONSOLE_LEVELS or key not in known or not (value.isascii() and value.isdigit()):
            continue
        most = SLOTS_MAX if key.startswith(SLOTS) else SETTING_MAX
        levels.setdefault(level, {})[key] = min(int(value), most)
    return levels


def slots_named(slots: dict[str, int]) -> dict[str, int]:
    """Return slots by stage as settings."""
    return {SLOTS + stage: count for stage, count in slots.items()}


def slots_default() -> dict[str, int]:
    """Return the slots of a sealing host that was told nothing, as settings."""
    return slots_named({stage: spec.slots for stage, spec in WORKER_STAGES.items()})
