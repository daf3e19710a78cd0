"""Names that were replaced because they say nothing of what they hold do not come back in product code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[2]
PRODUCT: Final = ("apps", "poolsite", "workers")


def retired() -> frozenset[str]:
    """Return the retired names."""
    rows = (HERE / "retired_names.txt").read_text().splitlines()
    return frozenset(row.partition(": ")[0] for row in rows if not row.startswith("#"))


def names_bound(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the functions, classes, parameters, variables and attributes that a module names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def test_no_module_takes_up_a_retired_name() -> None:
    names = retired()
    found = []
    for path in sorted(file for root in PRODUCT for file in (ROOT / root).rglob("*.py")):
        if "migrations" in path.parts:
            continue
        for line, name in names_bound(ast.parse(path.read_text())):
            if name.strip("_").lower() in names:
                found.append(f"{path.relative_to(ROOT)}:{line}: {name}")

    assert not found
