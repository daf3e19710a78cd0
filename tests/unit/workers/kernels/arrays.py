"""Test data as the arrays that kernels take."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from tests.naive.field import EDGES, MODULUS


def random_scalars(count: int, *, seed: int) -> list[int]:
    """Edge values first, then random ones, all canonical."""
    rng = random.Random(seed)
    return [EDGES[i] if i < len(EDGES) else rng.randrange(MODULUS) for i in range(count)]


def random_bytes(count: int, *, seed: int) -> bytes:
    """Random bytes."""
    return random.Random(seed).randbytes(count)


def nodes(values: list[int]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Field elements as u64[n, 4]."""
    raw = b"".join(value.to_bytes(32, "little") for value in values)
    return np.frombuffer(raw, np.uint64).reshape(-1, 4).copy()


def integers(rows: np.ndarray[Any, Any]) -> list[int]:
    """The rows of an array of nodes as integers."""
    return [int.from_bytes(row.tobytes(), "little") for row in rows]
