"""Functions stay within 60 lines: what is longer usually does two things."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

FUNCTION_LINES: Final = 60
MODULES: Final = [
    path
    for room in ("poolsite", "apps", "workers")
    for path in sorted(Path(room).rglob("*.py"))
    if "migrations" not in path.parts
]


def functions(text: str) -> dict[str, int]:
    """Return how many lines each function of a module takes, by its line and name."""
    return {
        f"{one.lineno} {one.name}": (one.end_lineno or one.lineno) - one.lineno + 1
        for one in ast.walk(ast.parse(text))
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))
    }


def test_a_method_is_measured_from_its_def_to_its_last_line() -> None:
    assert functions("class A:\n    def made(\n        self,\n    ): ...\n") == {"2 made": 3}


def test_no_function_of_the_product_is_longer() -> None:
    found = {f"{path}:{name}": many for path in MODULES for name, many in functions(path.read_text()).items()}

    assert len(found) > 5000
    assert {name: many for name, many in found.items() if many > FUNCTION_LINES} == {}
