"""The processors of a damocles-worker's file: one child each, with its cores, environment, room and locks."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Final

from poolsite.wire.sealing_rule_values import seconds_of
from workers.config_mistakes import FileChecks, near_of, program_fault, program_path
from workers.damocles_keys import CGROUP, LIMITATION, PROCESSOR, count, duration, is_tables
from workers.processors.layer_drives import BATCH_MINUTES
from workers.processors.pool_child import READY_S
from workers.setting_levels import SLOTS
from workers.stage_processors import HostProcessors, StageProcessor

if TYPE_CHECKING:
    from workers.config_mistakes import Path

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
OWN_TABLES: Final = ("limitation", "limit", "ext_locks", "static_tree_d")
"""Tables of `processors` that are no stage's."""
PROGRAMS: Final = {"numa_preferred": "numactl", "cgroup": "taskset", "nice": "nice"}
"""Programs that a processor is started by, by the key that asks for them."""
APART: Final = ("locks", "weight", "auto_restart")
"""Keys by which a processor without cores or environment of its own has a child of its own all the same."""


@dataclass(slots=True)
class _Stage:
    """What is read of one stage's processors."""

    children: list[StageProcessor] = field(default_factory=list)
    slots: int = 0
    """Tasks at a time of those that say so, and one of each other."""
    is_said: bool = True
    """Whether all say how many."""


