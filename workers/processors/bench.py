"""`python -m workers bench`: how fast this machine computes, on one pinned core, beside the Rust original.

CPU time, best of three passes, compile time left out.  The reference figures are those of
rust-fil-proofs 19.1.0: measured on this machine where `make bench-rust` has left them, else the
published ones of `REFERENCE`, scaled by the line of what each rests on: SHA-256, or field arithmetic.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Sequence

from workers.kernels import labels
from workers.kernels.cpu import FORCE_VARIABLE
from workers.processors import scaling_check
from workers.processors.bench_cases import CASES, labels_rate, parameters_of_size
from workers.processors.bench_figures import TARGET, Figure, reference_of
from workers.processors.errors import BadInput
from workers.processors.parallel import THREADS_VARIABLE
from workers.processors.terminal import size_argument
from workers.storage.memory import NotEnoughMemory, memory_check

PORTABLE = (
    "comm_p 8 MiB",
    "poseidon arity 2",
    "poseidon arity 8",
    "poseidon arity 11",
    "labels, one sector",
    "labels, four sectors",
)
"""Cases that have a line of their own on the portable path."""

BOTH = "two cores: "
TWO_CORES_TARGET = 1.8
NAMES = (
    *CASES,
    *(f"portable: {name}" for name in PORTABLE),
    *(f"{BOTH}{name}" for name in scaling_check.CASES),
)
"""Every line of the report."""


def measure(name: str) -> Figure:
    """Measure one case.

    `portable: …` forces the path without special instructions, `two cores: …` compares with one core.
    """
    if name.startswith(BOTH):
        two, one = scaling_check.speeds(name.removeprefix(BOTH))
        return Figure(name, two, "passes/s", one, one * TWO_CORES_TARGET)
    plain = name.removeprefix("portable: ")
    unit, work = CASES[plain]
    if plain != name:
        before = os.environ.get(FORCE_VARIABLE, "")
        os.environ[FORCE_VARIABLE] = "portable"
        try:
            return Figure(name, work(), unit, reference_of(plain, unit))
        finally:
            os.environ[FORCE_VARIABLE] = before
    figure = Figure(name, work(), unit, reference_of(name, unit))
    target = TARGET.get(name)
    if target is None or figure.peer is None:
        return figure
    limit = figure.peer * target if unit.endswith("/s") else figure.peer / target
    return dataclasses.replace(figure, limit=limit)


def pin() -> None:
    """Keep this process on one core and all stages on one thread."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.environ[THREADS_VARIABLE] = "1"


def main(arguments: Sequence[str]) -> int:
    """Print the table, or one JSON object a line."""
    parser = argparse.ArgumentParser(prog="python -m workers bench", description=__doc__)
    parser.add_argument("--size", type=_labelled_size, help="also time labelling at this sector size")
    parser.add_argument(
        "--streams", type=int, choices=labels.batches(), default=1, help="sectors labelled in parallel"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("name", nargs="*", help="run only these cases")
    wanted = parser.parse_args(arguments)
    pin()
    for name in wanted.name or NAMES:
        if name not in NAMES and name.removeprefix("portable: ") not in CASES:
            sys.stderr.write(f"bench: unknown case {name!r}\n")
            return 1
        _say(measure(name), as_json=wanted.json)
    if wanted.size:
        rate = labels_rate(wanted.streams, wanted.size)
        _say(
            Figure(f"labels, {wanted.streams} sectors of {wanted.size >> 20} MiB", rate, "M labels/s"),
            as_json=wanted.json,
        )
    return 0


def _labelled_size(text: str) -> int:
    size = size_argument(text)
    try:
        parameters_of_size(size)
        memory_check(2 * size, "labelling")
    except (BadInput, NotEnoughMemory) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return size


def _say(figure: Figure, *, as_json: bool) -> None:
    if as_json:
        value = {
            "name": figure.name,
            "rate": figure.value,
            "unit": figure.unit,
            "reference": figure.peer,
            "ratio": figure.ratio,
        }
        line = json.dumps(value)
    else:
        peer = "" if figure.peer is None else f"{figure.peer:>12,.2f}   {figure.ratio:>6.2f} times"
        line = f"{figure.name:<44}{figure.value:>14,.2f} {figure.unit:<11}{peer}"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
