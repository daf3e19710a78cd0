"""No import stands inside a function: what few processes need is loaded by name (`workers.loading`)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def local_imports(path: Path) -> Iterator[str]:
    """Yield each import in a function with its file and line."""
    text = path.read_text()
    lines = text.splitlines()
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for row in ast.walk(function):
                if isinstance(row, ast.Import | ast.ImportFrom):
                    yield f"{path.relative_to(ROOT)}:{row.lineno}: {lines[row.lineno - 1].strip()}"


@pytest.mark.parametrize("folder", ["apps", "poolsite", "workers"])
def test_no_function_imports(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))

    assert files
    assert [line for path in files for line in local_imports(path)] == []