class ProcessorReader(FileChecks):
    """Reads `[processors]`."""

    def __init__(self, lines: Mapping[Path, int], cpus: int, folder: FilePath) -> None:
        super().__init__(lines)
        self.cpus, self.folder = cpus, folder
        self.settings: dict[str, int] = {}
        self.notes: list[str] = []
        self.locks: dict[str, int] = {}
        self.staggered_s: dict[str, float] = {}
        self.children: list[StageProcessor] = []

    def processors(self) -> HostProcessors:
        """Return the children, and what holds between them."""
        return HostProcessors(children=tuple(self.children), locks=self.locks, staggered_s=self.staggered_s)

    def read(self, processors: dict[str, Any]) -> None:
        """Read limits and processors.  Raises BadFile."""
        self.limitation(processors)
        if "static_tree_d" in processors:
            self.notes.append(
                "processors.static_tree_d is ignored: this host builds the tree of zeros itself"
            )
        for name, value in processors.items():
            if name in OWN_TABLES or not is_tables(value):
                continue
            if name not in (*STAGES, *OTHER_STAGES):
                raise self.wrong(("processors", name, 0), "is not a stage", near_of(name, STAGES))
            self.stage(name, processors)

    def limitation(self, processors: dict[str, Any]) -> None:
        """Read how many of each stage run at a time, how far apart they start, and the locks."""
        path: Path = ("processors", "limitation")
        known = (*STAGES, *OTHER_STAGES)
        limitation = self.table(processors, path)
        self.keys(limitation, path, LIMITATION)
        concurrent = self.table(limitation, (*path, "concurrent"))
        self.keys(concurrent, (*path, "concurrent"), dict.fromkeys(known, count))
        limit = self.table(processors, ("processors", "limit"))
        self.keys(limit, ("processors", "limit"), dict.fromkeys(known, count))
        for name, slots in (concurrent | limit).items():
            if name in STAGES:
                self.settings[SLOTS + STAGES[name]] = slots
        staggered = self.table(limitation, (*path, "staggered"))
        self.keys(staggered, (*path, "staggered"), dict.fromkeys(known, duration))
        for name, gap in staggered.items():
            if task := TASKS.get(name, name if name in STAGES else ""):
                self.staggered_s[task] = seconds_of(gap)
            else:
                self.notes.append(
                    f"the staggered start of {name} is ignored: no child process of this host runs it"
                )
        locks = self.table(processors, ("processors", "ext_locks"))
        self.keys(locks, ("processors", "ext_locks"), dict.fromkeys(locks, count))
        self.locks = dict(locks)

    def stage(self, name: str, processors: dict[str, Any]) -> None:
        """Read the processors of one stage."""
        found = _Stage()
        tables = list(self.tables(processors, ("processors", name)))
        for path, one in tables:
            self.keys(one, path, PROCESSOR)
            self.place_check(one, path)
            self.sectors_check(one, path)
            if name in OTHER_STAGES:
                self.note(f"[[processors.{name}]] is ignored: this host has no such stage")
                continue
            found.slots += one.get("concurrent", one.get("sectors", 1))
            found.is_said &= "concurrent" in one or "sectors" in one
            if name == "transfer":
                self.transfer(one, path)
            elif self.is_apart(one) or len(tables) > 1:
                found.children.append(self.child(name, path, one))
        if name not in STAGES:
            return
        self.children += found.children
        slots = SLOTS + STAGES[name]
        if slots not in self.settings and (found.is_said or len(tables) > 1):
            self.settings[slots] = found.slots
        elif found.is_said and tables:
            self.settings[slots] = min(self.settings[slots], found.slots)

    def note(self, text: str) -> None:
        """Log what is not obeyed, once."""
        if text not in self.notes:
            self.notes.append(text)

    def transfer(self, one: dict[str, Any], path: Path) -> None:
        """Refuse a program that copies; the rest is not obeyed, as no child copies here."""
        if "bin" in one:
            raise self.wrong(
                (*path, "bin"),
                "would copy into stores, which the worker does itself to verify and record checksums",
                "remove bin, and attach its target with [[attached]] as a folder or a mount",
            )
        for key in one:
            if key not in ("args", "concurrent"):
                self.note(f"{key} of [[processors.transfer]] is ignored: the worker copies files itself")

    def is_apart(self, one: dict[str, Any]) -> bool:
        """Return whether a processor cannot be the child that runs all other stages."""
        pinned = "cpuset" in one.get("cgroup", {})
        around = ("bin", "envs", "nice", "numa_preferred", *APART)
        return pinned or not one.get("inherit_envs", True) or any(key in one for key in around)

    def child(self, name: str, path: Path, one: dict[str, Any]) -> StageProcessor:
        """Return one processor of a stage."""
        task, is_foreign = TASKS.get(name, name), "bin" in one
        program = program_path(str(one.get("bin", "")), folder=self.folder)
        around = around_of(one)
        for key, needed in PROGRAMS.items():
            if needed in around and shutil.which(needed) is None:
                raise self.wrong((*path, key), f"needs {needed}", "install it, or remove the key")
        if is_foreign and (fault := program_fault(program)):
            raise self.wrong((*path, "bin"), f"is {program!r}, which cannot be started", fault)
        text = f"[[processors.{name}]]"
        if "group_name" in one.get("cgroup", {}):
            self.note(f"cgroup.group_name of {text} is ignored: cores are set with taskset")
        if not is_foreign and one.get("args", ["processor"])[:1] != ["processor"]:
            self.note(f"args of {text} are ignored without bin: the built-in program takes none")
        if not is_foreign and "stable_wait" in one:
            self.note(f"stable_wait of {text} is ignored without bin: the built-in program may compile first")
        is_waited = is_foreign and "stable_wait" in one
        return StageProcessor(
            stage=task,
            command=(program, *map(str, one.get("args", ("processor", name)))) if is_foreign else (),
            around=around,
            environment=one.get("envs", {}),
            inherits_environment=one.get("inherit_envs", True),
            concurrent=one.get("concurrent", one.get("sectors", 0)),
            sectors=one.get("sectors", 1),
            wait_minutes=one.get("wait_minutes", BATCH_MINUTES),
            locks=tuple(dict.fromkeys(one.get("locks", ()))),
            weight=one.get("weight", 1),
            restarts=one.get("auto_restart", True),
            ready_s=seconds_of(one["stable_wait"]) if is_waited else READY_S,
        )

    def sectors_check(self, one: dict[str, Any], path: Path) -> None:
        """Check how many sectors a request of a processor has.  Raises BadFile."""
        if "sectors" in one and "bin" not in one:
            remedy = "name its program with bin; ours labels batches by [layers]"
            raise self.wrong((*path, "sectors"), "is for other programs than ours", remedy)
        if "wait_minutes" in one and "sectors" not in one:
            raise self.wrong((*path, "wait_minutes"), "needs sectors", "add sectors = 16, or remove it")
        if one.get("concurrent", one.get("sectors", 1)) < one.get("sectors", 1):
            remedy = f"use {one['sectors']} or more, or remove it"
            raise self.wrong((*path, "concurrent"), "is less than the sectors of one request", remedy)

    def place_check(self, one: dict[str, Any], path: Path) -> None:
        """Check the locks of a processor and where it runs.  Raises BadFile."""
        cgroup = self.table(one, (*path, "cgroup"))
        self.keys(cgroup, (*path, "cgroup"), CGROUP)
        for lock in one.get("locks", ()):
            if lock not in self.locks:
                remedy = f"add {lock} = 1 to [processors.ext_locks]"
                raise self.wrong((*path, "locks"), f"names {lock!r}", remedy)
        cpus = cpus_of(cgroup.get("cpuset", ""))
        if cpus and max(cpus) >= self.cpus:
            remedy = f"this machine has cores 0-{self.cpus - 1}"
            raise self.wrong((*path, "cgroup", "cpuset"), f"names core {max(cpus)}", remedy)


def around_of(one: dict[str, Any]) -> tuple[str, ...]:
    """Return what starts a processor with its priority and on its cores."""
    around: list[str] = []
    if "nice" in one:
        around += ["nice", "-n", str(one["nice"])]
    if "numa_preferred" in one:
        around += ["numactl", f"--preferred={one['numa_preferred']}"]
    if cpus := one.get("cgroup", {}).get("cpuset", ""):
        around += ["taskset", "-c", cpus]
    return tuple(around)


def cpus_of(cpus: str) -> set[int]:
    """Return the cores of `0-3,8`."""
    found: set[int] = set()
    for part in filter(None, cpus.split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found
