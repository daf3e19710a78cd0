"""Groth16 on one pinned core: proofs of the 2 KiB circuits with witnesses, their parameters, the pieces.

CPU time, each case in a process of its own, so that its memory is its own.  Peers are bellperson on one
core of the machine of the golden figures, scaled by how fast this machine checks a proof with blst.
Source: golden/BENCH.md, spec snark section 5.  Run: python -m tests.bench snark
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit

from poolsite.filecoin.groth16.keys import FOLDER_VARIABLE, VAR_VARIABLE, parameter_folder
from poolsite.filecoin.porep.parameters import KIB
from poolsite.filecoin.scalars import SCALAR_MODULUS
from workers.kernels.cache import cache_base
from workers.processors import bench

if TYPE_CHECKING:
    from collections.abc import Callable

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
SPREAD: Final = 0x9E3779B97F4A7C15
"""Makes distinct scalars out of counts."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one case took."""

    seconds: float
    memory: int
    """Largest, in bytes."""


def cases() -> list[str]:
    """Name everything that is measured."""
    proofs = [f"{name} {what}" for name in NAMES.values() for what in ("set-up", "conversion", "proof")]
    transforms = ["NTT 2^20", "NTT 2^22", "h 2^17", "h 2^22"]
    sizes = [*transforms, *(f"MSM G1 2^{bits}" for bits in (15, 17, 20)), "MSM G2 2^16"]
    return [*sizes, BOUND, "two cores: MSM G1 2^17", *proofs]


def run(case: str) -> bench.Figure:
    """Measure one case in a child."""
    folder = cache_base() / "bench-parameters"
    environment = os.environ | {FOLDER_VARIABLE: str(folder), VAR_VARIABLE: str(folder / "state")}
    command = [sys.executable, "-m", "tests.bench.snark", case]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    made = Measured(**json.loads(done.stdout.splitlines()[-1]))
    if case.startswith("two cores"):
        return bench.Figure(case, made.seconds, "times one core", None, None)
    peer = PEERS.get(case)
    scaled = None if peer is None else peer / bench.machine_scale(bench.FIELD_LINE)
    limit = None if scaled is None or case not in TARGETS else scaled / TARGETS[case]
    return bench.Figure(f"{case} ({made.memory / 2**30:.1f} GiB)", made.seconds, "s", scaled, limit)


def _scalars(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint64]]:
    """Return scalars of full length."""
    made = np.arange(1, 4 * count + 1, dtype=np.uint64).reshape(count, 4) * np.uint64(SPREAD)
    made[:, 3] %= np.uint64(SCALAR_MODULUS >> 192)
    return made


def _products_seconds(count: int) -> float:
    """Return what so many independent products of the base field take, on the path of this machine."""
    from workers.kernels import llvm
    from workers.kernels.cpu import has_ifma
    from workers.kernels.curve_fields import G1_STEPS, coordinate_rows
    from workers.kernels.curve_lanes import FIELD, fp_multiply
    from workers.kernels.ifma import LANES

    multiply, at_once = (llvm.step(fp_multiply), LANES) if has_ifma() else (G1_STEPS[0], 1)

    def run_products(rows: Any, times: int) -> None:
        for _ in range(times):
            for at in range(rows.shape[0]):
                address = rows[at].ctypes.data
                multiply(address, address, address)

    rows = coordinate_rows([SPREAD + at for at in range(64)])
    if has_ifma():
        rows = np.tile(np.arange(FIELD.slot // 8, dtype=np.uint64), (64, 1))
    compiled = njit(error_model="numpy")(run_products)
    return bench.best(lambda: compiled(rows, 4096)) * count / (64 * 4096 * at_once)


def _ntt(bits: int) -> Callable[[], object]:
    from workers.snark.domain import Domain

    domain, values = Domain(bits), _scalars(1 << bits)
    return lambda: domain.coefficients(values)


def _quotient(bits: int) -> Callable[[], object]:
    """Return the work of the polynomial h: seven transforms and what is between them."""
    from workers.snark.domain import Domain

    domain, sides = Domain(bits), [_scalars(1 << bits) for _ in range(3)]
    return lambda: domain.quotient(sides)


def _msm(name: str, bits: int, *, threads: int = 1) -> Callable[[], object]:
    from tests.unit.workers.snark.golden_circuits import golden_secrets
    from workers.snark.multiexp import multiexp, multiples
    from workers.snark.points import G1, G2

    secrets, group = golden_secrets("window"), {"G1": G1, "G2": G2}[name]
    base, scalars = secrets.g1 if group is G1 else secrets.g2, _scalars(1 << bits)
    points = multiples(group, base, scalars[::-1].copy())
    return lambda: multiexp(group, points, scalars, threads=threads)


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


def _measure(case: str) -> float:
    """Return CPU seconds; of what compiles or is short the best pass after one that warms up."""
    words = case.split()
    if case.startswith("two cores"):
        one, two = (_wall(_msm("G1", 17, threads=threads)) for threads in (1, 2))
        return one / two
    bench.pin()
    if case == BOUND:
        from workers.snark.multiexp import window_count

        return _products_seconds(ADDITION_PRODUCTS * window_count(1 << 17) * (1 << 17))
    if words[0] == "NTT":
        return bench.best(_ntt(int(words[1][2:])))
    if words[0] == "h":
        return bench.best(_quotient(int(words[1][2:])))
    if words[0] == "MSM":
        return bench.best(_msm(words[1], int(words[2][2:])))
    work = _circuit_work(words[0], words[1])
    if words[1] == "proof" and words[0] in ("WindowPoSt", "WinningPoSt"):
        return bench.best(work)
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _wall(work: Callable[[], object]) -> float:
    work()
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


if __name__ == "__main__":
    seconds = _measure(sys.argv[1])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sys.stdout.write(json.dumps({"seconds": seconds, "memory": memory}) + "\n")
