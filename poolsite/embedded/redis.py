"""Redis as a child of our own: broker, channel layer, signs of life; kept on disk, never evicting."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from poolsite.embedded.programs import redis_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from poolsite.embedded.children import Slot
    from poolsite.embedded.places import Places


def command(places: Places) -> list[str | Path]:
    """Give the words that run the server on its socket alone."""
    options = {
        "port": "0",
        "unixsocket": str(places.redis_socket),
        "unixsocketperm": "700",
        "dir": str(places.var / "redis"),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "daemonize": "no",
    }
    return [redis_program(), *(word for name, value in options.items() for word in (f"--{name}", value))]


def answers(path: Path) -> Callable[[Slot], bool]:
    """Give the readiness probe: PING is answered, so the file is loaded too."""

    def ask(_slot: Slot) -> bool:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(0.2)
            try:
                link.connect(str(path))
                link.sendall(b"PING\r\n")
                return link.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    return ask
