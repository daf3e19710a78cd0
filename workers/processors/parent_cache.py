"""The parents of every node, in memory for small graphs, in the standard cache file for large ones.

Source: rust-fil-proofs storage-proofs-porep/src/stacked/vanilla/cache.rs; spec proofs section 5.3.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from poolsite.filecoin.porep.parameters import ApiVersion, SealParameters
from workers.kernels import graph
from workers.processors.spread import Progress, silent, spread
from workers.storage.files import file_read, file_write, is_complete

PARENTS = 14
"""6 DRG and 8 expander parents."""
ROW_BYTES = 4 * PARENTS
"""Bytes of one node's row: u32 little-endian."""
MEMORY_NODES = 1 << 16
"""Graphs up to this size are computed anew each time (a fraction of a second) and leave no file."""
CHUNK_NODES = 1 << 14
"""Nodes that a thread computes at a time."""

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


def parents_compute(parameters: SealParameters, rows: Parents, *, progress: Progress = silent) -> None:
    """Compute the parents of all nodes into `rows`."""
    seed, keys = drg_seed(parameters), feistel_keys(parameters)
    legacy = parameters.api_version is ApiVersion.V1_0
    nodes = np.uint64(parameters.nodes)

    def work(first: int, end: int) -> None:
        graph.parent_rows(seed, keys, nodes, legacy, first, rows[first:end])

    spread(work, parameters.nodes, size=CHUNK_NODES, progress=progress)


def parents_of(
    parameters: SealParameters, *, folder: Path | None = None, progress: Progress = silent
) -> Parents:
    """Return the parents of all nodes; a large graph's are read from its cache file, made if absent."""
    nodes = parameters.nodes
    if nodes <= MEMORY_NODES:
        rows = np.empty((nodes, PARENTS), np.uint32)
        parents_compute(parameters, rows)
        return rows
    path = (folder or cache_folder()) / cache_name(parameters)
    if not is_complete(path, ROW_BYTES * nodes):
        path.parent.mkdir(parents=True, exist_ok=True)
        with file_write(path, size_bytes=ROW_BYTES * nodes) as raw:
            parents_compute(parameters, raw.view(np.uint32).reshape(-1, PARENTS), progress=progress)
    return file_read(path, size_bytes=ROW_BYTES * nodes).view(np.uint32).reshape(-1, PARENTS)


def parents_at(parameters: SealParameters, node: int) -> tuple[int, ...]:
    """Return the parents of one node, computed."""
    rows = np.empty((1, PARENTS), np.uint32)
    legacy = parameters.api_version is ApiVersion.V1_0
    keys, seed = feistel_keys(parameters), drg_seed(parameters)
    graph.parent_rows(seed, keys, np.uint64(parameters.nodes), legacy, node, rows)
    return tuple(map(int, rows[0]))
