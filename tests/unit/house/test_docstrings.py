"""How the docstrings of functions begin."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

APPS: Final = [str(app.parent) for app in sorted(Path("apps").glob("*/apps.py"))]
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
