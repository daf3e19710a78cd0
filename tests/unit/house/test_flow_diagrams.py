"""The drawn flows are those of the code."""

from __future__ import annotations

import ast
from pathlib import Path

import grimp

from tests.flow_diagrams import FLOWS

HOPS = [hop for hops in FLOWS.values() for hop in hops]


def test_every_box_of_a_flow_is_in_its_module() -> None:
    for place in {place for hop in HOPS for place in (hop.source, hop.target)}:
        module, _, name = place.partition(":")
        body = ast.parse(Path(f"{module.replace('.', '/')}.py").read_text()).body
        assert name in [getattr(node, "name", "") for node in body], place


def test_every_full_arrow_of_a_flow_is_an_import() -> None:
    graph = grimp.build_graph("poolsite", "apps", "workers")
    for hop in HOPS:
        source, target = hop.source.partition(":")[0], hop.target.partition(":")[0]
        is_called = target in graph.find_modules_directly_imported_by(source)
        assert is_called == (not hop.over), f"{hop.source} and {hop.target}"
