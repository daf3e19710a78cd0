"""What is looked at before a pool starts; reads only, so a refusal leaves every file as it was."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from poolsite.embedded.errors import AlreadyRunning, BadFolder, DiskFull
from poolsite.embedded.ownership import is_owned
from poolsite.embedded.postgres import nearest, require_same_major
from poolsite.embedded.requirements import machine_require

if TYPE_CHECKING:
    from poolsite.embedded.paths import PoolPaths
    from poolsite.embedded.postgres import Cluster

FIRST_START_BYTES: Final = 400 * 1024 * 1024
"""A new cluster, its first log segments and the first sealed sectors."""

LATER_START_BYTES: Final = 64 * 1024 * 1024
"""PostgreSQL stops itself when it cannot write a log segment of 16 MiB."""

SQLITE_MAGIC: Final = b"SQLite format 3\x00"
"""How every SQLite file begins."""

OPERATOR_KEYS: Final = frozenset({"url", "username", "admin_token"})
"""Always in operator.json; `password` goes when the operator changes it."""


def preflight(paths: PoolPaths, cluster: Cluster | None) -> None:
    """Refuse a folder that cannot carry a pool.  Raises StartupError with one sentence."""
    require_own_folder(paths.var)
    machine_require(paths.var)
    if is_owned(paths.var):
        raise AlreadyRunning(f"a pool is already running in {paths.var}")
    require_operator_file(paths.operator)
    require_chain_file(paths.var / "devnet" / "chain.sqlite")
    if cluster is not None:
        require_same_major(cluster)
    require_disk_space(paths.var)


def require_own_folder(var: Path) -> None:
    """Refuse another user's folder, or one that is no folder or closed to us."""
    try:
        is_there = var.exists()
    except PermissionError:
        raise BadFolder(f"no permission for a folder above {var}") from None
    if not is_there:
        if not os.access(nearest(var), os.W_OK | os.X_OK):
            raise BadFolder(f"{var} cannot be created: no write permission for {nearest(var)}")
        return
    if not var.is_dir():
        raise BadFolder(f"{var} is not a folder")
    if var.stat().st_uid != os.geteuid():
        raise BadFolder(f"{var} belongs to another user: choose another POOLSITE_VAR")
    if not os.access(var, os.W_OK | os.X_OK):
        raise BadFolder(f"no write permission for {var}")


def require_operator_file(path: Path) -> None:
    """Refuse an operator.json that was cut or is not ours: a new one would hide the admin's token."""
    if not path.exists():
        return
    try:
        entry = json.loads(path.read_text())
        is_complete = isinstance(entry, dict) and entry.keys() >= OPERATOR_KEYS
    except (ValueError, OSError):
        is_complete = False
    if not is_complete:
        raise BadFolder(
            f"{path} is damaged: restore it, or remove it to have a new token created; if the operator's "
            "password was only there, run `make takeover` then"
        )


def require_chain_file(path: Path) -> None:
    """Refuse a devnet file that is not SQLite: a new chain would not match the pool's rows."""
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        # immutable: reading only would still leave the files of a write-ahead log behind
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as link:
            link.execute("select count(*) from sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        if is_recoverable(path):
            return
        raise BadFolder(f"{path} is not a devnet file ({error}): restore it, or run `make reset`") from error


def is_recoverable(path: Path) -> bool:
    """Return whether a checkpoint was cut off in a file of SQLite: its log still holds every page of it."""
    log = path.with_name(f"{path.name}-wal")
    with path.open("rb") as file:
        is_sqlite = file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    return is_sqlite and log.exists() and log.stat().st_size > 0


def require_disk_space(var: Path) -> None:
    """Refuse a disk that is too full to begin on."""
    needed = LATER_START_BYTES if (var / "processes.json").exists() else FIRST_START_BYTES
    free = shutil.disk_usage(nearest(var)).free
    if free < needed:
        raise DiskFull(
            f"the disk of {var} has {free // 2**20} MiB free, the pool needs {needed // 2**20} MiB"
        )
