"""The migrated database of the tests as SQL, kept outside the checkout: 1 s instead of 12 s of a core.

It is named after everything that decides what a migrated database holds, so that none is used for other
sources; where nothing can be kept there, each run migrates.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

SITE: Final = Path(__file__).resolve().parent.parent
PATTERNS: Final = ("apps/*/migrations/*.py", "apps/*/models.py", "apps/*/models/*.py")
"""Tables come from the migrations; what the models are called and who may do what is written after them."""
BESIDE: Final = ("poolsite/settings/base.py", "poolsite/settings/test.py", "tests/template.py")
OURS: Final = re.compile(r"^\s*(?:from|import) ((?:apps|poolsite)\.[\w.]+)", re.M)
KEPT: Final = 8
"""Of several checkouts and branches; older ones go."""


def sources() -> list[Path]:
    """List the files that the database follows from."""
    return imported([*(path for at in PATTERNS for path in SITE.glob(at)), *(SITE / at for at in BESIDE)])


def imported(files: Iterable[Path]) -> list[Path]:
    """List these files and all of ours that they import."""
    waiting = list(files)
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += modules(OURS.findall(path.read_text()))
    return sorted(found)


def modules(names: Iterable[str]) -> list[Path]:
    """Return the files of these modules; of a package its `__init__`."""
    places = [SITE / name.replace(".", "/") for name in names]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    return [file for file in files if file.exists()]


def key() -> str:
    """Return the name of the database that these sources and packages make, PostgreSQL among them.

    Wherever they are: a new clone finds what an older one has made.
    """
    return digest_of(sources())


def digest_of(files: Iterable[Path]) -> str:
    """Name the bytes and places of these files, our Python and its packages."""
    digest = hashlib.sha256()
    digest.update(packages().encode())
    for path in files:
        digest.update(f"{path.relative_to(SITE)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:32]


@functools.cache
def packages() -> str:
    """Return a line for our Python and one for each package."""
    names = sorted(f"{found.name} {found.version}\n" for found in importlib.metadata.distributions())
    return "".join([f"{sys.version}\n", *names])


def migrations() -> dict[str, str]:
    """Name each migration, with all of ours that it imports, by its place."""
    return {str(path.relative_to(SITE)): digest_of(imported([path])) for path in SITE.glob(PATTERNS[0])}


def nearest() -> Path | None:
    """Return the kept database of the most migrations of which each is one of ours, byte for byte."""
    ours = migrations()
    found: tuple[int, Path | None] = (0, None)
    for beside in folder().glob("template-*.json"):
        with contextlib.suppress(OSError, ValueError):
            theirs = json.loads(beside.read_text())
            if theirs.items() <= ours.items() and beside.with_suffix(".sql").exists():
                found = max(found, (len(theirs), beside.with_suffix(".sql")), key=lambda one: one[0])
    return found[1]


def folder() -> Path:
    """Return where they are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "poolsite"


def fill(programs: Path, place: Mapping[str, str]) -> None:
    """Bring the empty database at `place` (PGHOST, PGUSER, PGDATABASE) to what the migrations make."""
    if restore(programs, place):
        return
    if (base := nearest()) is not None:
        read_in(programs, place, base)
    env = {**os.environ, **place}
    settings = {"DJANGO_SETTINGS_MODULE": "poolsite.settings.test"}
    subprocess.run(
        [sys.executable, SITE / "manage.py", "migrate", "-v0", "--skip-checks"],
        check=True,
        env=env | settings,
        cwd=SITE,
    )
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        keep(programs, env, kept_file())


def restore(programs: Path, place: Mapping[str, str]) -> bool:
    """Fill the empty database at `place` with what is kept; False if nothing is."""
    kept = kept_file()
    if kept.exists():
        read_in(programs, place, kept)
        return True
    return False


def read_in(programs: Path, place: Mapping[str, str], kept: Path) -> None:
    """Run what `keep` wrote."""
    words = ("-qX", "-v", "ON_ERROR_STOP=1", "-1", "-o", os.devnull, "-f", kept)
    subprocess.run([programs / "psql", *words], check=True, env={**os.environ, **place})


def kept_file() -> Path:
    """Return where the database of these sources is kept, if it is."""
    return folder() / f"template-{key()}.sql"


def keep(programs: Path, env: Mapping[str, str], kept: Path) -> None:
    """Write the database down, whole or not at all; others may do so at the same time."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as fresh:
        subprocess.run([programs / "pg_dump", "--no-owner"], check=True, env=env, stdout=fresh)
    kept.with_suffix(".json").write_text(json.dumps(migrations()))
    Path(fresh.name).rename(kept)
    others = sorted(kept.parent.glob("template-*.sql"), key=lambda path: path.stat().st_mtime)
    for old in others[:-KEPT]:
        old.unlink(missing_ok=True)
        old.with_suffix(".json").unlink(missing_ok=True)
