"""The top level has fixed names, so that a file left there by hand is not taken for a part of the project."""

from __future__ import annotations

from typing import Final

from tests.timing import SITE

FOLDERS: Final = {"apps", "docs", "poolsite", "static", "templates", "tests", "workers"}
FILES: Final = {
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "manage.py",
    "pyproject.toml",
    "requirements.txt",
}
UNTRACKED: Final = {"node_modules", "var"}
"""Beside what begins with a dot and the embedded database's lock (.gitignore)."""


def test_the_top_level_has_its_fixed_names() -> None:
    found = {path.name for path in SITE.iterdir() if not path.name.startswith((".", "var."))}

    assert found - UNTRACKED == FOLDERS | FILES
