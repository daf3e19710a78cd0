"""Groth16 on one pinned core: proofs of the 2 KiB circuits with witnesses, their parameters, the pieces.

CPU time, each case in a process of its own, so that its memory is its own.  Peers are bellperson on one
core of a Zen 5, scaled by how fast this machine checks a proof with blst; docs/snark.md, “Compared with
bellperson”, has more.  Run: python -m tests.bench snark
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numba import njit

from poolsite.filecoin.groth16.keys import FOLDER_VARIABLE, VAR_VARIABLE, parameter_folder
from poolsite.filecoin.sizes import KIB
from tests.bench.snark_kernels import SPREAD, quotient_work, sum_work, work_named
from workers.kernels.cache import cache_base
from workers.processors import bench
from workers.processors.bench_cases import FIELD_LINE, best
from workers.processors.bench_figures import Figure, machine_scale

PEERS: Final[dict[str, float]] = {
    "WindowPoSt proof": 1.90 + 0.08,
    "WinningPoSt proof": 6.49 + 0.2,
    "update proof": 33.4,
    "PoRep proof": 64.5,
    "NTT 2^22": 2.5,
    "h 2^17": 0.392,
    "h 2^22": 17.6,
    "MSM G1 2^15": 0.43,
    "MSM G1 2^17": 1.49,
    "MSM G2 2^16": 1.816,
}
"""Seconds of one core; of update and PoRep without synthesis."""
TARGETS: Final[dict[str, float]] = {
    "WindowPoSt proof": 3.5,
    "WinningPoSt proof": 4.5,
    "update proof": 5.0,
    "PoRep proof": 5.0,
    "NTT 2^22": 15.0,
    "h 2^22": 15.0,
    "MSM G1 2^17": 5.5,
}
"""Ratios that we want."""
NAMES: Final = {
    "window_post": "WindowPoSt",
    "winning_post": "WinningPoSt",
    "update": "update",
    "porep": "PoRep",
}
BOUND: Final = "bound of MSM G1 2^17: its products alone"
"""An affine addition is 6 products of the base field, its share of an inversion left out; bellperson's
projective one is 11.  Nothing that adds the points window by window is faster on this machine."""
ADDITION_PRODUCTS: Final = 6
GOLDEN: Final = {"window_post": "window", "winning_post": "winning", "update": "update", "porep": "porep"}


PER_MILLION: Final = {"witness of a PoRep": "porep", "sums of l, a and b of a PoRep": "porep"}
"""Pieces of the plan for 32 GiB: seconds for a million constraints of a circuit."""
PER_POINTS: Final = {"points of G1, 2^22 together": ("G1", 22), "points of G2, 2^18 together": ("G2", 18)}
"""The same for a million points, of so many at a time."""
AGGREGATE: Final = "aggregate of 256 proofs"
AGGREGATE_ALONE: Final = f"{AGGREGATE}, pairing by pairing"
"""The reference in the same run: blspy's pairings, each with a final exponentiation of its own."""
AGGREGATED: Final = 256
TWO_CORES: Final = "two cores: "
QUOTIENT: Final = "h 2^22"
TWO_BOUND: Final = f"{TWO_CORES}products in the nearest cache, the bound"
"""What two threads can bring: they share nothing but the core, where it has two of them."""
TWO_PASSES: Final = 6
"""Passes of each number of threads, in turns: the quietest counts."""
QUIET: Final = 0.05
"""Share of the machine that others may take of a quiet pass."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one case took."""

    seconds: float
    memory: int
    """Largest, in bytes."""
    own: int = 0
    """Of it what the work itself took, beside what lay ready."""


def cases() -> list[str]:
    """Name everything that is measured."""
    proofs = [f"{name} {what}" for name in NAMES.values() for what in ("set-up", "conversion", "proof")]
    transforms = ["NTT 2^20", "NTT 2^22", "h 2^17", "h 2^22"]
    sizes = [*transforms, *(f"MSM G1 2^{bits}" for bits in (15, 17, 20)), "MSM G2 2^16"]
    shared = ("MSM G1 2^17", "WinningPoSt proof", QUOTIENT, *PER_MILLION, *PER_POINTS)
    two = [TWO_BOUND, *(f"{TWO_CORES}{what}" for what in shared)]
    # `two` uses parameters that the set-ups of `proofs` make.
    return [*sizes, BOUND, *proofs, *two, AGGREGATE, AGGREGATE_ALONE, *PER_MILLION, *PER_POINTS]


