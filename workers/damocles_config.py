"""Reading a damocles-worker's file: what of it this host obeys; mistakes by line, key and remedy.

Its tables may stand in `config.toml` as they are.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from glob import glob
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Final

from workers.damocles_keys import (
    ATTACHED,
    LIMITATION,
    PLAIN_TABLES,
    PROCESSOR,
    SEALING,
    THREAD,
    count,
    cpuset,
    duration,
    text,
)
from workers.host_settings import SECTORS_MAX, SLOTS
from workers.storage.store import MARK

if TYPE_CHECKING:
    from collections.abc import Iterator

STAGES: Final = {
    "add_pieces": "ADD_PIECE",
    "tree_d": "TREE_D",
    "pc1": "PC1",
    "pc2": "PC2",
    "c1": "C1",
    "c2": "C2",
    "transfer": "PERSIST",
    "unseal": "UNSEAL",
    "snap_encode": "SNAP_ENCODE",
    "snap_prove": "SNAP_PROVE",
}
"""Its stages, and ours."""
TASKS: Final = {"add_pieces": "add_piece", "transfer": ""}
"""Our kernels' names where they differ; empty: no child runs it here."""
OTHER_STAGES: Final = ("synth_proof", "window_post", "sealing_daemons")
"""Its stages of which a sealing host here has none: read, and not obeyed."""
TABLES: Final = ("worker", "metrics", "sector_manager", "sealing", "sealing_thread", "attached", "processors")
"""Its tables; those that are not ours mark a file as damocles'."""

PROGRAMS: Final = {"numa_preferred": "numactl", "cgroup": "taskset", "nice": "nice", "envs": "env"}
"""Programs that a processor is started by, by the key that asks for them."""
HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?")
KEY: Final = re.compile(r"\s*([\w\"'.-]+)\s*=")

Path = tuple[str | int, ...]
Kind = Callable[[Any], str]
"""Checks a value: returns what to write instead, or nothing."""


class BadFile(ValueError):
    """A mistake in the file: line, key, remedy."""


@dataclass(slots=True)
class DamoclesFile:
    """What of a damocles-worker's file this host obeys."""

    name: str = ""
    settings: dict[str, int] = field(default_factory=dict)
    processors: dict[str, tuple[str, ...]] = field(default_factory=dict)
    stores: list[str] = field(default_factory=list)
    read_only: list[str] = field(default_factory=list)
    """Of `stores`, those into which nothing is put."""
    notes: list[str] = field(default_factory=list)
    """What is read and not obeyed, with what to do instead."""


def is_damocles(data: dict[str, Any]) -> bool:
    """Return whether a file has tables of a damocles-worker's."""
    processors = data.get("processors", {})
    is_theirs = isinstance(processors, dict) and any(
        name in ("limitation", "limit", "ext_locks", "static_tree_d") or _is_tables(value)
        for name, value in processors.items()
    )
    return is_theirs or any(name in data for name in TABLES if name != "processors")


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, dict) for one in value)


def damocles_read(data: dict[str, Any], text: str, *, cpus: int) -> DamoclesFile:
    """Read the tables of a damocles-worker's file; ours beside them are left alone.  Raises BadFile."""
    return _Reader(text, cpus).read(data)


def lines_of(text: str) -> dict[Path, int]:
    """Return the line of each key and table, by its path; a table of an array counts from 0."""
    found: dict[Path, int] = {}
    here: Path = ()
    counts: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := HEADER.fullmatch(line):
            names = tuple(part.strip().strip("\"'") for part in header[2].split("."))
            if header[1] == "[[":
                counts[names] = counts.get(names, -1) + 1
            here = _indexed(names, counts)
            found.setdefault(here, number)
        elif key := KEY.match(line):
            names = tuple(part.strip().strip("\"'") for part in key[1].split("."))
            found.setdefault((*here, *names), number)
    return found


def _indexed(names: tuple[str, ...], counts: dict[tuple[str, ...], int]) -> Path:
    path: list[str | int] = []
    for end in range(1, len(names) + 1):
        path.append(names[end - 1])
        if names[:end] in counts:
            path.append(counts[names[:end]])
    return tuple(path)


