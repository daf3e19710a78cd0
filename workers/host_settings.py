"""A host's settings by level: what it was started with, and what the console has set; a later level wins.

What the console has set is kept in the host's folder, so that a start without the console obeys it too.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Final

import structlog

from poolsite.wire.host_settings import CONSOLE_LEVELS, FILE_LEVELS, LEVELS, SETTING_MAX, Setting
from poolsite.wire.hosts import SLOTS_MAX
from poolsite.wire.pipeline import WORKER_STAGES
from poolsite.wire.sealing_rules import (
    DEFAULTS,
    PLAN,
    RULES,
    SEALING,
    THREADS,
    SealingRules,
    rule_key,
    rule_read,
    rules_of,
    thread_key,
)
from workers.storage.files import write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
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

PLAN_STAGES: Final = {
    "SNAP_ENCODE": ("snapup", "rebuild"),
    "SNAP_PROVE": ("snapup",),
    "UNSEAL": ("unseal",),
}
"""Stages that only sealing threads of these plans run."""

Value = int | str
"""Of a rule of sealing, its words."""
Merged = dict[str, tuple[Value, str]]
"""Settings with the level that each comes from."""
Levels = dict[str, "Mapping[str, Value]"]
"""Settings by key, of each level."""


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
            kept = json.loads(self.path.read_text())
        except (FileNotFoundError, ValueError):
            return
        if isinstance(kept, dict):
            self._apply({str(name): str(value) for name, value in kept.items()})

    def _apply(self, configured: dict[str, str]) -> str:
        """Obey the console's settings; gives why not, and keeps the present ones then."""
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
        """Obey these settings of the console and no others, and keep them; gives why not, or nothing."""
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


def merge(levels: Mapping[str, Mapping[str, Value]]) -> Merged:
    """Return the settings with the level that each comes from."""
    merged: Merged = {}
    for level in LEVELS:
        merged |= {key: (value, level) for key, value in levels.get(level, {}).items()}
    return merged


def numbers_of(merged: Merged) -> dict[str, int]:
    """Return the settings that are numbers."""
    return {key: value for key, (value, _) in merged.items() if isinstance(value, int)}


def threads_of(merged: Collection[str]) -> list[int]:
    """Return the numbers of a host's sealing threads."""
    found = (rule_key(key) for key in merged if key.startswith(THREADS))
    return sorted(number for number, name in filter(None, found) if name == PLAN)


def rules_merged(merged: Merged, number: int) -> SealingRules:
    """Return the rules of a thread, or with 0 of the host.  Raises ValueError where nothing may begin."""
    names = {name: (thread_key(number, name), SEALING + name) for name in RULES}
    found = {name: key for name, keys in names.items() for key in reversed(keys) if key in merged}
    try:
        return rules_of({name: str(merged[key][0]) for name, key in found.items()})
    except ValueError as error:
        whose = f"sealing thread {number}" if number else "the host"
        raise ValueError(f"{whose} {error}") from None


def plans_of(merged: Merged) -> list[str]:
    """Return the plans of a host's sealing threads."""
    return [str(merged[thread_key(number, PLAN)][0]) for number in threads_of(merged)]


def slots_of_plans(merged: Merged, *, own: Merged) -> Merged:
    """Return settings in which the slots that plans of the file gave follow those that threads have now."""
    before, after = plans_of(own), plans_of(merged)
    moved = dict(merged)
    for stage, plans in PLAN_STAGES.items():
        value, level = merged.get(SLOTS + stage, (0, ""))
        more = sum(plan in plans for plan in after) - sum(plan in plans for plan in before)
        if level == "file" and more and isinstance(value, int):
            moved[SLOTS + stage] = max(value + more, 0), level
    return moved


def console_levels(configured: dict[str, str], *, known: Merged) -> Levels:
    """Read what the console has set, as {"host.slots.PC1": "2"}; what this host has not is left out."""
    levels: dict[str, dict[str, Value]] = {}
    threads = threads_of(known)
    for name, text in configured.items():
        level, _, key = name.partition(".")
        value = _value_read(key, text)
        rule = rule_key(key)
        is_known = key in known or (rule is not None and (rule[0] in threads or not rule[0]))
        if level in CONSOLE_LEVELS and is_known and value is not None:
            levels.setdefault(level, {})[key] = value
    return {**levels}


def _value_read(key: str, text: str) -> Value | None:
    """Return a setting's value; None if it is none."""
    if (rule := rule_key(key)) is not None:
        try:
            return rule_read(rule[1], text)
        except ValueError:
            return None
    most = SLOTS_MAX if key.startswith(SLOTS) else SETTING_MAX
    return min(int(text), most) if text.isascii() and text.isdigit() else None


def rules_default() -> dict[str, Value]:
    """Return the rules of a sealing host that was told nothing, as settings."""
    return {SEALING + name: value for name, value in DEFAULTS.items()}


def slots_named(slots: dict[str, int]) -> dict[str, int]:
    """Return slots by stage as settings."""
    return {SLOTS + stage: count for stage, count in slots.items()}


def slots_default() -> dict[str, int]:
    """Return the slots of a sealing host that was told nothing, as settings."""
    return slots_named({stage: spec.slots for stage, spec in WORKER_STAGES.items()})
