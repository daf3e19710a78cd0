"""A kind of import contract of our own, for pyproject.toml."""

from __future__ import annotations

import grimp
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.domain.contract import ContractCheck


class ForbiddenAtRunTime(ForbiddenContract):
    """As `forbidden`, but an import for types alone is allowed: it reads and writes nothing."""

    type_name = "forbidden_at_run_time"

    def check(self, graph: grimp.ImportGraph, verbose: bool) -> ContractCheck:
        """Check the imports that remain when the program runs."""
        roots = {module.split(".")[0] for module in graph.modules if not graph.is_module_squashed(module)}
        running = grimp.build_graph(*sorted(roots), exclude_type_checking_imports=True)
        return super().check(running, verbose)
