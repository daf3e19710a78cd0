"""`make bench-rust`: rust-fil-proofs on this machine, beside our kernels in the same run.

Builds `tests/bench/rust` with the crates of the golden vectors (no GPU, no multicore SDR), runs it and
`workers bench` in turns on one core, keeps the best of each, and leaves the reference's figures where
`workers bench` reads them.  A ratio that is a tenth lower than the one kept for this kind of processor
(rust_baselines.json; `--keep` writes it) has regressed: a miss.
Run: python -m tests.bench.rust_proofs [--keep] [ROUNDS]
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.bench.__main__ import machine
from tests.bench.baselines import RUST_BASELINES, Baselines, regressed
from workers.kernels.cache import cache_base
from workers.processors.bench_cases import CASES, FIELD_LINE
from workers.processors.bench_figures import REFERENCE, RUST_FILE, TARGET

HERE: Final = Path(__file__).parent / "rust"
TARGET_VARIABLE: Final = "CARGO_TARGET_DIR"
PROGRAM: Final = "release/poolsite-bench"
OURS: Final = tuple(name for name in CASES if name in REFERENCE and name != FIELD_LINE)

Figures = dict[str, tuple[float, str]]
"""Value and unit by name."""


def build(cargo: str, target: Path) -> Path:
    """Build the reference; cargo goes on where an earlier build was cut off."""
    environment = os.environ | {TARGET_VARIABLE: str(target), "RUSTFLAGS": "-C target-cpu=native"}
    subprocess.run([cargo, "build", "--release", "--locked"], cwd=HERE, env=environment, check=True)
    return target / PROGRAM


def measured(command: list[str], core: int, *, folder: Path) -> Figures:
    """Run a program that prints a figure a line on one core."""
    environment = os.environ | {
        "RAYON_NUM_THREADS": "1",
        "EC_GPU_NUM_THREADS": "1",
        "FIL_PROOFS_CACHE_DIR": f"{folder}/",
        "FIL_PROOFS_PARENT_CACHE": str(folder / "parents"),
    }
    done = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    lines = map(json.loads, done.stdout.splitlines())
    return {line["name"]: (line.get("value", line.get("rate")), line["unit"]) for line in lines}


def better(one: Figures, other: Figures) -> Figures:
    """Keep the best of two runs, line by line."""
    out = dict(one)
    for name, (value, unit) in other.items():
        known = out.get(name, (value, unit))[0]
        out[name] = (max(known, value) if unit.endswith("/s") else min(known, value), unit)
    return out


def ratios(ours: Figures, theirs: Figures) -> dict[str, float]:
    """Return by figure how many times faster we are; several sectors of ours against one of theirs."""
    found = {}
    for name, (value, unit) in ours.items():
        peer = theirs.get(name, theirs.get("labels, one sector") if name.startswith("labels") else None)
        if peer is not None:
            found[name] = value / peer[0] if unit.endswith("/s") else peer[0] / value
    return found


def paired(
    ours: Figures, theirs: Figures, *, targets: Mapping[str, float], baselines: Baselines
) -> tuple[list[str], int]:
    """Return a line for every figure that both have, and how many miss a target or have regressed."""
    lines, missed = [], 0
    for name, ratio in ratios(ours, theirs).items():
        value, unit = ours[name]
        peer = value / ratio if unit.endswith("/s") else value * ratio
        faults = [f"wanted {targets[name]}: MISSED"] if ratio < targets.get(name, 0.0) else []
        faults += filter(None, [regressed(ratio, baselines.before(name))])
        baselines.note(name, ratio)
        missed += bool(faults)
        line = f"{name:<34}{value:>14,.3f}{peer:>14,.3f} {unit:<11}{ratio:>7.2f} times"
        lines.append("   ".join([line, *faults]))
    return lines, missed


def report(ours: Figures, theirs: Figures, *, targets: Mapping[str, float], baselines: Baselines) -> int:
    """Print the pairs and how the run has ended; return its exit code."""
    lines, missed = paired(ours, theirs, targets=targets, baselines=baselines)
    sys.stdout.write(f"{machine()}\n{'':<34}{'here':>14}{'rust':>14}\n" + "\n".join(lines) + "\n")
    return baselines.close(missed)


def baselines_of(module: str, *, keeps: bool) -> Baselines:
    """Return the ratios kept of runs beside the reference, as a module of this folder measures them."""
    return Baselines(RUST_BASELINES, command=f"`python -m tests.bench.{module} --keep`", keeps=keeps)


def figures_write(theirs: Figures) -> None:
    """Leave the reference's figures where `workers bench` reads them."""
    lines = [json.dumps({"name": n, "value": value, "unit": unit}) for n, (value, unit) in theirs.items()]
    cache_base().mkdir(parents=True, exist_ok=True)
    (cache_base() / RUST_FILE).write_text("\n".join(lines) + "\n")


def main(arguments: list[str]) -> int:
    """Build, measure in turns, print the pairs; 1 without cargo, 1 or 2 as `Baselines.close` says."""
    reads = ArgumentParser(prog="python -m tests.bench.rust_proofs", description=__doc__)
    reads.add_argument("rounds", nargs="?", type=int, default=2, help="the best of so many counts")
    reads.add_argument("--keep", action="store_true", help="keep the ratios as those to compare with")
    wanted = reads.parse_args(arguments)
    cargo = shutil.which("cargo")
    if cargo is None:
        sys.stderr.write("bench-rust: there is no cargo on this machine; see https://rustup.rs\n")
        return 1
    rounds: int = wanted.rounds
    folder = cache_base().parent / "rust"
    folder.mkdir(parents=True, exist_ok=True)
    program = build(cargo, Path(os.environ.get(TARGET_VARIABLE) or folder / "target"))
    core, ours, theirs = max(os.sched_getaffinity(0)), Figures(), Figures()
    bench = [sys.executable, "-m", "workers", "bench", "--json", *OURS]
    for turn in range(rounds):
        sys.stderr.write(f"round {turn + 1} of {rounds}, load {os.getloadavg()[0]:.1f}\n")
        theirs = better(theirs, measured([str(program)], core, folder=folder))
        figures_write(theirs)  # what is cut off now is not lost
        ours = better(ours, measured(bench, core, folder=folder))
    return report(ours, theirs, targets=TARGET, baselines=baselines_of("rust_proofs", keeps=wanted.keep))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
