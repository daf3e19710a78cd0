"""`make bench`: every measurement of this folder, beside the peers' figures and the limits.

A module that has `cases()` and `run(case)` takes part; a figure has a name, a value, a unit and,
where there is one, the peer's value and the limit.
Run: python -m tests.bench [MODULE[:PART OF A CASE'S NAME] …]
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import platform
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tests.bench

if TYPE_CHECKING:
    from collections.abc import Iterator

SITE: Final = Path(__file__).resolve().parent.parent.parent

GREATER_IS_BETTER: Final = ("/s",)
"""Units that end so are rates; all others are costs."""


def modules_named(names: list[str]) -> list[Any]:
    """Return the measuring modules: all, or those named.  Exits with 2 for a name that none has."""
    entries = pkgutil.iter_modules(tests.bench.__path__)
    found = [entry.name for entry in entries if not entry.name.startswith(("test_", "_"))]
    wanted = list(dict.fromkeys(name.partition(":")[0] for name in names)) or found
    if unknown := [name for name in wanted if name not in found]:
        parser().error(f"no module is called {', '.join(unknown)}: there are {', '.join(found)}")
    modules = [importlib.import_module(f"tests.bench.{name}") for name in wanted]
    return [module for module in modules if hasattr(module, "cases") and hasattr(module, "run")]


def cases_named(module: Any, names: list[str]) -> Iterator[Any]:
    """Yield the cases of a module, as they come: all, or those of which a part was named."""
    own = module.__name__.rpartition(".")[2]
    parts = [part for name, _, part in (name.partition(":") for name in names) if name == own]
    for case in module.cases():
        if not parts or any(part in getattr(case, "name", str(case)) for part in parts):
            yield case


def parser() -> ArgumentParser:
    """Return what reads the command line."""
    reads = ArgumentParser(prog="python -m tests.bench", description="Measure; 1 if a limit was missed.")
    reads.add_argument(
        "names", nargs="*", metavar="MODULE[:PART]", help="of tests/bench; all if none is named"
    )
    return reads


def machine() -> str:
    """Say where the figures come from."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    git = ["git", "-C", str(SITE), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or "no commit"
    return f"{model}, {os.cpu_count()} threads, Python {platform.python_version()}, {commit}"


def is_within(value: float, limit: float, unit: str) -> bool:
    """Return whether a figure keeps its limit."""
    return value >= limit if unit.endswith(GREATER_IS_BETTER) else value <= limit


def line_of(figure: Any) -> tuple[str, bool]:
    """Return a figure's line, and whether it keeps its limit."""
    digits = getattr(figure, "digits", 1)
    parts = [f"  {figure.name:<64} {figure.value:>12,.{digits}f} {figure.unit}"]
    peer, limit = getattr(figure, "peer", None), getattr(figure, "limit", None)
    if peer is not None:
        parts.append(f"peer {peer:,.1f}")
    is_good = limit is None or is_within(figure.value, limit, figure.unit)
    if limit is not None:
        parts.append(f"limit {limit:,.1f}{'' if is_good else '  MISSED'}")
    return "   ".join(parts), is_good


def main(names: list[str]) -> int:
    """Measure and print; 1 if a limit was missed."""
    os.environ.setdefault("LOG_LEVEL", "ERROR")  # a line for each request would be measured too
    sys.stdout.write(f"{machine()}\n")
    missed = 0
    for module in modules_named(names):
        sys.stdout.write(f"{module.__name__.rpartition('.')[2]}\n")
        for case in cases_named(module, names):
            text, is_good = line_of(module.run(case))
            missed += not is_good
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{missed} limits missed\n" if missed else "all limits kept\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(parser().parse_args().names))
