"""Mistakes in a worker's file: each with its line, its key and its remedy."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Any, Final

HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?")
KEY: Final = re.compile(r"""\s*((?:[\w.-]|"[^"]*"|'[^']*')+)\s*=""")

TWICE: Final = ("overwrite", "twice", "redefine", "mutate")
"""What tomllib says of a key or table that is there already."""

Path = tuple[str | int, ...]
Kind = Callable[[Any], str]
"""Checks a value: returns what to write instead, or nothing."""


class BadConfig(ValueError):
    """A setting that cannot be used; the text is one sentence for the terminal."""


class BadFile(ValueError):
    """A mistake in the file: line, key, remedy."""


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
            for end in range(1, len(here) + 1):
                found.setdefault(here[:end], number)
        elif key := KEY.match(line):
            names = tuple(part.strip().strip("\"'") for part in key[1].split("."))
            for end in range(1, len(names) + 1):
                found.setdefault((*here, *names[:end]), number)
    return found


def _indexed(names: tuple[str, ...], counts: dict[tuple[str, ...], int]) -> Path:
    path: list[str | int] = []
    for end in range(1, len(names) + 1):
        path.append(names[end - 1])
        if names[:end] in counts:
            path.append(counts[names[:end]])
    return tuple(path)


def near_of(name: str, known: Iterable[str]) -> str:
    """Return the remedy for an unknown name."""
    names = list(known)
    near = get_close_matches(name, names, 1)
    if near:
        return f"did you mean {near[0]}?"
    return f"use one of {', '.join(names)}" if len(names) > 1 else f"use {names[0]}"


def program_fault(program: str) -> str:
    """Return what to do about a program that cannot be started from here; nothing if it can."""
    if shutil.which(program) is not None:
        return ""
    if os.path.exists(program):
        return f"make it executable with chmod +x {program}"
    return "install it there, or fix the path" if "/" in program else "install it, or give its full path"


def program_path(program: str, *, folder: FilePath) -> str:
    """Return a file's program: a relative path begins in the file's folder, a bare name is looked up."""
    return os.path.normpath(folder / program) if "/" in program else program


def syntax_mistake(text: str, error: tomllib.TOMLDecodeError) -> str:
    """Return a text that is no TOML in words: its line, what stands there, and the remedy."""
    what, _, where = str(error).rpartition(" (at ")
    lines = text.splitlines()
    found = re.match(r"line (\d+)", where)
    number = int(found[1]) if found is not None else len(lines)
    shown = lines[number - 1].strip()[:80] if 0 < number <= len(lines) else ""
    if any(part in what for part in TWICE):
        remedy = "it is defined twice: keep one of them"
    elif KEY.match(shown):
        remedy = 'use name = value: a quoted string ("30s"), a number, true, false or a list (["a"])'
    else:
        remedy = "use [table], [[table]] or name = value"
    return f"line {number}: {shown!r} cannot be read ({what or error}): {remedy}"


class FileChecks:
    """Checks of one file's tables, keys and values."""

    def __init__(self, lines: Mapping[Path, int]) -> None:
        self.lines = lines

    def wrong(self, path: Path, what: str, remedy: str) -> BadFile:
        """Return a mistake, at the line of the nearest known part of its path."""
        shown = ".".join(str(part) for part in path if not isinstance(part, int))
        near = path
        while near and near not in self.lines and (*near, 0) not in self.lines:
            near = near[:-1]
        line = self.lines.get(near, self.lines.get((*near, 0)))
        where = f"line {line}: " if line is not None else ""
        return BadFile(f"{where}{shown} {what}: {remedy}")

    def table(self, data: dict[str, Any], path: Path) -> dict[str, Any]:
        """Return a table; an absent one is empty.  Raises BadFile."""
        value = data.get(str(path[-1]), {})
        if not isinstance(value, dict):
            name = ".".join(str(part) for part in path if not isinstance(part, int))
            raise self.wrong(
                path, "is not a table", f"put [{name}] on a line of its own, with its keys below"
            )
        return value

    def tables(self, data: dict[str, Any], path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Return the tables of an array with their paths.  Raises BadFile."""
        value = data.get(str(path[-1]), [])
        dotted = ".".join(str(part) for part in path)
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.wrong(path, "is not an array of tables", f"put [[{dotted}]] on a line of its own")
        for number, one in enumerate(value):
            yield (*path, number), one

    def keys(self, table: dict[str, Any], path: Path, known: Mapping[str, Kind]) -> None:
        """Check names and values.  Raises BadFile."""
        for name, value in table.items():
            if name not in known:
                raise self.wrong((*path, name), "is unknown", near_of(name, known))
            fault = known[name](value)
            if fault:
                raise self.wrong((*path, name), f"is {value!r}", fault)
