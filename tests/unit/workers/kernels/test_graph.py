from __future__ import annotations

from hashlib import sha256

import pytest

from tests.naive import graph as naive
from tests.unit.workers.kernels.graph import parent_rows

SIZES = {"2KiB": 64, "8MiB": 1 << 18, "32GiB": 1 << 30, "64GiB": 1 << 31}


@pytest.mark.usefixtures("path")
def test_parents_equal_the_reference_implementation_in_every_graph(golden):
    for case in golden("graph")["graphs"]:
        porep_id, legacy = bytes.fromhex(case["porep_id"]), case["api_version"] == "1.0.0"
        for node, parents in case["parents"]:
            rows = parent_rows(porep_id, case["nodes"], node, legacy=legacy)
            assert rows[0].tolist() == parents, (case["name"], node)


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(("size", "nodes"), SIZES.items())
def test_parents_equal_the_twin(size, nodes, legacy):
    porep_id = sha256(size.encode()).digest()
    first = nodes - 20

    rows = parent_rows(porep_id, nodes, first, count=20, legacy=legacy)

    for node, row in enumerate(rows.tolist(), first):
        assert row[:6] == naive.drg_parents(porep_id, node, legacy=legacy)
        assert row[6:] == naive.expander_parents(porep_id, nodes, node, legacy=legacy)


@pytest.mark.usefixtures("path")
def test_the_file_of_a_small_graph_has_the_published_digest():
    porep_id = (5).to_bytes(8, "little") + bytes(24)

    rows = parent_rows(porep_id, 64, 0, count=64)

    assert (
        sha256(rows.tobytes()).hexdigest()
        == "840057702eea7652cf97e04306c30fe57174714d90de156a25eddd6075c25b97"
    )
