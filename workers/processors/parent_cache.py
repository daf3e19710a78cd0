"""The parents of every node, in memory for small graphs, in the standard cache file for large ones.

Source: rust-fil-proofs storage-proofs-porep/src/stacked/vanilla/cache.rs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from poolsite.filecoin.porep.parameters import ApiVersion, SealParameters
from poolsite.private_files import locked
from workers.kernels import graph
from workers.processors.errors import BadFile
from workers.processors.parallel import Progress, no_progress, parallel_for
from workers.storage.checksums import Checksums, file_digest
from workers.storage.files import is_complete, space_check, unfinished_remove
from workers.storage.mapped import file_read, file_write, pages_release

DRG_PARENTS = 6
"""Parents in the same layer; they come first."""
PARENTS = 14
"""6 DRG and 8 expander parents."""
ROW_BYTES = 4 * PARENTS
"""Bytes of one node's row: u32 little-endian."""
MEMORY_NODES = 1 << 16
"""Graphs up to this size are computed anew each time (a fraction of a second) and leave no file."""
CHUNK_NODES = 1 << 14
"""Nodes that a thread computes at a time."""

FILE_DIGESTS = {
    0: "3da49221e2ed55371b86d0bf3d6526fcf128af61bed904f966428db1b531750d",
    5: "840057702eea7652cf97e04306c30fe57174714d90de156a25eddd6075c25b97",
    1: "a76604f2f59f2744c7151653bbb1d8596b6b57d295e6fa6c1f0c41d725b502ce",
    6: "03cd13565ded97c240a5f52e54295ad127bd0461b57904cb3a4d79b097bbecab",
    2: "3adcc092423aa76d6a7184016893406da44dd974b219a89cd3ece25e4e3018f5",
    7: "b5877d1963793efebc261fd8fde4dd6bc59e6b5c7abf52617a4ee023b8dc173a",
    3: "3c4f9841fcc75aed8c695800e58d08480629f25af3a2aefd81904181d75cc0b6",
    8: "93deeac5e3052b6927467d4b2641bb782f05491de18d510147c93eeedd8672da",
    4: "2778a732ad46a7dc18e0564dfdf59fd321dcde74ab476fd6d3c4e6735d7cd89c",
    9: "2698b74eb2606b55b98d8b095e18b6320b47f46e00075956d48640ccd1641b03",
}
"""SHA-256 of the whole cache file by registered proof number; other graphs' are noted beside their file.

Source: rust-fil-proofs storage-proofs-porep/parent_cache.json.
"""

Parents = np.ndarray[Any, np.dtype[np.uint32]]
"""u32[n, 14]"""


def cache_folder() -> Path:
    """Return where parent caches lie: the folder that rust-fil-proofs uses too."""
    own = os.environ.get("FIL_PROOFS_PARENT_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("FIL_PROOFS_CACHE_DIR") or "/var/tmp") / "filecoin-parents"  # noqa: S108


def feistel_keys(parameters: SealParameters) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return the keys of the expander's permutation."""
    digest = sha256(b"Filecoin_Feistel" + parameters.porep_id).digest()
    return np.frombuffer(digest, np.uint64).copy()


def feistel_tables(parameters: SealParameters) -> graph.Tables:
    """Return the round functions of the expander's permutation, kept for the next call."""
    return _feistel_tables(feistel_keys(parameters).tobytes(), parameters.nodes)


@lru_cache(maxsize=8)
def _feistel_tables(keys: bytes, nodes: int) -> graph.Tables:
    return graph.feistel_tables(np.frombuffer(keys, np.uint64).copy(), nodes)


def drg_seed(parameters: SealParameters) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """Return the seed of the bucket sampling: 28 bytes."""
    digest = sha256(b"Filecoin_DRSample" + parameters.porep_id).digest()
    return np.frombuffer(digest[:28], np.uint32).copy()


def cache_name(parameters: SealParameters) -> str:
    """Return the standard file name of a graph's parents."""
    nodes = parameters.nodes
    identifier = (
        "stacked_graph::StackedGraph{expansion_degree: 8 base_graph: drgraph::BucketGraph"
        f"{{size: {nodes}; degree: 6; hasher: poseidon_hasher}} }}"
    )
    keys = feistel_keys(parameters).tobytes()
    digest = sha256(b"poseidon_hasher" + identifier.encode() + keys + nodes.to_bytes(4, "little"))
    return f"v28-sdr-parent-{digest.hexdigest()}.cache"


def parents_compute(parameters: SealParameters, rows: Parents, *, progress: Progress = no_progress) -> None:
    """Compute the parents of all nodes into `rows`."""
    rows_of = rows_function(parameters)

    def work(first: int, end: int) -> None:
        rows_of(first, rows[first:end])

    parallel_for(work, parameters.nodes, size=CHUNK_NODES, progress=progress)


def rows_function(parameters: SealParameters) -> Callable[[int, Parents], None]:
    """Return what computes the parents of some nodes, given the first of them and the rows to fill."""
    seed, tables = drg_seed(parameters), feistel_tables(parameters)
    legacy = parameters.api_version is ApiVersion.V1_0
    nodes = np.uint64(parameters.nodes)

    def compute(first: int, rows: Parents) -> None:
        graph.parent_rows(seed, tables, nodes, legacy, first, rows)

    return compute


def parents_of(
    parameters: SealParameters, *, folder: Path | None = None, progress: Progress = no_progress
) -> Parents:
    """Return the parents of all nodes; a large graph's are read from its cache file, made if absent.

    The file is compared with its digest each time: one flipped bit would spoil every sector of the graph.
    Several threads and processes may ask at once: one makes the file, the others wait.
    """
    nodes = parameters.nodes
    if nodes <= MEMORY_NODES:
        rows = np.empty((nodes, PARENTS), np.uint32)
        parents_compute(parameters, rows)
        return rows
    path = (folder or cache_folder()) / cache_name(parameters)

    def alive(*_: int) -> None:
        progress(0, nodes)

    if not _is_good(path, parameters, alive=alive):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(f"{path.name}.lock"), on_wait=alive):
            if not _is_good(path, parameters, alive=alive):
                _cache_write(path, parameters, progress=progress)
    return _mapped(path, parameters)


