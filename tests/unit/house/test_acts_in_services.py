"""An act is whole in its service: what answers HTTP opens no transaction.

That it writes no line of the audit log is a contract of import-linter.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

FACES: Final = sorted(path for app in ("api", "dashboard") for path in Path("apps", app).rglob("*.py"))


def transactions(path: Path) -> list[str]:
    """Return the lines of a module that take Django's transactions."""
    return [
        f"{path}:{node.lineno}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        if node.module == "django.db.transaction"
        or (node.module == "django.db" and any(one.name == "transaction" for one in node.names))
    ]


def test_a_transaction_of_a_view_is_found(tmp_path: Path) -> None:
    path = tmp_path / "made.py"
    path.write_text("from django.db import models\nfrom django.db import connection, transaction\n")

    assert transactions(path) == [f"{path}:2"]


def test_what_answers_http_opens_no_transaction() -> None:
    assert len(FACES) > 400
    assert [line for path in FACES for line in transactions(path)] == []
