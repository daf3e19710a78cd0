"""A card that makes its trees by the CPU, and fails as a test says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workers.kernels import poseidon
from workers.processors.trees import grow_octonary


class CpuCard:
    """Stands for `Card`; not thread-safe in its count."""

    levels, memory_bytes = 6, 24 << 30

    def __init__(self, harm: Callable[[Any], None] = lambda tree: None, *, fails_at: int = 0) -> None:
        """`harm` changes a tree that was made, or raises; the call of number `fails_at` raises, too."""
        self.harm, self.fails_at, self.calls = harm, fails_at, 0

    def columns_grow(self, layers, tree, leaves):
        poseidon.hash_columns(list(layers), tree[:leaves])
        self.grow(tree, leaves)

    def grow(self, tree, leaves):
        self.calls += 1
        if self.calls == self.fails_at:
            raise MemoryError("CUDA_ERROR_OUT_OF_MEMORY")
        grow_octonary(tree, leaves)
        self.harm(tree)
