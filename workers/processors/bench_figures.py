"""The figures of `workers bench` beside those of rust-fil-proofs, and what they should reach."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass

from workers.kernels.cache import cache_base
from workers.processors.bench_cases import CASES, FIELD_LINE, SHA_LINE

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
