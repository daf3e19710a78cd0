"""`python -m tests.last_soak`: note that `make soak` has just run green; with `--say` print when it last did.

Noted beside the migrated database, outside the checkout: a new clone on the same machine says it, too.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.template import SITE, folder


def note_path() -> Path:
    """Return the file with the time and the commit."""
    return folder() / "soak-green.txt"


def said() -> str:
    """Return when, and at which commit, `make soak` last ran green on this machine."""
    path = note_path()
    when = path.read_text().strip() if path.exists() else "never on this machine"
    return f"make soak, which runs what make test leaves out, last ran green: {when}"


def main(arguments: Sequence[str]) -> None:
    """Note that it ran green, unless `--say` is given; print when it last did."""
    if list(arguments) != ["--say"]:
        words = ["git", "rev-parse", "--short", "HEAD"]
        commit = subprocess.run(words, cwd=SITE, capture_output=True, text=True).stdout.strip()
        with contextlib.suppress(OSError):  # of a home that cannot be written: it ran green all the same
            note_path().parent.mkdir(parents=True, exist_ok=True)
            note_path().write_text(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit or 'unknown'}\n")
    sys.stdout.write(said() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
