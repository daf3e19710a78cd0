"""How much of the text is docstrings (docs/decisions/0034), and how those of functions begin."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

APPS: Final = [str(app.parent) for app in sorted(Path("apps").glob("*/apps.py"))]
LEAST: Final = {"poolsite/filecoin": 28, "workers/kernels": 35, **dict.fromkeys(APPS, 8)}
"""Docstring lines in 100 lines that are not empty."""
NO_VERBS: Final = {
    "Ask",
    "Give",
    "Hand",
    "Have",
    "Hold",
    "Leave",
    "Let",
    "Obey",
    "Owe",
    "Say",
    "Take",
    "Tell",
}
"""Instead of these, the field's verb: send, sign, lock, compare, omit, assign, begin …"""
QUESTIONS: Final = {"How", "What", "When", "Where", "Whether", "Which", "Who", "Whose", "Why"}
"""After "Return": a function says what it returns."""


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


@pytest.mark.parametrize("room", [*APPS, "poolsite", "workers"])
def test_functions_say_what_they_return_or_do(room: str) -> None:
    found = [
        f"{path}:{node.lineno} {word}"
        for path in Path(room).rglob("*.py")
        if "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for word in (ast.get_docstring(node) or "").split()[:1]
        if word.rstrip(",;:") in NO_VERBS | QUESTIONS
    ]

    assert found == []
