"""Valkey as a child of our own, under the name of its protocol: broker, channel layer, heartbeats."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from poolsite.embedded.programs import redis_program
from poolsite.valkey import server_command

if TYPE_CHECKING:
    from poolsite.embedded.children import Slot
    from poolsite.embedded.paths import PoolPaths


def command(paths: PoolPaths) -> list[str]:
    """Return the words that run the server on its socket alone."""
    return server_command(redis_program(), socket=paths.redis_socket, data=paths.var / "redis")


def readiness_probe(path: Path) -> Callable[[Slot], bool]:
    """Return the readiness probe: PING is answered, so the file is loaded too."""

    def probe(_slot: Slot) -> bool:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(0.2)
            try:
                link.connect(str(path))
                link.sendall(b"PING\r\n")
                return link.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    return probe
