"""What a worker keeps in its folder: its uid, its token, its file, the sector size that the console told."""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from workers.config_mistakes import BadConfig
from workers.storage.files import write_file

if TYPE_CHECKING:
    from pathlib import Path

    pass

COMPILE_PROGRESS_FILE: Final = "compile_progress.json"
"""In a worker's folder: how far its kernel child has compiled."""

CONFIG_FILE: Final = "config.toml"
"""In a worker's folder: what stays, as `[slots]`."""
FIELD_FILE: Final = "worker.toml"
"""The same, as a damocles-worker names it."""
UID_FILE: Final = "uid"
"""In a worker's folder: the name under which the console knows what is on this disk."""
SIZE_FILE: Final = "sector_bytes"
"""In a worker's folder: the sector size of the pool's miners, as the console told it last."""
TOKEN_FILE: Final = "token"  # noqa: S105  # the name of a file
"""In a worker's folder: the token that it got when it joined."""


def uid_of(folder: Path) -> str:
    """Read the uid of a worker's folder, or make it in one step that survives a kill."""
    path = folder / UID_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f"{UID_FILE}.{secrets.token_hex(4)}"
        with fresh.open("w") as file:
            file.write(f"{socket.gethostname()[:40]}-{secrets.token_hex(8)}\n")
            file.flush()
            os.fsync(file.fileno())  # an empty name after a power cut would lose the sectors on this disk
        try:
            os.link(fresh, path)  # of two starts at once one wins, and both read the winner's
        except FileExistsError:
            pass
        fresh.unlink()
    return path.read_text().strip()


def config_path(folder: Path, named: Path | None) -> Path:
    """Return a worker's file: the one that the command names, or that in its folder.  Raises BadConfig."""
    if named is not None:
        return named
    own, field = folder / CONFIG_FILE, folder / FIELD_FILE
    if own.exists() and field.exists():
        raise BadConfig(f"{own} and {field} both exist: keep one of them, or choose one with --config")
    return field if field.exists() else own


def size_noted(folder: Path) -> int:
    """Return the sector size that the console told last; 0 where it has told none."""
    try:
        size = int((folder / SIZE_FILE).read_text())
    except (OSError, ValueError):
        return 0
    return size if size in SECTOR_SIZES else 0


def size_note(folder: Path, sector_bytes: int) -> None:
    """Write down the sector size that the console tells; 0: it tells none."""
    if sector_bytes in SECTOR_SIZES:
        write_file(folder / SIZE_FILE, str(sector_bytes).encode())


def token_read(path: Path) -> str:
    """Read the console's token.  Raises BadConfig."""
    try:
        token = path.read_text(errors="replace").strip()
    except OSError as error:
        raise BadConfig(f"the token file {path} cannot be read: {error.strerror}") from None
    if not token:
        raise BadConfig(f"the token file {path} is empty")
    return token_checked(token, origin=f"the token file {path}")


def token_checked(token: str, *, origin: str) -> str:
    """Return a token that fits into a header; what is none is not repeated.  Raises BadConfig."""
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise BadConfig(f"{origin} does not contain a token: use one line without spaces, as it was copied")
    return token
