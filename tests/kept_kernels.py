"""Compiled kernels of the tests, kept outside the checkout as the database is: a new clone compiles none.

Their folder is named after their sources; what numba keeps there knows the machine's instructions besides.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

from tests import template

VARIABLE: Final = "NUMBA_CACHE_DIR"
"""As `workers/kernels/cache.py`, without importing numba."""
KEPT: Final = 4
"""Of several checkouts and branches; older ones go."""


def folder() -> Path:
    """Return where the kernels of these sources are kept.

    A host that starts deletes kernels of other versions beside its own, so each version has its folder.
    """
    digest = hashlib.sha256()
    for path in sorted((template.SITE / "workers" / "kernels").glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return template.folder() / "kernels" / digest.hexdigest()[:16]


def use() -> None:
    """Have this process and its children keep them there, unless somebody chose another folder."""
    os.environ.setdefault(VARIABLE, str(folder()))


def tidy() -> None:
    """Delete the oldest."""
    ours = folder()
    ours.mkdir(parents=True, exist_ok=True)
    os.utime(ours)
    others = sorted(ours.parent.iterdir(), key=lambda path: path.stat().st_mtime)
    for old in others[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
