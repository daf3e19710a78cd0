"""The folders of an embedded pool, which nobody else on the machine may enter, and its session key."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poolsite.embedded.errors import StartupError
from poolsite.private_files import private_write

if TYPE_CHECKING:
    from poolsite.embedded.paths import PoolPaths

PRIVATE_FOLDERS: Final = (
    *("log", "redis", "keys", "static", "numba", "tokens"),
    *("devnet", "signer", "sealer", "prover", "store"),
)
"""Below `var`, which the account of PostgreSQL must be able to pass."""


PASSABLE: Final = 0o711
"""Mode of a folder that PostgreSQL's account must be able to pass, whatever the umask."""


def passable_create(folder: Path) -> None:
    """Make a folder, and those above it that are missing, that any account may pass."""
    if not folder.exists():
        passable_create(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(PASSABLE)


def folders_create(paths: PoolPaths) -> None:
    """Make the folders and the session key; figures of processes that are gone are dropped."""
    shutil.rmtree(paths.metrics, ignore_errors=True)
    try:
        paths.metrics.mkdir(mode=0o700)
    except FileExistsError:
        raise StartupError(f"{paths.metrics} belongs to another user: choose another POOLSITE_VAR") from None
    for name in PRIVATE_FOLDERS:
        (paths.var / name).mkdir(mode=0o700, exist_ok=True)
        (paths.var / name).chmod(0o700)  # one of an earlier version may be open
    paths.sockets.mkdir(mode=PASSABLE, exist_ok=True)
    # another user's link could lead to a folder of ours now, and to sockets of theirs later
    if paths.sockets.is_symlink() or paths.sockets.stat().st_uid != os.geteuid():
        raise StartupError(
            f"{paths.sockets} belongs to another user: remove it or choose another POOLSITE_VAR"
        )
    paths.sockets.chmod(PASSABLE)  # a umask of 077 has closed it
    if not paths.secret_key():  # none yet, or one that a power cut left empty
        private_write(paths.secret, secrets.token_urlsafe(48))
