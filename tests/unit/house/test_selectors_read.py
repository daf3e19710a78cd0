"""Selectors and rules only read: a page that is opened writes nothing."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

PACKAGES: Final = ("selectors", "rules", "onchain", "findings", "table", "report")
READERS: Final = sorted(
    path
    for app in Path("apps").iterdir()
    for name in PACKAGES
    for path in (app / f"{name}.py", *(app / name).rglob("*.py"))
    if path.exists()
)
WRITES: Final = {"save", "delete", "get_or_create", "update_or_create", "bulk_create", "bulk_update"}


def writes(path: Path) -> list[str]:
    """Return the calls of a module that write rows."""
    return [
        f"{path}:{node.lineno} {node.func.attr}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in WRITES
        or (node.func.attr in {"create", "update"} and "objects" in ast.unparse(node.func.value))
    ]


def test_a_row_that_is_made_on_the_way_is_found(tmp_path: Path) -> None:
    path = tmp_path / "made.py"
    path.write_text(
        "Row.objects.get_or_create(pk=1)\nRow.objects.filter(a=1).update(b=2)\nnames.update(a=1)\n"
    )

    assert writes(path) == [f"{path}:1 get_or_create", f"{path}:2 update"]


def test_selectors_and_rules_write_no_rows() -> None:
    assert len(READERS) > 200
    assert [one for path in READERS for one in writes(path)] == []
