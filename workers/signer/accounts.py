"""Accounts that were added while the signer ran: served again after the next start."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from poolsite.private_files import private_write

FILE: Final = "accounts"


def accounts_read(folder: Path) -> list[str]:
    """Return the accounts that were added."""
    path = folder / FILE
    return path.read_text().splitlines() if path.exists() else []


def accounts_add(folder: Path, account: str) -> None:
    """Keep one more."""
    private_write(folder / FILE, "".join(f"{name}\n" for name in [*accounts_read(folder), account]))
