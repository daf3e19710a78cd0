"""Services take their second argument and all after it by name: a call says what each value is."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

POSITIONAL_MAX: Final = 1
MODULES: Final = sorted(Path("apps").glob("*/services/**/*.py"))


def positional(path: Path) -> dict[str, int]:
    """Return how many arguments each public function of a module takes by position."""
    return {
        one.name: len(one.args.posonlyargs) + len(one.args.args)
        for one in ast.parse(path.read_text()).body
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)) and not one.name.startswith("_")
    }


def test_a_function_of_three_is_counted(tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text("def made(one, two, three, *, four): ...\ndef _own(a, b, c): ...\n")

    assert positional(tmp_path / "made.py") == {"made": 3}


def test_the_second_argument_is_named() -> None:
    counts = {f"{path}:{name}": many for path in MODULES for name, many in positional(path).items()}

    assert len(counts) > 500
    assert [name for name, many in counts.items() if many > POSITIONAL_MAX] == []
