"""One whole sector sealed by rust-fil-proofs and by us on all cores, in one run: wall, CPU, peak memory.

Both read the same piece and the same parent cache file, and must end with the same comm_r.
Run: python -m tests.bench.rust_sector [8MiB|512MiB]
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from tests.bench.__main__ import machine
from tests.bench.rust_proofs import TARGET_VARIABLE, build
from workers.kernels.cache import cache_base
from workers.processors.parent_cache import parents_of
from workers.processors.sector_record import parameters_of
from workers.processors.terminal import size_argument

TICKET, SEED = "02" * 32, "03" * 32
STAGES: Final = {"add_piece": ("add_piece",), "PC1": ("tree_d", "pc1"), "PC2": ("pc2",), "C1": ("c1",)}
"""Stages of the reference, and the ones of `workers seal` that do the same work."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What sealing one sector took: seconds by stage, CPU seconds and peak resident bytes of all."""

    seconds: dict[str, float]
    cpu: float
    peak: int
    comm_r: str


def ran(command: list[str], environment: dict[str, str]) -> tuple[str, float, int]:
    """Run a program; return its output, its CPU seconds and its peak resident bytes."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{command[0]} ended with {os.waitstatus_to_exitcode(status)}")
    process.returncode = 0
    return output, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def by_rust(program: Path, size: int, *, piece: Path, environment: dict[str, str]) -> Sealed:
    """Seal with the reference."""
    with TemporaryDirectory(dir=piece.parent) as folder:
        output, cpu, peak = ran([str(program), str(size), str(piece), folder], environment)
    lines = [json.loads(line) for line in output.splitlines()]
    seconds = {line["name"]: line["value"] for line in lines if line["name"] in STAGES}
    return Sealed(seconds, cpu, peak, next(line["name"] for line in lines if line["unit"] == "comm_r"))


def by_us(size: str, *, piece: Path, environment: dict[str, str]) -> Sealed:
    """Seal with `python -m workers seal`."""
    command = [sys.executable, "-m", "workers", "seal", "--size", size, "--miner", "f01000", "--number", "1"]
    command += ["--ticket", TICKET, "--seed", SEED, "--pieces", str(piece)]
    with TemporaryDirectory(dir=piece.parent) as folder:
        output, cpu, peak = ran([*command, "--out", folder], environment)
    told = json.loads(output)
    seconds = {name: sum(told["seconds"][part] for part in parts) for name, parts in STAGES.items()}
    return Sealed(seconds, cpu, peak, told["comm_r"])


def report(ours: Sealed, theirs: Sealed) -> list[str]:
    """Return the pairs as lines."""
    lines = [f"{'':<24}{'here':>12}{'rust':>12}"]
    for name in STAGES:
        mine, other = ours.seconds[name], theirs.seconds[name]
        lines.append(f"{name + ', wall':<24}{mine:>10.2f} s{other:>10.2f} s{other / mine:>8.2f} times")
    lines.append(
        f"{'all, CPU':<24}{ours.cpu:>10.2f} s{theirs.cpu:>10.2f} s{theirs.cpu / ours.cpu:>8.2f} times"
    )
    gib = [one.peak / (1 << 30) for one in (ours, theirs)]
    lines.append(f"{'peak resident':<24}{gib[0]:>8.2f} GiB{gib[1]:>8.2f} GiB{gib[1] / gib[0]:>8.2f} times")
    return lines


def main(arguments: list[str]) -> int:
    """Build, seal with both, print the pairs; 1 if they disagree or cargo is missing."""
    cargo = shutil.which("cargo")
    if cargo is None:
        sys.stderr.write("bench-rust: there is no cargo on this machine; see https://rustup.rs\n")
        return 1
    size = arguments[0] if arguments else "512MiB"
    size_bytes = size_argument(size)
    base = cache_base().parent / "rust"
    base.mkdir(parents=True, exist_ok=True)
    program = build(cargo, Path(os.environ.get(TARGET_VARIABLE) or base / "target"))
    environment = os.environ | {"FIL_PROOFS_PARENT_CACHE": str(base / "parents")}
    os.environ.update(environment)
    parents_of(parameters_of(size_bytes, "V1_1", None))
    with TemporaryDirectory(dir=base) as folder:
        piece = Path(folder) / "piece"
        raw = np.random.default_rng(3).integers(0, 256, size_bytes // 128 * 127, np.uint8)
        piece.write_bytes(raw.tobytes())
        sys.stderr.write(f"load {os.getloadavg()[0]:.1f} before\n")
        ours = by_us(size, piece=piece, environment=environment)
        theirs = by_rust(program, size_bytes, piece=piece, environment=environment)
    sys.stdout.write(
        f"{machine()}\none sector of {size}, all cores\n" + "\n".join(report(ours, theirs)) + "\n"
    )
    if ours.comm_r != theirs.comm_r:
        sys.stderr.write(f"comm_r differs: {ours.comm_r} here, {theirs.comm_r} there\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
