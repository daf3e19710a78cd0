"""How much of the text is docstrings, those under fields and constants included: docs/decisions/0034."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

APPS: Final = [str(app.parent) for app in sorted(Path("apps").glob("*/apps.py"))]
LEAST: Final = {"poolsite/filecoin": 28, "workers/kernels": 35, **dict.fromkeys(APPS, 8)}
"""Docstring lines in 100 lines that are not empty."""


def docstring_lines(text: str) -> int:
    """Return how many lines of a module are docstrings, also of fields and constants."""
    return sum(
        (one.end_lineno or one.lineno) - one.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        for one in node.body
        if isinstance(one, ast.Expr)
        and isinstance(one.value, ast.Constant)
        and isinstance(one.value.value, str)
    )


def test_a_constants_docstring_counts_too() -> None:
    assert docstring_lines('"""Of a module."""\nA = 1\n"""Of a constant,\nin two lines."""\nB = ""\n') == 3


@pytest.mark.parametrize("room", LEAST)
def test_a_room_says_enough(room: str) -> None:
    texts = [path.read_text() for path in Path(room).rglob("*.py") if "migrations" not in path.parts]
    filled = sum(bool(line.strip()) for text in texts for line in text.splitlines())

    assert 100 * sum(map(docstring_lines, texts)) / filled >= LEAST[room]
