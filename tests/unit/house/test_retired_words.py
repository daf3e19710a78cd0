"""Replaced words do not come back: in templates, in docs, and in what the apps say to people and programs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[2]
RETIRED: Final = [
    line
    for line in (HERE / "retired_words.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
PATTERN: Final = re.compile(
    r"(?<!\w)(?:" + "|".join(map(re.escape, RETIRED)).replace(r"\ ", r"\s+") + r")(?!\w)"
)
"""A template's formatter may break a phrase at any blank."""


def texts() -> Iterator[tuple[str, int, str]]:
    """Yield each template, page of the docs and string of the apps that is no docstring: file, line, text."""
    pages = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    for path in sorted(pages):
        yield str(path.relative_to(ROOT)), 1, path.read_text()
    for path in sorted((ROOT / "apps").rglob("*.py")):
        if "migrations" not in path.parts:
            yield from ((str(path.relative_to(ROOT)), *said) for said in strings(ast.parse(path.read_text())))


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the strings of a module without its docstrings."""
    said = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in said:
            yield node.lineno, node.value


def test_no_text_uses_a_retired_word() -> None:
    found = [
        f"{path}:{line + text[: match.start()].count(chr(10))}: {match[0]}"
        for path, line, text in texts()
        for match in PATTERN.finditer(text)
    ]

    assert not found
