"""Reading a damocles-worker's file: what of it this host obeys; mistakes by line, key and remedy.

Its tables may stand in `config.toml` as they are.  Processors are read by `workers.damocles_processors`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from glob import glob
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Final

from poolsite.wire.pipeline import WORKER_STAGES
from poolsite.wire.sealing_rule_values import NEW_PLANS
from poolsite.wire.sealing_rules import LOCATION, PLAN, SEALING, rule_read, rules_of, thread_key
from workers.config_mistakes import BadFile, FileChecks, lines_of
from workers.damocles_keys import (
    ATTACHED,
    BUCKET,
    PLAIN_TABLES,
    SEALING_HERE,
    SECRETS,
    THREAD,
    is_tables,
)
from workers.damocles_keys import SEALING as SEALING_KEYS
from workers.damocles_old_names import present_names
from workers.damocles_processors import ProcessorReader
from workers.host_settings import SECTORS_MAX
from workers.setting_levels import SLOTS
from workers.stage_processors import HostProcessors, Location
from workers.storage.bucket_settings import BucketSettings, credentials_fault
from workers.storage.store import MARK

if TYPE_CHECKING:
    from workers.config_mistakes import Path

__all__ = ["BadFile", "DamoclesFile", "damocles_read", "is_damocles"]

TABLES: Final = ("worker", "metrics", "sector_manager", "sealing", "sealing_thread", "attached", "processors")
"""Its tables; those that are not ours mark a file as damocles'."""
LIMITS: Final = ("limitation", "limit", "ext_locks", "static_tree_d")
"""Tables of `processors` that are no stage's."""
TAKES: Final = ("enable_deals", "disable_cc")
"""Rules of `sealing` by which together nothing would begin."""
WORKER_HERE: Final = {
    "rpc_server": "hosts call the console, never the other way round",
    "ping_interval": "the console sets how often a host calls",
    "local_pieces_dir": "client data comes from the console, page Pieces",
    "local_pieces_dirs": "client data comes from the console, page Pieces",
}
"""Keys of [worker] that are not obeyed, and what stands for them."""


@dataclass(slots=True)
class DamoclesFile:
    """What of a damocles-worker's file this host obeys."""

    name: str = ""
    settings: dict[str, int] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)
    """Of `[sealing]`, by the key of the setting."""
    thread_rules: dict[str, str] = field(default_factory=dict)
    """Plan and `sealing` of each sealing thread, by the key of the setting."""
    processors: HostProcessors = field(default_factory=HostProcessors)
    locations: list[Location] = field(default_factory=list)
    """Sealing threads."""
    sector_size: str = ""
    """The only one that it seals; empty where it says nothing, or names several."""
    stores: list[str] = field(default_factory=list)
    read_only: list[str] = field(default_factory=list)
    """Of `stores`, those into which nothing is put."""
    buckets: dict[str, BucketSettings] = field(default_factory=dict)
    """Of `stores`, those that are buckets: how each is reached."""
    notes: list[str] = field(default_factory=list)
    """What is read and not obeyed, with what to do instead."""


def is_folder(location: str) -> bool:
    """Return whether a sealing thread's folder is there."""
    return FilePath(location).is_dir()


def is_damocles(data: dict[str, Any]) -> bool:
    """Return whether a file has tables of a damocles-worker's."""
    processors = data.get("processors", {})
    is_of_damocles = isinstance(processors, dict) and any(
        name in LIMITS or is_tables(value) for name, value in processors.items()
    )
    return is_of_damocles or any(name in data for name in TABLES if name != "processors")


def damocles_read(
    data: dict[str, Any], text: str, *, cpus: int, folder: FilePath = FilePath("/")
) -> DamoclesFile:
    """Read the tables of a damocles-worker's file; ours beside them are left alone.

    Relative paths begin in `folder`.  Raises BadFile.
    """
    named, lines, notes = present_names(data, lines_of(text))
    file = _Reader(lines, cpus, folder).read(named)
    file.notes[:0] = notes
    return file


