"""operator.json: how the first operator gets in, until the made-up password has another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from apps.core.marked_texts import gettext
from poolsite.private_files import private_write

OPERATOR_KEYS: Final = frozenset({"url", "username", "admin_token"})
"""Always in operator.json; `password` goes when the operator changes it."""


class DamagedFile(ValueError):
    """The file was cut, or is not ours."""


def operator_read(path: Path) -> dict[str, Any] | None:
    """Read operator.json; None if there is none.  Raises DamagedFile if it was cut or is not ours."""
    try:
        entry = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise DamagedFile(str(error)) from error
    if not isinstance(entry, dict) or not entry.keys() >= OPERATOR_KEYS:
        raise DamagedFile("missing " + ", ".join(sorted(OPERATOR_KEYS - set(entry))))
    if not all(isinstance(value, str) for value in entry.values()):
        raise DamagedFile(gettext("its values must be strings"))
    return entry


def operator_write(path: Path, *, entry: dict[str, str]) -> None:
    """Write operator.json."""
    private_write(path, json.dumps(entry, indent=2) + "\n")


def operator_has_password(path: Path) -> bool:
    """Return whether the made-up password is still the operator's."""
    try:
        entry = operator_read(path)
    except DamagedFile:
        return False
    return entry is not None and "password" in entry


def operator_password_remove(path: Path, *, username: str) -> None:
    """Remove the generated password once its owner has another; other people's changes leave the file."""
    try:
        entry = operator_read(path)
    except DamagedFile:  # the next start reports it; a password change must not fail for it
        return
    if entry is not None and entry["username"] == username and entry.pop("password", None) is not None:
        operator_write(path, entry=entry)
