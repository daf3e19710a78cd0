"""`make reset`: remove a pool's state after asking; refused while it runs.

Run: python -m poolsite.embedded.reset
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from poolsite.embedded.errors import StartupError
from poolsite.embedded.own_folder import console_folder
from poolsite.embedded.ownership import owned
from poolsite.embedded.paths import PoolPaths
from poolsite.embedded.postgres import cluster_of
from poolsite.embedded.preflight import require_own_folder


def folders_of(paths: PoolPaths) -> list[Path]:
    """List what belongs to this pool: its folder, its sockets, PostgreSQL's folder where it lies outside."""
    moved_to = cluster_of(paths).moved_to
    folders = [paths.metrics, paths.var, paths.sockets, *([moved_to] if moved_to else [])]
    return [folder for folder in folders if folder.exists()]


def main() -> int:
    """Remove after a confirmation; 0 if the state is gone, 1 if it was kept."""
    paths = PoolPaths.of_environment()
    try:
        require_own_folder(paths.var)
        console_folder(paths)
        folders = folders_of(paths)
        if not folders:
            sys.stdout.write(f"There is no pool in {paths.var}.\n")
            return 0
        with owned(paths.var, patience_s=5.0):
            own = "your own database stays as it is" if os.environ.get("DATABASE_URL") else "the database too"
            sys.stdout.write(
                f"Remove {', '.join(map(str, folders))}, with keys and sectors ({own})? Type yes: "
            )
            sys.stdout.flush()
            if sys.stdin.readline().strip().lower() != "yes":
                sys.stdout.write("Nothing was removed.\n")
                return 1
            for folder in folders:
                shutil.rmtree(folder)
    except StartupError as refusal:
        sys.stdout.write(f"Nothing was removed: {refusal}.\n")
        return 1
    sys.stdout.write("The pool's state was removed.\n")
    return 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
