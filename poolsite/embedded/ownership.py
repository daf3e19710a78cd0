"""Who may use a pool's folder and ports: locks and sockets that no kill -9 can leave stale."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from poolsite.embedded.errors import AlreadyRunning, PortTaken

TICK_S: Final = 0.1
HOLDER_S: Final = 1.0
BACKLOG: Final = 512


def is_owned(folder: Path) -> bool:
    """Return whether a supervisor runs there, without making a file."""
    path = folder / "supervisor.lock"
    if not path.exists():
        return False
    with path.open("r") as link:
        try:
            fcntl.flock(link, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def owned(folder: Path, *, patience_s: float = 30.0) -> Iterator[int]:
    """Own `folder` alone; gives the descriptor that every child inherits.

    A child that outlives a killed supervisor keeps the second lock until it has really gone, and a
    new start waits for that.  No pid is stored or trusted.  Raises AlreadyRunning.
    """
    with (
        (folder / "supervisor.lock").open("a") as supervisor,
        (folder / "children.lock").open("a") as children,
    ):
        until = time.monotonic() + patience_s
        try:
            fcntl.flock(supervisor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"a pool is already running in {folder}") from None
        while True:
            try:
                fcntl.flock(children, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise AlreadyRunning(f"processes of an earlier pool are still using {folder}") from None
                time.sleep(TICK_S)
        yield children.fileno()


def listening(host: str, port: int) -> socket.socket:
    """Bind for children that inherit it: clients wait in the backlog while a child is restarted."""
    link = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if link.family == socket.AF_INET6:
        link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        link.bind((host, port))
        link.listen(BACKLOG)
    except OverflowError:
        link.close()
        raise PortTaken(f"{port} is not a port: use a number from 1 to 65535") from None
    except PermissionError:
        link.close()
        raise PortTaken(f"no permission to open port {port} on {host}: choose a port above 1023") from None
    except OSError as error:
        link.close()
        raise PortTaken(f"port {port} on {host} is in use by another program") from error
    return link


def has_ipv6_loopback() -> bool:
    """Return whether `localhost` may mean ::1 here."""
    if not socket.has_ipv6:
        return False
    with socket.socket(socket.AF_INET6) as link:
        try:
            link.bind(("::1", 0))
        except OSError:
            return False
    return True


def listening_everywhere(host: str, ports: list[int]) -> list[socket.socket]:
    """Bind every port; `localhost` means both loopback addresses.  All or none.  Raises PortTaken."""
    hosts = [host]
    if host == "localhost":
        hosts = ["127.0.0.1", "::1"] if has_ipv6_loopback() else ["127.0.0.1"]
    links: list[socket.socket] = []
    try:
        for port in ports:
            links.extend(listening(address, port) for address in hosts)
    except PortTaken:
        for link in links:
            link.close()
        raise
    return links


@contextmanager
def addresses_reserved(addresses: Iterable[str]) -> Iterator[None]:
    """Keep other pools from choosing what a child of ours will listen on later.

    Between the look at a port and the child's own `bind` lie the seconds of a first start; a second pool
    that begins in them would work with the chain of the first.  The names are abstract sockets: they live
    in the same namespace of the network as the ports, and end with us.  Any account can take such a name, so
    another's holds nobody back: there the bind of the port itself decides.  Raises PortTaken.
    """
    with ExitStack() as reservations:
        for address in addresses:
            name = reservations.enter_context(socket.socket(socket.AF_UNIX))
            try:
                name.bind(f"\0poolsite {address}")
                name.listen()  # so that others can see whose it is
            except OSError:
                if _holder(f"\0poolsite {address}") == os.geteuid():
                    reason = f"{address} is reserved by another pool: choose another address"
                    raise PortTaken(reason) from None
        yield


def _holder(name: str) -> int | None:
    """Return the uid of the process that listens on an abstract socket name; None: nobody does."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(HOLDER_S)
        try:
            link.connect(name)
        except OSError:  # nobody listens, or their queue is full
            return None
        facts = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _pid, uid, _gid = struct.unpack("3i", facts)
        return int(uid)


def require_free(host: str, port: int) -> None:
    """Make sure that a child will be able to bind this port.  Raises PortTaken."""
    listening(host, port).close()
