"""No module imports another that imports it again, not even for types."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp


def test_no_import_goes_in_a_circle() -> None:
    graph = grimp.build_graph("poolsite", "apps", "workers")
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}

    try:
        order = tuple(TopologicalSorter(imports).static_order())
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None

    assert len(order) > 900
