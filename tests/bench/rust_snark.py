"""NTT, h and MSM by bellperson and by us on the same inputs in the same run; their results must be the same.

In turns on one core: CPU time, the best of the rounds.  A ratio that is a tenth lower than the one kept for
this kind of processor (rust_baselines.json; `--keep` writes it) has regressed: a miss.
Run: python -m tests.bench.rust_snark [--keep] [--rounds N] [CASE …]
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from tests.bench.rust_proofs import TARGET_VARIABLE, Figures, baselines_of, better, build, report
from tests.bench.snark import TARGETS
from workers.kernels.cache import cache_base

CASES: Final = (
    "NTT 2^20",
    "NTT 2^22",
    "h 2^17",
    "h 2^20",
    "MSM G1 2^15",
    "MSM G1 2^17",
    "MSM G2 2^16",
)
ONE_THREAD: Final = {"RAYON_NUM_THREADS": "1", "EC_GPU_NUM_THREADS": "1"}


class Disagreement(Exception):
    """Both were given the same, and one result is not the other's."""


def lines_of(command: list[str], core: int) -> list[dict[str, Any]]:
    """Run a program that prints a JSON object a line on one core."""
    done = subprocess.run(
        command,
        env=os.environ | ONE_THREAD,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def compared(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> tuple[Figures, Figures]:
    """Return the figures of both.  Raises Disagreement."""
    for mine, other in zip(ours, theirs, strict=True):
        if mine["digest"] != other["digest"]:
            raise Disagreement(f"{mine['name']}: {mine['digest']} here, {other['digest']} there")
    one, two = ({line["name"]: (line["value"], line["unit"]) for line in lines} for lines in (ours, theirs))
    return one, two


def main(arguments: list[str]) -> int:
    """Build, measure in turns, compare; 1 without cargo or if results differ, else what `report` returns."""
    reads = ArgumentParser(prog="python -m tests.bench.rust_snark", description=__doc__)
    reads.add_argument("cases", nargs="*", metavar="CASE", help="such as 'NTT 2^20', 'h 2^17', 'MSM G1 2^15'")
    reads.add_argument("--rounds", type=int, default=2, help="the best of so many counts")
    reads.add_argument("--keep", action="store_true", help="keep the ratios as those to compare with")
    wanted = reads.parse_args(arguments)
    cargo = shutil.which("cargo")
    if cargo is None:
        sys.stderr.write("bench-rust: there is no cargo on this machine; see https://rustup.rs\n")
        return 1
    base = cache_base().parent / "rust"
    base.mkdir(parents=True, exist_ok=True)
    program = build(cargo, Path(os.environ.get(TARGET_VARIABLE) or base / "target"))
    cases, core = wanted.cases or list(CASES), max(os.sched_getaffinity(0))
    ours, theirs = Figures(), Figures()
    for turn in range(wanted.rounds):
        sys.stderr.write(f"round {turn + 1} of {wanted.rounds}, load {os.getloadavg()[0]:.1f}\n")
        for case in cases:
            there = lines_of([str(program), "snark", case], core)
            here = lines_of([sys.executable, "-m", "tests.bench.snark_kernels", case], core)
            try:
                mine, other = compared(here, there)
            except Disagreement as error:
                sys.stderr.write(f"bench-rust: {error}\n")
                return 1
            ours, theirs = better(ours, mine), better(theirs, other)
    return report(ours, theirs, targets=TARGETS, baselines=baselines_of("rust_snark", keeps=wanted.keep))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
