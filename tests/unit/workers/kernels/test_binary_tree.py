from __future__ import annotations

import numpy as np
import pytest

from tests.naive import binary_tree as naive
from tests.unit.workers.kernels.arrays import random_bytes
from workers.kernels import ancestors, binary_tree


def hash_row(children: list[bytes]) -> list[bytes]:
    parents = np.empty((len(children) // 2, 8), np.uint32)
    binary_tree.hash_row(np.frombuffer(b"".join(children), np.uint32).reshape(-1, 8).copy(), parents)
    return [row.tobytes() for row in parents]


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 48])
def test_a_row_equals_the_twin(count):
    children = [random_bytes(32, seed=100 * count + i) for i in range(2 * count)]

    assert hash_row(children) == naive.hash_row(children)


@pytest.mark.parametrize("is_faster", [True, False])
@pytest.mark.parametrize("count", [15, 16, 31, 32, 50])
def test_both_ways_of_a_machine_with_avx512_equal_the_twin(count, is_faster, monkeypatch):
    monkeypatch.setattr(binary_tree, "has_avx512", lambda: True)  # elsewhere LLVM takes narrower registers
    monkeypatch.setattr(binary_tree, "_is_wide_faster", lambda: is_faster)
    edges = [bytes(32), b"\xff" * 32, bytes(31) + b"\x80", b"\x01" + bytes(31)]
    children = [*edges, *(random_bytes(32, seed=7 * count + i) for i in range(2 * count - len(edges)))]

    assert hash_row(children) == naive.hash_row(children)


def four_rows(nodes: list[bytes]) -> list[bytes]:
    for _ in range(4):
        nodes = naive.hash_row(nodes)
    return nodes


def ancestor_row(nodes: list[bytes]) -> list[bytes]:
    above = np.empty((len(nodes) // ancestors.FOUR_ROWS, 8), np.uint32)
    ancestors.ancestor_row(np.frombuffer(b"".join(nodes), np.uint32).reshape(-1, 8).copy(), above)
    return [row.tobytes() for row in above]


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("count", [1, 2, 5])
def test_ancestors_four_rows_above_equal_the_twin(count):
    edges = [bytes(32), b"\xff" * 32, bytes(31) + b"\x80", b"\x01" + bytes(31)]
    nodes = [*edges, *(random_bytes(32, seed=900 * count + i) for i in range(256 * count - len(edges)))]

    assert ancestor_row(nodes) == four_rows(nodes)


@pytest.mark.parametrize("is_wide", [True, False])
def test_both_ways_to_ancestors_equal_the_twin(is_wide, monkeypatch):
    monkeypatch.setattr(binary_tree, "is_wide", lambda: is_wide)
    nodes = [random_bytes(32, seed=i) for i in range(512)]

    assert ancestor_row(nodes) == four_rows(nodes)


@pytest.mark.usefixtures("path")
def test_edge_nodes_equal_the_twin():
    children = [bytes(32), b"\xff" * 32, b"\xff" * 32, bytes(32), bytes(31) + b"\x80", b"\x01" + bytes(31)]

    assert hash_row(children) == naive.hash_row(children)


@pytest.mark.usefixtures("path")
def test_zero_commitments_equal_the_reference_implementation(golden):
    known = {entry["padded"]: entry["comm"] for entry in golden("pieces")["zero_comm"]}
    node, size = bytes(32), 32
    while size < max(known):
        (node,) = hash_row([node, node])
        size *= 2
        assert known.get(size, node.hex()) == node.hex()