def _mapped(path: Path, parameters: SealParameters) -> Parents:
    raw = file_read(path, size_bytes=ROW_BYTES * parameters.nodes)
    return raw.view(np.uint32).reshape(-1, PARENTS)


def _cache_write(path: Path, parameters: SealParameters, *, progress: Progress) -> None:
    """Write the cache file.  Raises NotEnoughSpace, BadFile."""
    nodes = parameters.nodes
    unfinished_remove(path)  # of a run that was killed: its room is ours
    Checksums(path).forget([path])
    space_check(path.parent, ROW_BYTES * nodes)
    with file_write(path, size_bytes=ROW_BYTES * nodes) as raw:
        parents_compute(parameters, raw.view(np.uint32).reshape(-1, PARENTS), progress=progress)

    def alive(*_: int) -> None:
        progress(nodes, nodes)

    if not _is_good(path, parameters, alive=alive):
        path.unlink()
        raise BadFile(f"{path} was computed incorrectly: this machine's memory or processor is faulty")


def rows_release(parents: Parents, rows: slice) -> None:
    """Release the memory of rows that are done with; those of a small graph are no file and stay."""
    if len(parents) > MEMORY_NODES:
        pages_release(parents[rows])


def _is_good(path: Path, parameters: SealParameters, *, alive: Progress) -> bool:
    """Return whether the cache file is whole and right: by the published digest, else by the noted one.

    Synthetic and non-interactive graphs have no published digest, and rust-fil-proofs notes none: such a file
    is compared with the parents computed again, and then its digest is noted.
    """
    if not is_complete(path, ROW_BYTES * parameters.nodes):
        return False
    known = FILE_DIGESTS.get(parameters.number) or Checksums(path).known(path)
    if known is not None:
        return file_digest(path, on_part=lambda: alive(0, 0)) == known
    if not _is_as_computed(_mapped(path, parameters), parameters, progress=alive):
        return False
    with suppress(OSError):  # another's folder, which we only read: the next one compares again
        Checksums(path).record(path, file_digest(path, on_part=lambda: alive(0, 0)))
    return True


def _is_as_computed(found: Parents, parameters: SealParameters, *, progress: Progress) -> bool:
    rows_of, wrong = rows_function(parameters), threading.Event()

    def compare(first: int, end: int) -> None:
        if wrong.is_set():
            return
        rows = np.empty((end - first, PARENTS), np.uint32)
        rows_of(first, rows)
        if not np.array_equal(rows, found[first:end]):
            wrong.set()
        pages_release(found[first:end])

    parallel_for(compare, parameters.nodes, size=CHUNK_NODES, progress=progress)
    return not wrong.is_set()


def parents_at(parameters: SealParameters, node: int) -> tuple[int, ...]:
    """Return the parents of one node, computed."""
    rows = np.empty((1, PARENTS), np.uint32)
    rows_function(parameters)(node, rows)
    return tuple(map(int, rows[0]))
