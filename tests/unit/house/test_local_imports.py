"""An import inside a function says why it does not stand at the top."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]


def local_imports(path: Path) -> Iterator[str]:
    """Yield the lines of imports in functions."""
    text = path.read_text()
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for row in ast.walk(function):
                if isinstance(row, ast.Import | ast.ImportFrom):
                    yield text.splitlines()[row.lineno - 1].strip()


def test_an_import_inside_a_function_has_its_reason_beside_it() -> None:
    files = [path for folder in ("apps", "poolsite", "workers") for path in (ROOT / folder).rglob("*.py")]
    found = {(path, line) for path in files for line in local_imports(path)}

    assert found, "start time and memory are bought with some"
    assert {(path, line) for path, line in found if "  # " not in line} == set()