class _Reader:
    """One reading."""

    def __init__(self, text: str, cpus: int) -> None:
        self.lines, self.cpus, self.file = lines_of(text), cpus, DamoclesFile()

    def read(self, data: dict[str, Any]) -> DamoclesFile:
        for table, keys in PLAIN_TABLES.items():
            self.keys(self.table(data, (table,)), (table,), keys)
        self.file.name = data.get("worker", {}).get("name", "")
        for name in ("sector_manager", "metrics"):
            if name in data:
                self.note(f"[{name}] is not obeyed: the console is --console, metrics its /metrics")
        if data.get("sealing"):
            self.note("[sealing] is not obeyed: the console decides what is sealed")
        self.stores(data)
        self.threads(data)
        processors = self.table(data, ("processors",))
        self.limitation(processors)
        self.processors(processors)
        return self.file

    def note(self, words: str) -> None:
        """Log what is not obeyed."""
        self.file.notes.append(words)

    def wrong(self, path: Path, what: str, remedy: str) -> BadFile:
        """Return a mistake, at the line of the nearest known part of its path."""
        shown = ".".join(str(part) for part in path if not isinstance(part, int))
        near = path
        while near and near not in self.lines:
            near = near[:-1]
        line = self.lines.get(near)
        where = f"line {line}: " if line is not None else ""
        return BadFile(f"{where}{shown} {what}: {remedy}")

    def table(self, data: dict[str, Any], path: Path) -> dict[str, Any]:
        """Return a table; an absent one is empty."""
        value = data.get(str(path[-1]), {})
        if not isinstance(value, dict):
            raise self.wrong(path, "is no table", f"write [{path[-1]}] on a line of its own")
        return value

    def tables(self, data: dict[str, Any], path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Return the tables of an array with their paths."""
        value = data.get(str(path[-1]), [])
        dotted = ".".join(str(part) for part in path)
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.wrong(path, "is no array of tables", f"write [[{dotted}]] on a line of its own")
        for number, one in enumerate(value):
            yield (*path, number), one

    def keys(self, table: dict[str, Any], path: Path, known: Mapping[str, Kind]) -> None:
        """Check names and values."""
        for name, value in table.items():
            if name not in known:
                near = get_close_matches(name, known, 1)
                raise self.wrong(
                    (*path, name),
                    "is unknown",
                    f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}",
                )
            fault = known[name](value)
            if fault:
                raise self.wrong((*path, name), f"is {value!r}", fault)

    def stores(self, data: dict[str, Any]) -> None:
        """Read where finished sectors lie."""
        names: set[str] = set()
        for path, one in self.tables(data, ("attached",)):
            self.keys(one, path, ATTACHED)
            if "location" not in one:
                raise self.wrong((*path, "location"), "is missing", 'write location = "/mnt/store"')
            name = str(one.get("name", one["location"]))
            if name in names:
                raise self.wrong((*path, "name"), f"is {name!r} twice", "give each store a name of its own")
            names.add(name)
            self.file.stores.append(one["location"])
            if one.get("readonly", False):
                self.file.read_only.append(one["location"])
        for pattern in data.get("worker", {}).get("scan_persist_stores", []):
            found = sorted(glob(f"{pattern}/{MARK}"))
            self.file.stores += [str(FilePath(mark).parent) for mark in found]

    def threads(self, data: dict[str, Any]) -> None:
        """Read the sealing threads: each is a sector at a time."""
        places: dict[str, int] = {}
        sealing = 0
        for path, one in self.tables(data, ("sealing_thread",)):
            self.keys(one, path, THREAD)
            self.keys(self.table(one, (*path, "sealing")), (*path, "sealing"), SEALING)
            plan = one.get("plan", "sealer")
            if "location" not in one and plan != "wdpost":
                raise self.wrong((*path, "location"), "is missing", 'write location = "/mnt/nvme1/thread1"')
            location = str(one.get("location", ""))
            if location and location in places:
                raise self.wrong(
                    (*path, "location"),
                    f"is {location!r} as of thread {places[location]}",
                    "give each sealing thread a folder of its own",
                )
            places[location] = int(str(path[-1])) + 1
            if plan == "sealer":
                sealing += 1
            else:
                self.note(f"[[sealing_thread]] with plan {plan} is not obeyed: the console plans")
        if sealing:
            self.file.settings[SECTORS_MAX] = sealing
            self.note("locations of threads are not obeyed: all sectors are sealed in --dir")

    def limitation(self, processors: dict[str, Any]) -> None:
        """Read how many of each stage run at a time."""
        path: Path = ("processors", "limitation")
        limitation = self.table(processors, path)
        self.keys(limitation, path, LIMITATION)
        concurrent = self.table(limitation, (*path, "concurrent"))
        concurrent = concurrent | self.table(processors, ("processors", "limit"))
        self.keys(concurrent, (*path, "concurrent"), dict.fromkeys((*STAGES, *OTHER_STAGES), count))
        for name, slots in concurrent.items():
            if name in STAGES:
                self.file.settings[SLOTS + STAGES[name]] = slots
        staggered = self.table(limitation, (*path, "staggered"))
        self.keys(staggered, (*path, "staggered"), dict.fromkeys((*STAGES, *OTHER_STAGES), duration))
        if staggered:
            self.note("staggered starts are not obeyed: sectors are labelled side by side")

    def processors(self, processors: dict[str, Any]) -> None:
        """Read the processors of each stage."""
        locks = self.table(processors, ("processors", "ext_locks"))
        self.keys(locks, ("processors", "ext_locks"), dict.fromkeys(locks, count))
        pinned: dict[str, set[int]] = {}
        for name, value in processors.items():
            if name in ("limitation", "limit", "ext_locks", "static_tree_d") or not _is_tables(value):
                continue
            if name not in (*STAGES, *OTHER_STAGES):
                near = get_close_matches(name, STAGES, 1)
                remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(STAGES)}"
                raise self.wrong(("processors", name, 0), "is no stage", remedy)
            for path, one in self.tables(processors, ("processors", name)):
                self.processor(name, path, one, locks=locks, pinned=pinned)
        total = sum(len(cpus) for cpus in pinned.values())
        if total > self.cpus:
            each = " + ".join(f"{len(cpus)} of {name}" for name, cpus in pinned.items())
            raise self.wrong(
                ("processors",),
                f"pin {each} = {total} cores, and this machine has {self.cpus}",
                "make the cpusets smaller, or leave them out",
            )

    def processor(
        self,
        name: str,
        path: Path,
        one: dict[str, Any],
        *,
        locks: dict[str, Any],
        pinned: dict[str, set[int]],
    ) -> None:
        """Read one processor of a stage."""
        self.keys(one, path, PROCESSOR)
        cpus = self.place_check(one, path, locks=locks)
        if cpus:
            pinned[f"{name} ({path[-1]})"] = cpus
        if name not in STAGES:
            self.note(f"[[processors.{name}]] is not obeyed: this host has no such stage")
            return
        slots = SLOTS + STAGES[name]
        if "concurrent" in one and slots not in self.file.settings:
            self.file.settings[slots] = one["concurrent"]
        task = TASKS.get(name, name)
        command = command_of(one, task, one.get("cgroup", {}).get("cpuset", ""))
        if command and (not task or task in self.file.processors):
            why = "has two processors of its own" if task else "is the worker's own here"
            remedy = "keep one of them" if task else f"keep [[processors.{name}]] without bin and the like"
            raise self.wrong(path, why, remedy)
        for key, program in PROGRAMS.items():
            if program in command and shutil.which(program) is None:
                raise self.wrong((*path, key), f"needs {program}", "install it, or leave the key out")
        if command:
            self.file.processors[task] = command
        if one.get("locks"):
            self.note(f"locks of [[processors.{name}]] are not obeyed: give it one slot")

    def place_check(self, one: dict[str, Any], path: Path, *, locks: dict[str, Any]) -> set[int]:
        """Check the locks of a processor and where it runs; gives its cores."""
        cgroup = self.table(one, (*path, "cgroup"))
        self.keys(cgroup, (*path, "cgroup"), {"group_name": text, "cpuset": cpuset})
        for lock in one.get("locks", ()):
            if lock not in locks:
                remedy = f"add {lock} = 1 to [processors.ext_locks]"
                raise self.wrong((*path, "locks"), f"names {lock!r}", remedy)
        cpus = cpus_of(cgroup.get("cpuset", ""))
        if cpus and max(cpus) >= self.cpus:
            remedy = f"this machine has cores 0-{self.cpus - 1}"
            raise self.wrong((*path, "cgroup", "cpuset"), f"names core {max(cpus)}", remedy)
        return cpus


def command_of(one: dict[str, Any], task: str, pinned: str) -> tuple[str, ...]:
    """Return the command of a processor with its environment, cores and priority; empty: ours, plain."""
    around: list[str] = []
    if one.get("envs") or not one.get("inherit_envs", True):
        around += ["env", *(() if one.get("inherit_envs", True) else ("-i",))]
        around += [f"{key}={value}" for key, value in one.get("envs", {}).items()]
    if "nice" in one:
        around += ["nice", "-n", str(one["nice"])]
    if "numa_preferred" in one:
        around += ["numactl", f"--preferred={one['numa_preferred']}"]
    if pinned:
        around += ["taskset", "-c", pinned]
    if not around and "bin" not in one:
        return ()
    binary = [str(one["bin"])] if "bin" in one else [sys.executable, "-m", "workers.processors"]
    default = ("processor", task) if "bin" in one else (task,)
    return (*around, *binary, *map(str, one.get("args", default)))


def cpus_of(cpus: str) -> set[int]:
    """Return the cores of `0-3,8`."""
    found: set[int] = set()
    for part in filter(None, cpus.split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found