class _Reader(FileChecks):
    """One reading."""

    def __init__(self, lines: Mapping[Path, int], cpus: int, folder: FilePath) -> None:
        super().__init__(lines)
        self.cpus, self.folder, self.file = cpus, folder, DamoclesFile()

    def path_at(self, place: object) -> str:
        """Return a path of the file; a relative one begins in the file's folder."""
        return os.path.normpath(self.folder / str(place))

    def read(self, data: dict[str, Any]) -> DamoclesFile:
        for table, keys in PLAIN_TABLES.items():
            self.keys(self.table(data, (table,)), (table,), keys)
        worker = data.get("worker", {})
        self.file.name = worker.get("name", "")
        for name in ("rpc_server", "ping_interval", "local_pieces_dir", "local_pieces_dirs"):
            if name in worker:
                self.note(f"worker.{name} is ignored: {WORKER_HERE[name]}")
        for name in ("sector_manager", "metrics"):
            if name in data:
                metrics = "metrics are at the console's /metrics"
                self.note(f"[{name}] is ignored: --console sets the console, {metrics}")
        self.sealing(data.get("sealing", {}))
        self.stores(data)
        reader = ProcessorReader(self.lines, self.cpus, self.folder)
        reader.read(self.table(data, ("processors",)))
        self.file.settings |= reader.settings
        self.file.processors = reader.processors()
        self.file.notes += reader.notes
        self.threads(data)
        return self.file

    def note(self, text: str) -> None:
        """Log what is not obeyed."""
        if text not in self.file.notes:
            self.file.notes.append(text)

    def sealing(self, table: dict[str, Any]) -> None:
        """Read the host's rules of sealing."""
        sizes = table.get("allowed_sizes", ())
        if len(sizes) == 1:
            self.file.sector_size = sizes[0]
        rules = self.rules(table, ("sealing",), of="[sealing]")
        self.takes_any(("sealing", *[one for one in TAKES if one in table][-1:]), rules)
        self.file.rules = {SEALING + name: value for name, value in rules.items()}

    def takes_any(self, path: Path, rules: dict[str, str]) -> None:
        """Raise BadFile for rules by which nothing would begin."""
        try:
            rules_of(rules)
        except ValueError as error:
            what, _, remedy = str(error).partition(": ")
            raise self.wrong(path, what, remedy) from None

    def rules(self, table: dict[str, Any], path: Path, *, of: str) -> dict[str, str]:
        """Return rules by name; those that stand elsewhere here are noted.  Raises BadFile."""
        found: dict[str, str] = {}
        for name, value in table.items():
            if name in SEALING_HERE:
                self.note(f"{name} of {of} is ignored: {SEALING_HERE[name]}")
                continue
            try:
                found[name] = rule_read(name, value)
            except ValueError as error:
                raise self.wrong((*path, name), f"is {value!r}", str(error)) from None
        return found

    def stores(self, data: dict[str, Any]) -> None:
        """Read where finished sectors lie."""
        names: set[str] = set()
        for path, one in self.tables(data, ("attached",)):
            place = self.store_place(path, one)
            name = str(one.get("name", place))
            if name in names:
                raise self.wrong((*path, "name"), f"is {name!r} twice", "give each store its own name")
            names.add(name)
            self.file.stores.append(place)
            if one.get("readonly", False):
                self.file.read_only.append(place)
        worker = data.get("worker", {})
        for pattern in (*worker.get("scan_persist_stores", ()), *worker.get("ScanPersistStores", ())):
            found = sorted(glob(f"{self.path_at(pattern)}/{MARK}"))
            self.file.stores += [str(FilePath(mark).parent) for mark in found]

    def store_place(self, path: Path, one: dict[str, Any]) -> str:
        """Return a store's folder, or its bucket's url; how that is reached is noted.  Raises BadFile."""
        for name in SECRETS:
            if name in one:  # not said with its value: it would stand in a log
                remedy = "remove it, and put it into the worker's environment or into a file with mode 600"
                raise self.wrong((*path, name), "is not allowed here", f"{remedy} (credentials = …)")
        self.keys(one, path, ATTACHED)
        if "url" not in one:
            for name in BUCKET:
                if name in one:
                    raise self.wrong(
                        (*path, name), "is only for a bucket", 'add url = "s3://…", or remove it'
                    )
            if "location" not in one:
                remedy = 'add location = "/mnt/store" or url = "s3://sectors/pool1"'
                raise self.wrong((*path, "location"), "is missing", remedy)
            return self.path_at(one["location"])
        if "location" in one:
            raise self.wrong(
                (*path, "url"), "conflicts with location", "keep one of them, or add a second [[attached]]"
            )
        settings = BucketSettings(**{name: str(one.get(name, "")) for name in BUCKET})
        if settings.credentials:
            settings = replace(settings, credentials=self.path_at(settings.credentials))
        if settings.credentials and (fault := credentials_fault(FilePath(settings.credentials))):
            what, _, remedy = fault.rpartition(": ")
            raise self.wrong((*path, "credentials"), f"is {settings.credentials!r}; {what}", remedy)
        place = str(one["url"]).rstrip("/")
        self.file.buckets[place] = settings
        return place

    def threads(self, data: dict[str, Any]) -> None:
        """Read the sealing threads: each is a folder for one sector at a time."""
        plans: list[str] = []
        for path, one in self.tables(data, ("sealing_thread",)):
            self.keys(one, path, THREAD)
            own, number = self.table(one, (*path, "sealing")), int(str(path[-1])) + 1
            self.keys(own, (*path, "sealing"), SEALING_KEYS)
            rules = self.rules(own, (*path, "sealing"), of=f"[[sealing_thread]] {number}")
            plan = one.get("plan", "sealer")
            if plan == "wdpost":
                self.note("[[sealing_thread]] with plan wdpost is ignored: start `python -m workers prover`")
                continue
            self.location(path, one, number)
            plans.append(plan)
            host = {key.removeprefix(SEALING): value for key, value in self.file.rules.items()}
            self.takes_any((*path, "sealing", *[one for one in TAKES if one in own][-1:]), host | rules)
            rules |= {PLAN: plan, LOCATION: self.file.locations[-1].path}
            self.file.thread_rules |= {thread_key(number, name): value for name, value in rules.items()}
        if not plans:
            return
        self.file.settings[SECTORS_MAX] = len(plans)
        if not any(plan in NEW_PLANS for plan in plans):
            self.note("no [[sealing_thread]] has plan sealer: this host starts no new sectors")
        for stage, needs in [(stage, spec.plans) for stage, spec in WORKER_STAGES.items() if spec.plans]:
            slots = sum(plan in needs for plan in plans)  # a plan that changes later moves them
            self.file.settings[SLOTS + stage] = min(slots, self.file.settings.get(SLOTS + stage, slots))
            if not slots:
                what = f"no [[sealing_thread]] has plan {' or '.join(needs)}"
                self.note(f"{what}: {stage.lower()} has 0 slots until the host's page or file sets them")

    def location(self, path: Path, one: dict[str, Any], number: int) -> None:
        """Read where a thread seals."""
        if "location" not in one:
            raise self.wrong((*path, "location"), "is missing", 'add location = "/mnt/nvme1/thread1"')
        numbers = {one.path: one.number for one in self.file.locations}
        location = self.path_at(one["location"])
        if location in numbers:
            raise self.wrong(
                (*path, "location"),
                f"is {location!r}, already used by thread {numbers[location]}",
                "give each sealing thread its own folder",
            )
        if not is_folder(location):
            remedy = f"mount its disk, or create it with mkdir -p {location}"
            raise self.wrong((*path, "location"), f"is {location!r}, which does not exist", remedy)
        self.file.locations.append(Location(location, one.get("plan", "sealer"), number))
