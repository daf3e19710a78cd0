"""Test names say the behaviour, shortly, and no test hides another of its module."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

SITE = Path(__file__).parents[3]
FILES = sorted((SITE / "tests").rglob("test_*.py"))
NAME_MAX = 70


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(SITE)) for file in FILES])
def test_names_are_short_and_unique(file: Path) -> None:
    names = [
        node.name
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]

    assert [name for name in names if len(name) > NAME_MAX] == []
    assert [name for name, count in Counter(names).items() if count > 1] == []