def run(case: str) -> Figure:
    """Measure one case in a child."""
    folder = cache_base() / "bench-parameters"
    environment = os.environ | {FOLDER_VARIABLE: str(folder), VAR_VARIABLE: str(folder / "state")}
    command = [sys.executable, "-m", "tests.bench.snark", case]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    made = Measured(**json.loads(done.stdout.splitlines()[-1]))
    if case.startswith(TWO_CORES):
        return Figure(case, made.seconds, "times one core", None, None)
    if case in PER_MILLION or case in PER_POINTS:
        what = "constraints" if case in PER_MILLION else "points"
        name = f"{case}, 1 M {what} ({made.own / 2**30:.2f} GiB in all)"
        return Figure(name, made.seconds, "s", None, None)
    peer = PEERS.get(case)
    scaled = None if peer is None else peer / machine_scale(FIELD_LINE)
    limit = None if scaled is None or case not in TARGETS else scaled / TARGETS[case]
    return Figure(f"{case} ({made.memory / 2**30:.1f} GiB)", made.seconds, "s", scaled, limit)


def _products_seconds(count: int) -> float:
    """Return what so many independent products of the base field take, on the path of this machine."""
    from workers.kernels.cpu import has_lanes
    from workers.kernels.ifma import LANES

    run_products, at_once = _products(64), LANES if has_lanes() else 1
    return best(lambda: run_products(4096)) * count / (64 * 4096 * at_once)


