"""A database as libpq and PostgreSQL's programs reach it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from poolsite.embedded.errors import BackupRefused
from poolsite.embedded.programs import postgres_programs
from poolsite.private_files import private_write

CONNECT_S: Final = 10
SERVICE: Final = "poolsite"


def login_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return host, port, user, password and options of an entry of DATABASES in libpq's words.

    A server that does not answer is given up after `CONNECT_S` unless the options say otherwise.
    """
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    options: dict[str, Any] = row["OPTIONS"]
    login = {word: row[name] for word, name in names.items() if row[name]}
    return {"connect_timeout": CONNECT_S} | login | options


@contextmanager
def _environment(login: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Write the login into a service file, as everybody on the machine can read command lines."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "service"
        lines = [f"{word}={value}\n" for word, value in login.items()]
        private_write(file, "".join([f"[{SERVICE}]\n", *lines]))
        yield {**os.environ, "PGSERVICEFILE": str(file), "PGSERVICE": SERVICE}


def program_run(name: str, *arguments: str | Path, login: dict[str, Any]) -> None:
    """Run a program of PostgreSQL on a server.  Raises BackupRefused with the reason it prints first."""
    with _environment(login) as env:
        done = subprocess.run(  # noqa: S603  # PostgreSQL's own programs
            [postgres_programs() / name, *arguments], check=False, capture_output=True, text=True, env=env
        )
    if done.returncode:
        raise BackupRefused(
            f"{name}: {' '.join(done.stderr.split()) or f'exit code {done.returncode}'}"[:600]
        )
