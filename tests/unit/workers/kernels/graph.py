"""Parents of nodes, row by row."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np

from workers.kernels import graph


def parent_rows(
    porep_id: bytes, nodes: int, first: int, *, count: int = 1, legacy: bool = False
) -> np.ndarray[Any, np.dtype[np.uint32]]:
    seed = np.frombuffer(sha256(b"Filecoin_DRSample" + porep_id).digest()[:28], np.uint32).copy()
    keys = np.frombuffer(sha256(b"Filecoin_Feistel" + porep_id).digest(), np.uint64).copy()
    rows = np.empty((count, 14), np.uint32)
    tables = graph.feistel_tables(keys, nodes)
    graph.parent_rows(seed, tables, np.uint64(nodes), legacy, first, rows)
    return rows
