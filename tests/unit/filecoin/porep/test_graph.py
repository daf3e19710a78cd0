from __future__ import annotations

import struct

import pytest

from poolsite.filecoin.porep.graph import StackedGraph, feistel_half_bits, feistel_keys
from poolsite.filecoin.porep.parameters import ApiVersion, seal_parameters
from tests.unit.filecoin.golden_proofs import golden, sha256_hex

GRAPHS = golden("graph")["graphs"]


def graph_of(case):
    return StackedGraph(bytes.fromhex(case["porep_id"]), case["nodes"], ApiVersion(case["api_version"]))


@pytest.mark.parametrize("case", GRAPHS, ids=[case["name"] for case in GRAPHS])
def test_parents_equal_the_golden_ones(case):
    graph = graph_of(case)

    assert len(case["parents"]) > 1
    for node, parents in case["parents"]:
        assert list(graph.parents(node)) == parents


@pytest.mark.parametrize("case", [case for case in GRAPHS if case["nodes"] == 64])
def test_rows_of_a_small_graph_hash_to_the_published_parent_cache(case):
    graph = graph_of(case)
    rows = b"".join(struct.pack("<14I", *graph.parents(node)) for node in range(64))

    assert sha256_hex(rows) == case["sha256_first_nodes"]["sha256_of_u32le_x14_rows"]


def test_feistel_keys_equal_the_golden_ones_for_every_porep_id():
    for case in golden("graph")["feistel_keys"]:
        keys = feistel_keys(seal_parameters(case["porep_id_u64"]).porep_id)
        assert [str(key) for key in keys] == case["keys"]


def test_half_widths_of_the_permutation_follow_the_sector_size():
    sizes = [seal_parameters(number).nodes for number in range(5)]

    assert [feistel_half_bits(8 * nodes) for nodes in sizes] == [5, 11, 14, 17, 17]
