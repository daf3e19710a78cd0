"""Ratios of figures to their peers' by kind of processor: those kept here, and a run beside them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

BASELINES: Final = Path(__file__).with_name("baselines.json")
"""Of `make bench`, whose peers' figures are published ones scaled to the machine."""
RUST_BASELINES: Final = Path(__file__).with_name("rust_baselines.json")
"""Of `make bench-rust`, which measures the peers in the same run."""
REGRESSED: Final = 0.9
"""Of the ratio kept: below it something of ours has become slower."""
MISSED: Final = 1
"""Exit code of a run in which a limit was missed or a figure has regressed."""
NOT_COMPARED: Final = 2
"""Exit code of a run in which all limits were kept, and ratios had no baselines."""


def processor(cpuinfo: str) -> str:
    """Return a kind of processor, as `AuthenticAMD 26 avx512ifma`: ratios are about the same on all of it."""
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    fields = {name.strip(): value.strip() for name, _, value in lines}
    lanes = [name for name in ("avx512ifma", "sha_ni") if name in fields.get("flags", "").split()]
    return " ".join([fields.get("vendor_id", "unknown"), fields.get("cpu family", ""), *lanes])


class Baselines:
    """The ratios of this kind of processor in a file; a run that keeps its own compares with none."""

    def __init__(self, path: Path, *, command: str, keeps: bool = False) -> None:
        self.path, self.command, self.keeps = path, command, keeps
        self.kind = processor(Path("/proc/cpuinfo").read_text())
        self._all: dict[str, dict[str, float]] = json.loads(path.read_text())
        self._before = dict(self._all.get(self.kind, {}))
        self._measured: dict[str, float] = {}

    def before(self, name: str) -> float | None:
        """Return the ratio that a figure had; None: nothing is kept of it."""
        return None if self.keeps else self._before.get(name)

    def note(self, name: str, ratio: float) -> None:
        """Note the ratio of a figure, to be kept or counted as not compared."""
        self._measured[name] = round(ratio, 2)

    def close(self, missed: int) -> int:
        """Keep the ratios if that is wanted, print how the run has ended, and return its exit code."""
        if self.keeps:
            self._all.setdefault(self.kind, {}).update(self._measured)
            self.path.write_text(json.dumps(self._all, indent=1, sort_keys=True) + "\n")
        without = [] if self.keeps else [name for name in self._measured if name not in self._before]
        if without:
            which = f"; they lack {', '.join(without)}" if self._before else ""
            sys.stdout.write(f"no baselines for {self.kind}{which}; write them by {self.command}\n")
        if missed:
            sys.stdout.write(f"{missed} limits missed\n")
            return MISSED
        sys.stdout.write("limits kept, ratios NOT COMPARED\n" if without else "all limits kept\n")
        return NOT_COMPARED if without else 0


def regressed(ratio: float, before: float | None) -> str:
    """Return `before 3.40 times  REGRESSED` where a ratio is a tenth worse than it was, else nothing."""
    return f"before {before:.2f} times  REGRESSED" if before and ratio < REGRESSED * before else ""
