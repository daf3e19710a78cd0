"""`make bench`: every measurement of this folder, beside the peers' figures and the limits.

A module that has `cases()` and `run(case)` takes part; a figure has a name, a value, a unit and,
where there is one, the peer's value, the limit, and what it once was.  A figure whose ratio to its peer is a
tenth lower than the one kept for this kind of processor (baselines.json; `--keep` writes it) has regressed: a
miss.  So is a case that fails; the others are measured all the same.  Without ratios for this kind of
processor the run says so, and ends with 2.
Run: python -m tests.bench [--keep] [MODULE[:PART OF A CASE'S NAME] …]
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import platform
import shlex
import subprocess
import sys
import traceback
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import tests.bench
from tests.bench.baselines import BASELINES, Baselines, regressed

SITE: Final = Path(__file__).resolve().parent.parent.parent

SHORT_S: Final = 10.0
"""Seconds below which thousandths are printed."""
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
    reads = ArgumentParser(
        prog="python -m tests.bench", description="Measure; 1 if a limit was missed, 2 without baselines."
    )
    reads.add_argument(
        "names", nargs="*", metavar="MODULE[:PART]", help="of tests/bench; all if none is named"
    )
    reads.add_argument("--keep", action="store_true", help="keep the ratios as those to compare with")
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


def ratio_of(figure: Any) -> float | None:
    """Return how many times as good as its peer's a figure is; None: it has no peer."""
    peer = getattr(figure, "peer", None)
    if peer is None or not peer or not figure.value:
        return None
    ratio = figure.value / peer if figure.unit.endswith(GREATER_IS_BETTER) else peer / figure.value
    return float(ratio)


def key_of(figure: Any) -> str:
    """Return a figure's name without what it measured beside, such as its memory."""
    return str(figure.name).partition(" (")[0]


def is_within(value: float, limit: float, unit: str) -> bool:
    """Return whether a figure keeps its limit."""
    return value >= limit if unit.endswith(GREATER_IS_BETTER) else value <= limit


def line_of(figure: Any, before: float | None = None) -> tuple[str, bool]:
    """Return a figure's line, and whether it keeps its limit and its ratio of before."""
    digits = getattr(figure, "digits", 1)
    value, unit = figure.value, figure.unit
    if digits == 1 and unit == "s" and value < SHORT_S:
        digits = 3
    parts = [f"  {figure.name:<64} {value:>12,.{digits}f} {unit}"]
    peer, limit = getattr(figure, "peer", None), getattr(figure, "limit", None)
    ratio = ratio_of(figure)
    if ratio is not None:
        parts.append(f"peer {peer:,.{digits}f}, {ratio:.2f} times")
    is_good = limit is None or is_within(value, limit, unit)
    if limit is not None:
        parts.append(f"limit {limit:,.{digits}f}{'' if is_good else '  MISSED'}")
    if (was := getattr(figure, "before", None)) is not None:
        parts.append(f"once {was:,.{digits}f}")
    if ratio is not None and (fault := regressed(ratio, before)):
        parts.append(fault)
        is_good = False
    return "   ".join(parts), is_good


def figures_of(module: Any, names: list[str]) -> Iterator[Any]:
    """Yield the figures of a module's cases, and of what fails its error, once its traceback is printed."""
    cases = cases_named(module, names)
    while True:
        try:
            # Cases that fail to be listed end: they cannot be asked for the next one.
            figure = module.run(case) if (case := next(cases, None)) is not None else None
        except Exception as error:  # noqa: BLE001  # hours of other cases do not end with this one
            traceback.print_exc()
            figure = error
        if figure is None:
            return
        yield figure


def main(names: list[str], *, keeps: bool = False) -> int:
    """Measure and print; 1 if a limit was missed or a figure has regressed, 2 if ratios had no baselines."""
    os.environ.setdefault("LOG_LEVEL", "ERROR")  # a line for each request would be measured too
    sys.stdout.write(f"{machine()}\n")
    command = f"`{shlex.join(['python', '-m', 'tests.bench', '--keep', *names])}`"
    missed, baselines = 0, Baselines(BASELINES, command=command, keeps=keeps)
    for module in modules_named(names):
        sys.stdout.write(f"{module.__name__.rpartition('.')[2]}\n")
        for figure in figures_of(module, names):
            if isinstance(figure, Exception):
                sys.stdout.write(f"  FAILED: {figure!r}\n")
                missed += 1
                continue
            text, is_good = line_of(figure, baselines.before(key_of(figure)))
            missed += not is_good
            if (ratio := ratio_of(figure)) is not None:
                baselines.note(key_of(figure), ratio)
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
    return baselines.close(missed)


if __name__ == "__main__":
    given = parser().parse_args()
    sys.exit(main(given.names, keeps=given.keep))
