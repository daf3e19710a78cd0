"""Test names say the behaviour, shortly, and no test hides another of its module."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

SITE = Path(__file__).parents[3]
FILES = sorted((SITE / "tests").rglob("test_*.py"))
NAME_MAX = 70


def test_names_are_short_and_unique() -> None:
    names = {
        str(file.relative_to(SITE)): Counter(
            node.name
            for node in ast.parse(file.read_text()).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        )
        for file in FILES
    }

    assert [(file, name) for file, counts in names.items() for name in counts if len(name) > NAME_MAX] == []
    assert [(file, name) for file, counts in names.items() for name in counts if counts[name] > 1] == []
