"""What `workers bench` measures, by name: a rate, or the time of a stage."""

from __future__ import annotations

import functools
import hashlib
import io
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from blspy import G1Element, G2Element

from poolsite.filecoin.groth16.curve import g1_combination
from poolsite.filecoin.porep.challenges import ChallengeSource
from workers.kernels import field, fr32, graph, labels, poseidon, sha_unit
from workers.kernels.cpu import has_avx512, has_fma, has_ifma, has_sha_ni
from workers.kernels.lanes import WIDE
from workers.kernels.precompile import precompile
from workers.processors.c1 import porep_prove
from workers.processors.labelling import LabelledSector, label_sectors
from workers.processors.parent_cache import drg_seed, feistel_tables, parents_of
from workers.processors.pc2 import seal_trees
from workers.processors.pieces import raw_commitment
from workers.processors.sector_record import parameters_of, sector_files
from workers.processors.tree_d import tree_d_build
from workers.storage.mapped import resident_bytes

if TYPE_CHECKING:
    from poolsite.filecoin.porep.parameters import SealParameters

PASSES = 3
CHAIN_BLOCKS = 1 << 18
"""Blocks of a message by which the SHA unit is measured: some ten milliseconds."""

SHA_LINE = "sha256 of long data"
FIELD_LINE = "blst: a Groth16 check"
"""The same machine code as Rust's field arithmetic, from blspy.  The published check of the golden
WindowPoSt took 2.8 ms; the work of `_field_rate` is 0.97 of it (both timed on one machine)."""


def best(work: Callable[[], Any]) -> float:
    """Return the CPU seconds of the best pass, after one that compiles and touches the memory."""
    work()
    seconds = []
    for _ in range(PASSES):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
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
    count = 16_384 if has_ifma() or has_fma() else 2_048
    values, out = _scalars(arity * count), np.empty((count, 4), np.uint64)
    return count / best(lambda: poseidon.hash_row(values, out, arity=arity))


@functools.cache
def parameters_of_size(size: int = 8 << 20) -> SealParameters:
    """Return the parameters of sectors of a size, by which cases are measured."""
    return parameters_of(size, "V1_1", None)


def _parents_rate() -> float:
    parameters, rows = parameters_of_size(), np.empty((1 << 15, 14), np.uint32)
    seed, tables, nodes = drg_seed(parameters), feistel_tables(parameters), np.uint64(parameters.nodes)
    return len(rows) / best(lambda: graph.parent_rows(seed, tables, nodes, False, 1000, rows))


def labels_rate(sectors: int, size: int = 8 << 20) -> float:
    """Return million labels a second of layer 2, the sectors together."""
    parameters = parameters_of_size(size)
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
    parameters = parameters_of_size(size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = sector_files(parameters, folder)
        (folder / "staged").write_bytes(np.tile(_scalars(1024), (parameters.nodes // 1024, 1)).tobytes())
        parents_of(parameters)
        sector = LabelledSector(files, bytes(32))
        started = time.process_time()
        comm_d = tree_d_build(files, str(folder / "staged"))
        shutil.copy(folder / "staged", files.sealed)
        label_sectors([sector])
        if stage == "pc1":
            return (time.process_time() - started) * 1e3
        started = time.process_time()
        comm_r = seal_trees(files, comm_d=comm_d)
        if stage == "pc2":
            return (time.process_time() - started) * 1e3
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
    "labels, one sector": ("M labels/s", lambda: labels_rate(1)),
    "labels, two sectors": ("M labels/s", lambda: labels_rate(2)),
    "labels, four sectors": ("M labels/s", lambda: labels_rate(4)),
    "labels, sixteen sectors": ("M labels/s", lambda: labels_rate(WIDE)),
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
