"""Whether a database session still lives, without asking the database."""

from __future__ import annotations

import select
from typing import Protocol

from psycopg2.extensions import TRANSACTION_STATUS_IDLE, connection


class HasSocket(Protocol):
    """A socket, or what has one."""

    def fileno(self) -> int:
        """Return the socket's number."""
        ...


def has_news(link: HasSocket) -> bool:
    """Return whether an idle socket can be read from: it was closed, or holds what nobody asked for."""
    poll = select.poll()
    poll.register(link, select.POLLIN)
    return bool(poll.poll(0))


def is_surely_open(link: connection | None) -> bool:
    """Return whether the server of an idle session is certain to live: False means that it must be asked.

    A session over a UNIX socket ends with its server's process, however that ends: the kernel closes the
    socket, which can be seen.  Over TCP the word of it may be lost.
    """
    if link is None or link.closed:
        return False
    is_local, is_idle = (
        (link.info.host or "").startswith("/"),
        link.info.transaction_status == TRANSACTION_STATUS_IDLE,
    )
    return is_local and is_idle and not has_news(link)
