"""`python -m workers bench`: how fast this machine computes, on one pinned core, beside the Rust original.

CPU time, best of three passes, compile time left out.  The reference figures are those of
rust-fil-proofs 19.1.0: measured on this machine where `make bench-rust` has left them, else the
published ones of `REFERENCE`, scaled by the line of what each rests on: SHA-256, or field arithmetic.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from blspy import G1Element, G2Element

from poolsite.filecoin.groth16.curve import g1_combination
from poolsite.filecoin.porep.challenges import ChallengeSource
from workers.kernels import field, fr32, graph, labels, poseidon, sha_unit
from workers.kernels.cache import cache_base
from workers.kernels.cpu import FORCE_VARIABLE, has_avx512, has_sha_ni, path_name
from workers.kernels.lanes import WIDE
from workers.kernels.precompile import precompile
from workers.processors import scaling_check
from workers.processors.c1 import porep_prove
from workers.processors.errors import BadInput
from workers.processors.labelling import LabelledSector, label_sectors
from workers.processors.parallel import THREADS_VARIABLE
from workers.processors.parent_cache import drg_seed, feistel_tables, parents_of
from workers.processors.pc2 import seal_trees
from workers.processors.pieces import raw_commitment
from workers.processors.sector_record import parameters_of, sector_files
from workers.processors.terminal import size_argument
from workers.processors.tree_d import tree_d_build
from workers.storage.mapped import resident_bytes
from workers.storage.memory import NotEnoughMemory, memory_check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from poolsite.filecoin.porep.parameters import SealParameters

PASSES = 3
CHAIN_BLOCKS = 1 << 18
"""Blocks of a message by which the SHA unit is measured: some ten milliseconds."""

REFERENCE: dict[str, float] = {
    "sha256 of long data": 1.959,
    "blst: a Groth16 check": 367.0,
    "fr32 pad": 1.80,
    "fr32 unpad": 0.604,
    "comm_p 8 MiB": 179.0,
    "poseidon arity 2": 83_578.0,
    "poseidon arity 4": 51_536.0,
    "poseidon arity 8": 26_300.0,
    "poseidon arity 11": 18_657.0,
    "parents": 121_633.0,
    "labels, one sector": 1.134,
    "labels, two sectors": 1.134,
    "labels, four sectors": 1.134,
    "labels, sixteen sectors": 1.134,
    "labels, one sector: the SHA unit": 1.134,
    "labels, several: the SHA unit": 1.134,
    "PC1 8 MiB": 496.6,
    "PC2 8 MiB": 6_273.0,
    "C1 8 MiB with self-check": 21.1,
}
"""rust-fil-proofs 19.1.0 without GPU, `-C target-cpu=native`, on one core of a Zen 5 at 1.96 GB/s SHA-256;
`make bench-rust` measures it anew (docs/performance.md, “The same figures from rust-fil-proofs”)."""

TARGET: dict[str, float] = {
    "fr32 pad": 2.5,
    "fr32 unpad": 5.0,
    "comm_p 8 MiB": 5.0,
    "poseidon arity 2": 9.0,
    "poseidon arity 8": 9.0,
    "poseidon arity 11": 9.0,
    "parents": 6.0,
    "labels, one sector": 1.4,
    "labels, two sectors": 2.4,
    "labels, four sectors": 2.4,
    "labels, sixteen sectors": 3.4,
    "PC2 8 MiB": 8.0,
    "C1 8 MiB with self-check": 1.0,
}
"""Ratios to the reference that we want."""

SHA_LINE = "sha256 of long data"
FIELD_LINE = "blst: a Groth16 check"
"""The same machine code as Rust's field arithmetic, from blspy.  The published check of the golden
WindowPoSt took 2.8 ms; the work of `_field_rate` is 0.97 of it (both timed on one machine)."""
ON_FIELD = ("blst", "poseidon", "PC2", "C1")
"""Lines that rest on field arithmetic begin so."""
RUST_FILE = "rust-bench.json"
"""In the folder above the compiled kernels: what `make bench-rust` measured here."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report."""

    name: str
    value: float
    unit: str
    peer: float | None = None
    """The same of rust-fil-proofs."""
    limit: float | None = None
    """What the value must reach."""

    @property
    def ratio(self) -> float | None:
        """Return how many times faster than the reference we are."""
        if self.peer is None:
            return None
        return self.value / self.peer if self.unit.endswith("/s") else self.peer / self.value


