"""The kernels of Groth16 apart: transforms, the quotient h, sums of multiples; inputs that a peer has, too.

Number i of a list of scalars has the words (4 i + 1, …, 4 i + 4) · SPREAD, the last below r >> 192;
transforms and h take these words as Montgomery's form.  Point i of a sum is the generator times the i-th
scalar from the end.
Run: python -m tests.bench.snark_kernels CASE… prints seconds and the SHA-256 of each result.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import numpy as np

from poolsite.filecoin.scalars import SCALAR_MODULUS
from workers.snark.arrays import Words
from workers.snark.domain import Domain
from workers.snark.multiexp import multiexp
from workers.snark.multiples import multiples
from workers.snark.points import G1, G2, point_compress, points_decode
from workers.snark.setup import G1_GENERATOR, G2_GENERATOR

SPREAD: Final = 0x9E3779B97F4A7C15
"""Makes distinct scalars out of counts."""
PASSES: Final = 3
SLOW_S: Final = 5.0
"""What takes longer has one pass after the first."""


def scalars(count: int) -> Words:
    """Return scalars of full length: u64[count, 4]."""
    made = np.arange(1, 4 * count + 1, dtype=np.uint64).reshape(count, 4) * np.uint64(SPREAD)
    made[:, 3] %= np.uint64(SCALAR_MODULUS >> 192)
    return made


def transform_work(bits: int) -> Callable[[], Words]:
    """Return the work of one inverse transform; each pass transforms what the last one left."""
    domain, values = Domain(bits), scalars(1 << bits)
    return lambda: domain.coefficients(values)


def quotient_work(bits: int, *, threads: int = 1) -> Callable[[], Words]:
    """Return the work of the polynomial h: seven transforms and what is between them."""
    domain, sides = Domain(bits), [scalars(1 << bits) for _ in range(3)]
    return lambda: domain.quotient(sides, threads=threads)


def sum_work(name: str, bits: int, *, threads: int = 1) -> Callable[[], Words]:
    """Return the work of a sum of multiples of points of G1 or G2."""
    group, generator = {"G1": (G1, G1_GENERATOR), "G2": (G2, G2_GENERATOR)}[name]
    factors = scalars(1 << bits)
    points = multiples(group, points_decode(group, generator)[0], factors[::-1].copy())
    return lambda: multiexp(group, points, factors, threads=threads)


def work_named(case: str) -> Callable[[], Words]:
    """Return the work of `NTT 2^20`, `h 2^17` or `MSM G1 2^15`."""
    what, _, bits = case.rpartition(" 2^")
    if what == "NTT":
        return transform_work(int(bits))
    return quotient_work(int(bits)) if what == "h" else sum_work(what.removeprefix("MSM "), int(bits))


def digest_of(case: str, result: Words) -> str:
    """Return the SHA-256 of a result, as little-endian scalars or a compressed point."""
    group = G1 if "G1" in case else G2
    return sha256(
        point_compress(group, result) if case.startswith("MSM") else result.astype("<u8").tobytes()
    ).hexdigest()


def measured(case: str) -> dict[str, Any]:
    """Return the best pass's CPU seconds, and the digest of the first result, which compiles."""
    work = work_named(case)
    digest = digest_of(case, work())
    took: list[float] = []
    while len(took) < PASSES and max(took, default=0.0) < SLOW_S:
        begun = time.process_time()
        work()
        took.append(time.process_time() - begun)
    return {"name": case, "value": min(took), "unit": "s", "digest": digest}


if __name__ == "__main__":
    for one in sys.argv[1:]:
        sys.stdout.write(json.dumps(measured(one)) + "\n")
