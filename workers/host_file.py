"""A worker's file (`config.toml`, or a damocles-worker's): each mistake by line, key and remedy."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from poolsite.wire.host_settings import SETTING_MAX
from poolsite.wire.hosts import SLOTS_MAX
from poolsite.wire.page_shape import BATCH_MAX, LANES
from poolsite.wire.pipeline import WORKER_STAGES
from workers.config_mistakes import (
    BadConfig,
    BadFile,
    FileChecks,
    lines_of,
    near_of,
    program_fault,
    program_path,
    syntax_mistake,
)
from workers.damocles_config import LIMITS, TABLES, DamoclesFile, damocles_read, is_damocles
from workers.damocles_keys import is_tables, place
from workers.damocles_old_names import present_names
from workers.host_settings import SECTOR_ROOM, SECTORS_MAX
from workers.processors.layer_drives import BATCH_MINUTES, LayerDrives
from workers.setting_levels import slots_named

if TYPE_CHECKING:
    from workers.config_mistakes import Path as KeyPath

OWN_STAGES: Final = (
    *(spec.task for spec in WORKER_STAGES.values() if spec.task),
    *("synthetic", "snap_decode", "window_post", "winning_post", "sector_check", "aggregate"),
)
"""Stages that `[processors]` may give an own binary, on a sealing host or a prover."""
NUMBERS: Final = (SECTORS_MAX, SECTOR_ROOM)
SEALING_STORE: Final = "sealing_store"
LAYERS: Final = "layers"
DEALS: Final = "deals"
BATCH_SECTORS: Final = (LANES, 2 * LANES, 4 * LANES, BATCH_MAX)
"""Sectors of a batch whose layers lie on drives: so many fill a page of 512 bytes to 4 KiB."""
WAIT_MINUTES_MAX: Final = 24 * 60
KNOWN: Final = ("slots", "proposed", SEALING_STORE, LAYERS, DEALS, *TABLES, *NUMBERS)
"""Tables and keys on the top level."""


@dataclass(frozen=True, slots=True)
class HostFile:
    """What a worker's file says."""

    path: Path
    settings: dict[str, int] = field(default_factory=dict)
    proposed: dict[str, int] = field(default_factory=dict)
    """Of `[proposed]`."""
    processors: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Own binaries of our own `[processors]`."""
    sealing_stores: tuple[str, ...] = ()
    """Of `[[sealing_store]]`."""
    layers: LayerDrives | None = None
    """`[layers]`, without the folder of its batches' files."""
    deal_folder: str = ""
    """The folder that `[deals]` names; empty: there is none."""
    damocles: DamoclesFile = field(default_factory=DamoclesFile)


def host_file(path: Path, *, is_named: bool = False) -> HostFile:
    """Read a worker's file; an absent one says nothing, unless the command names it.  Raises BadConfig."""
    try:
        text = path.read_text()
        data = tomllib.loads(text)
    except FileNotFoundError:
        if is_named:
            raise BadConfig(f"{path} does not exist: check --config") from None
        return HostFile(path)
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"{path}, {syntax_mistake(text, error)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path} cannot be read: {error}") from None
    folder = path.parent.absolute()
    try:
        named, lines, _ = present_names(data, lines_of(text))
        checks, is_of_damocles = _OwnTables(lines, folder), named != data or is_damocles(data)
        checks.top(named)
        return HostFile(
            path,
            settings=checks.settings(data, ()),
            proposed=checks.proposed(data),
            processors=checks.processors(named),
            sealing_stores=checks.sealing_stores(named),
            layers=checks.layers(named),
            deal_folder=checks.deal_folder(named),
            damocles=damocles_read(data, text, cpus=os.cpu_count() or 1, folder=folder)
            if is_of_damocles
            else DamoclesFile(),
        )
    except BadFile as error:
        raise BadConfig(f"{path}, {error}") from None


