"""The top level has fixed names, so that a file left there by hand is not taken for a part of the project."""

from __future__ import annotations

import subprocess
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


def tracked() -> set[str]:
    """Return the names that git knows: a log or a note of whoever works there is no part of the project."""
    words = ["git", "ls-files", "-z"]
    done = subprocess.run(words, cwd=SITE, check=True, capture_output=True, text=True)
    return {name.partition("/")[0] for name in done.stdout.split("\0") if name}


def test_the_top_level_has_its_fixed_names() -> None:
    assert {name for name in tracked() if not name.startswith(".")} == FOLDERS | FILES