def best(work: Callable[[], Any]) -> float:
    """Return the CPU seconds of the best pass, after one that compiles and touches the memory."""
    work()
    seconds = []
    for _ in range(PASSES):
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    return min(seconds)


def _raw(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, count, np.uint8)


def _scalars(count: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    return np.random.default_rng(2).integers(0, 1 << 62, (count, 4), np.uint64)


def _sha_rate() -> float:
    raw = bytes(1 << 24)
    return len(raw) / best(lambda: hashlib.sha256(raw).digest()) / 1e9


def _field_rate() -> float:
    """Return how often a second blst does the arithmetic of checking a WindowPoSt of two 2 KiB sectors."""
    one, two = G1Element.generator(), G2Element.generator()
    proof = bytes(one), bytes(two), bytes(one)
    factors = [int("10" * 127 + "1", 2), int("01" * 127 + "1", 2)]

    def work() -> None:
        left, right, last = (
            kind.from_bytes(part) for kind, part in zip((G1Element, G2Element, G1Element), proof, strict=True)
        )
        public = g1_combination(one, [left, last], factors=factors)
        assert left.pair(right) != one.pair(right) * public.pair(two) * last.pair(right)

    return 1 / best(work)


def _pad_rate() -> float:
    raw, padded = _raw(127 << 16), np.empty((1 << 16, 16), np.uint64)
    return len(raw) / best(lambda: fr32.fr32_pad(raw, padded)) / 1e9


def _unpad_rate() -> float:
    padded, raw = _scalars(1 << 18).reshape(-1, 16), np.empty(127 << 16, np.uint8)
    return len(raw) / best(lambda: fr32.fr32_unpad(padded, raw)) / 1e9


def _commitment_rate() -> float:
    raw = _raw(127 << 16).tobytes()
    return 8 / best(lambda: raw_commitment(io.BytesIO(raw), len(raw)))


def _poseidon_rate(arity: int) -> float:
    count = 16_384 if "ifma" in path_name() else 2_048
    values, out = _scalars(arity * count), np.empty((count, 4), np.uint64)
    return count / best(lambda: poseidon.hash_row(values, out, arity=arity))


@functools.cache
def _parameters(size: int = 8 << 20) -> SealParameters:
    return parameters_of(size, "V1_1", None)


def _parents_rate() -> float:
    parameters, rows = _parameters(), np.empty((1 << 15, 14), np.uint32)
    seed, tables, nodes = drg_seed(parameters), feistel_tables(parameters), np.uint64(parameters.nodes)
    return len(rows) / best(lambda: graph.parent_rows(seed, tables, nodes, False, 1000, rows))


def _labels_rate(sectors: int, size: int = 8 << 20) -> float:
    """Return million labels a second of layer 2, the sectors together."""
    parameters = _parameters(size)
    parents, nodes = parents_of(parameters), parameters.nodes
    shape = (nodes, sectors, 8)
    layers = [resident_bytes(32 * nodes * sectors).view(np.uint32).reshape(shape) for _ in range(2)]
    ids = np.arange(8 * sectors, dtype=np.uint32).reshape(sectors, 8)

    def work() -> None:
        labels.label_rows(ids, layers[0], layers[1], layer=2, first=1, parents=parents[1:])

    return nodes * sectors / best(work) / 1e6


def _chain_rate() -> float:
    """Return the million labels a second of a machine that does nothing but the 19 blocks in a row."""
    return CHAIN_BLOCKS / best(lambda: sha_unit.chain_run(CHAIN_BLOCKS)) / 19 / 1e6


def _unit_rate() -> float:
    """Return the million labels a second of a machine that does nothing but the rounds of 20 blocks."""
    blocks = CHAIN_BLOCKS * sha_unit.STREAMS
    return blocks / best(lambda: sha_unit.chains_run(CHAIN_BLOCKS)) / 20 / 1e6


def _encode_rate() -> float:
    left, right = _scalars(1 << 18), _scalars(1 << 18)
    return left.nbytes / best(lambda: field.add_rows(left, right, right)) / 1e9


def _sealing_seconds(stage: str, size: int) -> float:
    """Return the CPU milliseconds of one stage of a sector of random data."""
    precompile()
    parameters = _parameters(size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = sector_files(parameters, folder)
        (folder / "staged").write_bytes(np.tile(_scalars(1024), (parameters.nodes // 1024, 1)).tobytes())
        parents_of(parameters)
        sector = LabelledSector(files, bytes(32))
        begun = time.process_time()
        comm_d = tree_d_build(files, str(folder / "staged"))
        shutil.copy(folder / "staged", files.sealed)
        label_sectors([sector])
        if stage == "pc1":
            return (time.process_time() - begun) * 1e3
        begun = time.process_time()
        comm_r = seal_trees(files, comm_d=comm_d)
        if stage == "pc2":
            return (time.process_time() - begun) * 1e3
        source = ChallengeSource(bytes(32), comm_r, bytes(32))
        return best(lambda: porep_prove(files, source, comm_d=comm_d)) * 1e3


CASES: dict[str, tuple[str, Callable[[], float]]] = {
    SHA_LINE: ("GB/s", _sha_rate),
    FIELD_LINE: ("checks/s", _field_rate),
    "fr32 pad": ("GB/s", _pad_rate),
    "fr32 unpad": ("GB/s", _unpad_rate),
    "comm_p 8 MiB": ("MiB/s", _commitment_rate),
    "poseidon arity 2": ("hashes/s", lambda: _poseidon_rate(2)),
    "poseidon arity 4": ("hashes/s", lambda: _poseidon_rate(4)),
    "poseidon arity 8": ("hashes/s", lambda: _poseidon_rate(8)),
    "poseidon arity 11": ("hashes/s", lambda: _poseidon_rate(11)),
    "parents": ("nodes/s", _parents_rate),
    "labels, one sector": ("M labels/s", lambda: _labels_rate(1)),
    "labels, two sectors": ("M labels/s", lambda: _labels_rate(2)),
    "labels, four sectors": ("M labels/s", lambda: _labels_rate(4)),
    "labels, sixteen sectors": ("M labels/s", lambda: _labels_rate(WIDE)),
    "labels, one sector: the SHA unit": ("M labels/s", _chain_rate),
    "labels, several: the SHA unit": ("M labels/s", _unit_rate),
    "encoding": ("GB/s", _encode_rate),
    "PC1 8 MiB": ("ms", lambda: _sealing_seconds("pc1", 8 << 20)),
    "PC2 8 MiB": ("ms", lambda: _sealing_seconds("pc2", 8 << 20)),
    "C1 8 MiB with self-check": ("ms", lambda: _sealing_seconds("c1", 8 << 20)),
}
"""What is measured, by name: its unit and how."""
if not has_avx512():
    del CASES["labels, sixteen sectors"]
if not has_sha_ni():
    del CASES["labels, one sector: the SHA unit"], CASES["labels, several: the SHA unit"]

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


@functools.cache
def rust_figures() -> dict[str, float]:
    """Return what rust-fil-proofs reached on this machine; empty if it was never measured here."""
    try:
        lines = (cache_base() / RUST_FILE).read_text().splitlines()
        return {figure["name"]: float(figure["value"]) for figure in map(json.loads, lines)}
    except (OSError, ValueError, KeyError):
        return {}


@functools.cache
def machine_scale(line: str) -> float:
    """Return this machine's speed beside that of the published figures."""
    return CASES[line][1]() / REFERENCE[line]


def reference_of(name: str, unit: str) -> float | None:
    """Return the reference figure for this machine."""
    measured, same = rust_figures(), "labels, one sector" if name.startswith("labels") else name
    if same in measured:
        return measured[same]
    published = REFERENCE.get(name)
    if published is None:
        return None
    scale = machine_scale(FIELD_LINE if name.startswith(ON_FIELD) else SHA_LINE)
    return published * scale if unit.endswith("/s") else published / scale


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
        rate = _labels_rate(wanted.streams, wanted.size)
        _say(
            Figure(f"labels, {wanted.streams} sectors of {wanted.size >> 20} MiB", rate, "M labels/s"),
            as_json=wanted.json,
        )
    return 0


def _labelled_size(text: str) -> int:
    size = size_argument(text)
    try:
        _parameters(size)
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