def _products(rows_count: int) -> Callable[[int], object]:
    """Return the work of so many products, so many times: the nearest cache holds all of it."""
    from workers.kernels import llvm
    from workers.kernels.cpu import has_lanes
    from workers.kernels.curve_fields import G1_STEPS, coordinate_rows
    from workers.kernels.curve_lanes import FIELD, fp_multiply
    from workers.kernels.ifma import BEGIN, END

    multiply = llvm.step(fp_multiply) if has_lanes() else G1_STEPS[0]

    def run_products(rows: Any, times: int) -> None:
        control = np.empty(1, np.uint64)
        BEGIN(control.ctypes.data)
        for _ in range(times):
            for at in range(rows.shape[0]):
                address = rows[at].ctypes.data
                multiply(address, address, address)
        END(control.ctypes.data)
        control[0] = 0

    rows = coordinate_rows([SPREAD + at for at in range(rows_count)])
    if has_lanes():
        rows = np.tile(np.arange(FIELD.slot // 8, dtype=np.uint64), (rows_count, 1))
    compiled = njit(error_model="numpy", nogil=True)(run_products)
    return lambda times: compiled(rows, times)


def _circuit_work(name: str, what: str) -> Callable[[], object]:
    from tests.unit.workers.snark.golden_circuits import golden_circuit
    from workers.snark import catalog
    from workers.snark.files import CircuitKind, spec_for
    from workers.snark.prover import groth16_prove

    kind = next(kind for kind, shown in NAMES.items() if shown == name)
    spec = spec_for(CircuitKind(kind), 2 * KIB)
    if what == "set-up":
        catalog.circuit_of(spec)
        (parameter_folder() / spec.parameters_name).unlink(missing_ok=True)
        return lambda: catalog.toxic_make(spec, "bench")
    if what == "conversion":
        catalog.conversion_forget(spec)
        return lambda: catalog.key_open(spec)
    key, values = catalog.key_open(spec), golden_circuit(GOLDEN[kind]).values
    return lambda: groth16_prove(key, values)


def _per_million(case: str) -> float:
    """Return the CPU seconds of a piece for a million constraints or points, kernels ready."""
    work, count = _piece(case)
    _mark()
    return _best(work, 3 if case.startswith("witness") else 2) * 1e6 / count


def _piece(case: str, *, threads: int = 1) -> tuple[Callable[[], object], int]:
    """Return the work of a piece, and how many constraints or points it is done for."""
    from tests.unit.workers.snark.golden_circuits import golden_circuit
    from workers.snark.multiexp import multiexp
    from workers.snark.witness import witness_solve

    if case in PER_POINTS:
        name, bits = PER_POINTS[case]
        return sum_work(name, bits, threads=threads), 1 << bits
    made = golden_circuit(PER_MILLION[case])
    rows = made.circuit.rows
    if case.startswith("witness"):
        return lambda: witness_solve(made.circuit, made.values, threads=threads), rows
    from workers.snark import catalog
    from workers.snark.files import CircuitKind, spec_for
    from workers.snark.parameters import SECTIONS

    key = catalog.key_open(spec_for(CircuitKind.POREP, 2 * KIB))
    values = witness_solve(made.circuit, made.values).values
    scalars = {"l": values[made.circuit.inputs :], "a": values[key.is_in_a]}
    scalars |= dict.fromkeys(("b_g1", "b_g2"), values[key.is_in_b])
    sections = [(group, key.sections[name], scalars[name]) for name, group in SECTIONS if name in scalars]
    return lambda: [multiexp(*one, threads=threads) for one in sections], rows


def _aggregate(*, is_alone: bool) -> Callable[[], object]:
    """Return the work of an aggregate, with a set-up of our own."""
    from tests.unit.filecoin.groth16.aggregate import CASE, INCLUDE
    from workers.snark import pairings
    from workers.snark.aggregation import proofs_aggregate
    from workers.snark.powers import powers_make, powers_read

    if is_alone:
        pairings._blst = lambda: None  # type: ignore[assignment]  # as where blspy's module hides blst
    few = [bytes.fromhex(proof) for proof in CASE["proofs"]]
    proofs = [few[place % len(few)] for place in range(AGGREGATED)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bench.srs"
        powers_make(path, seed="bench", proofs=AGGREGATED)
        powers = powers_read(path, proofs=AGGREGATED)
    return lambda: proofs_aggregate(proofs, powers=powers, include=INCLUDE)


def _best(work: Callable[[], object], passes: int) -> float:
    """Return the least CPU seconds of some passes."""
    took = []
    for _ in range(passes):
        begun = time.process_time()
        work()
        took.append(time.process_time() - begun)
    return min(took)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


_marked: list[int] = []
"""Largest memory before the work that is measured."""


def _mark() -> None:
    _marked.append(_peak())


def _two_cores(case: str) -> float:
    """Return how many times faster two threads are than one, by the clock."""
    one, two = _quiet_walls(*(_shared(case, threads) for threads in (1, 2)))
    return 2 * one / two if case == TWO_BOUND else one / two


def _shared(case: str, threads: int) -> Callable[[], object]:
    """Return the work of a case on so many threads."""
    what = case.removeprefix(TWO_CORES)
    if case == TWO_BOUND:
        return _products_threads(threads)
    if what in PER_MILLION or what in PER_POINTS:
        return _piece(what, threads=threads)[0]
    if what == QUOTIENT:
        return quotient_work(22, threads=threads)
    if what.startswith("MSM"):
        return sum_work("G1", 17, threads=threads)
    from tests.unit.workers.snark.golden_circuits import golden_circuit
    from workers.snark import catalog
    from workers.snark.files import CircuitKind, spec_for
    from workers.snark.prover import groth16_prove

    key = catalog.key_open(spec_for(CircuitKind.WINNING_POST, 2 * KIB))
    return partial(groth16_prove, key, golden_circuit("winning").values, threads=threads)


def _products_threads(count: int) -> Callable[[], object]:
    """Return work of which each of some threads does the same: products of the base field."""
    works = [_products(16) for _ in range(count)]

    def work() -> None:
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda one: one(240_000), works))

    return work


def _quiet_walls(one: Callable[[], object], two: Callable[[], object]) -> list[float]:
    """Return how long both take by the clock, each in its shortest quiet pass, or in its quietest."""
    passes: list[list[tuple[float, float]]] = [[], []]
    for turn in range(TWO_PASSES + 1):
        for place, work in enumerate((one, two)):
            busy, own, begun = _busy_seconds(), time.process_time(), time.monotonic()
            work()
            wall = time.monotonic() - begun
            others = _busy_seconds() - busy - (time.process_time() - own)
            if turn:  # the first one compiles
                passes[place].append((max(QUIET, others / wall / (os.cpu_count() or 1)), wall))
    shares = [min(some)[0] for some in passes]
    if max(shares) > QUIET:
        sys.stderr.write(f"others took {max(shares):.0%} of the machine in the quietest pass\n")
    return [min(some)[1] for some in passes]


def _busy_seconds() -> float:
    """Return how long the machine's threads have worked, together."""
    user, nice, system, _idle, _waiting, *rest = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def _measure(case: str) -> float:
    """Return CPU seconds; of what compiles or is short the best pass after one that warms up."""
    words = case.split()
    if case.startswith(TWO_CORES):
        return _two_cores(case)
    bench.pin()
    if case in PER_MILLION or case in PER_POINTS:
        return _per_million(case)
    if case in (AGGREGATE, AGGREGATE_ALONE):
        return _best(_aggregate(is_alone=case == AGGREGATE_ALONE), 2)
    if case == BOUND:
        from workers.snark.multiexp import window_count

        return _products_seconds(ADDITION_PRODUCTS * window_count(1 << 17) * (1 << 17))
    if words[0] in ("NTT", "h", "MSM"):
        return best(work_named(case))
    work = _circuit_work(words[0], words[1])
    if words[1] == "proof":
        return best(work) if words[0] in ("WindowPoSt", "WinningPoSt") else _best(work, 2)
    return _best(work, 1)


if __name__ == "__main__":
    seconds, memory = _measure(sys.argv[1]), _peak()
    own = memory - _marked[0] if _marked else 0
    sys.stdout.write(json.dumps({"seconds": seconds, "memory": memory, "own": own}) + "\n")