class _OwnTables(FileChecks):
    """Our own tables of a file; relative paths begin in its folder."""

    def __init__(self, lines: Mapping[KeyPath, int], folder: Path) -> None:
        super().__init__(lines)
        self.folder = folder

    def top(self, data: dict[str, Any]) -> None:
        """Check the names on the top level.  Raises BadFile."""
        for name in data:
            if name not in KNOWN:
                raise self.wrong((name,), "is unknown", near_of(name, KNOWN))

    def proposed(self, data: dict[str, Any]) -> dict[str, int]:
        """Return the settings of `[proposed]`.  Raises BadFile."""
        table = self.table(data, ("proposed",))
        for name in table:
            if name not in ("slots", *NUMBERS):
                raise self.wrong(("proposed", name), "is unknown", near_of(name, ("slots", *NUMBERS)))
        return self.settings(table, ("proposed",))

    def settings(self, table: dict[str, Any], path: KeyPath) -> dict[str, int]:
        """Return the settings of a table that the console may set, too.  Raises BadFile."""
        plain = {name: table[name] for name in NUMBERS if name in table}
        for key, value in plain.items():
            self.number((*path, key), value, most=SETTING_MAX)
        slots = self.table(table, (*path, "slots"))
        for name, value in slots.items():
            if name.upper() not in WORKER_STAGES:
                stages = [stage.lower() for stage in WORKER_STAGES]
                raise self.wrong((*path, "slots", name), "is not a stage", near_of(name.lower(), stages))
            self.number((*path, "slots", name), value, most=SLOTS_MAX)
        return slots_named({name.upper(): value for name, value in slots.items()}) | plain

    def sealing_stores(self, data: dict[str, Any]) -> tuple[str, ...]:
        """Return the paths of `[[sealing_store]]`.  Raises BadFile."""
        found: list[str] = []
        for path, one in self.tables(data, (SEALING_STORE,)):
            self.keys(one, path, {"path": place})
            if "path" not in one:
                raise self.wrong((*path, "path"), "is missing", 'add path = "/mnt/nvme1"')
            store = os.path.normpath(self.folder / str(one["path"]))
            if store in found:
                raise self.wrong((*path, "path"), f"is {store!r} twice", "list each sealing store once")
            found.append(store)
        if found and data.get("sealing_thread"):
            remedy = "keep one of them: a thread's location takes one sector, a sealing store several"
            raise self.wrong((SEALING_STORE,), "conflicts with [[sealing_thread]]", remedy)
        return tuple(found)

    def layers(self, data: dict[str, Any]) -> LayerDrives | None:
        """Return the drives of `[layers]`.  Raises BadFile."""
        table = self.table(data, (LAYERS,))
        if not table:
            return None
        known = ("drives", "sectors", "wait_minutes")
        for name in table:
            if name not in known:
                raise self.wrong((LAYERS, name), "is unknown", near_of(name, known))
        given = table.get("drives", [])
        is_list = isinstance(given, list) and all(isinstance(path, str) and path for path in given)
        if not given or not is_list:
            raise self.wrong((LAYERS, "drives"), f"is {given!r}", 'use drives = ["/mnt/nvme1", "/mnt/nvme2"]')
        drives = tuple(os.path.normpath(self.folder / path) for path in given)
        if len(set(drives)) < len(drives):
            raise self.wrong((LAYERS, "drives"), "names a drive twice", "list each drive once")
        sectors, minutes = table.get("sectors", 0), table.get("wait_minutes", BATCH_MINUTES)
        if "sectors" in table and sectors not in BATCH_SECTORS:
            text = ", ".join(map(str, BATCH_SECTORS))
            remedy = f"use one of {text}, or remove it: the host picks one by trial"
            raise self.wrong((LAYERS, "sectors"), f"is {sectors!r}", remedy)
        self.number((LAYERS, "wait_minutes"), minutes, most=WAIT_MINUTES_MAX)
        return LayerDrives(folder="", drives=drives, sectors=sectors, wait_minutes=minutes)

    def deal_folder(self, data: dict[str, Any]) -> str:
        """Return the folder of `[deals]`.  Raises BadFile."""
        table = self.table(data, (DEALS,))
        for name in table:
            if name != "folder":
                raise self.wrong((DEALS, name), "is unknown", near_of(name, ("folder",)))
        if not table:
            return ""
        given = table["folder"]
        if not isinstance(given, str) or not given:
            raise self.wrong((DEALS, "folder"), f"is {given!r}", 'use folder = "/mnt/incoming"')
        folder = os.path.normpath(self.folder / given)
        if not os.path.isdir(folder):  # a text, as everywhere here
            raise self.wrong((DEALS, "folder"), f"names {folder!r}, which is no folder", "create it")
        return folder

    def number(self, path: KeyPath, value: Any, *, most: int) -> None:
        """Check a whole number.  Raises BadFile."""
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise self.wrong(path, f"is {value!r}", f"use a whole number from 0 to {most}")

    def processors(self, data: dict[str, Any]) -> dict[str, tuple[str, ...]]:
        """Return the own binaries of our own `[processors]`.  Raises BadFile."""
        found = {}
        for name, value in self.table(data, ("processors",)).items():
            path: KeyPath = ("processors", name)
            if name in LIMITS or is_tables(value):
                continue  # a damocles-worker's
            if isinstance(value, dict):
                raise self.wrong(path, "is not an array of tables", f"use [[processors.{name}]]")
            if name not in OWN_STAGES:
                raise self.wrong(path, "is not a stage", near_of(name, dict.fromkeys(OWN_STAGES)))
            if not isinstance(value, list) or not value or not all(isinstance(part, str) for part in value):
                remedy = f'use a program and its arguments: {name} = ["/usr/local/bin/{name}", "--fast"]'
                raise self.wrong(path, f"is {value!r}", remedy)
            program = program_path(value[0], folder=self.folder)
            if fault := program_fault(program):
                raise self.wrong(path, f"names {program!r}, which cannot be started", fault)
            found[name] = (program, *value[1:])
        return found
