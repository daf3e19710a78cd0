"""Connections to one node that are kept between calls: plain HTTP/1.1, one POST at a time on each.

Written for small calls: a general client spends more on each than a node does.
"""

from __future__ import annotations

import select
import ssl
from collections import deque
from http.client import HTTPConnection, HTTPSConnection
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping


class AnswerTooLarge(OSError):
    """An answer passed its limit; its connection is closed with the rest unread."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"the answer is larger than {limit} bytes")


IDLE_MAX: Final = 8
"""Connections that are kept open while nobody uses them."""


class Connections:
    """Posts to one address.  Threads may share it."""

    def __init__(self, url: str, headers: Mapping[str, str], *, answer_max: int) -> None:
        self._answer_max = answer_max
        parts = urlsplit(url)
        self._is_secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = dict(headers)
        self._idle: deque[HTTPConnection] = deque()

    def post(self, body: bytes, *, connect_s: float, answer_s: float) -> tuple[int, bytes]:
        """Send a body; gives status and body of the answer.

        Raises OSError (TimeoutError and AnswerTooLarge among them) and http.client.HTTPException.
        """
        connection = self._take() or self._open(connect_s)
        try:
            sock: socket.socket = connection.sock
            sock.settimeout(answer_s)
            connection.request("POST", self._target, body=body, headers=self._headers)
            response = connection.getresponse()
            content = response.read(self._answer_max + 1)
            if len(content) > self._answer_max:
                raise AnswerTooLarge(self._answer_max)
        except BaseException:
            connection.close()
            raise
        if response.will_close or len(self._idle) >= IDLE_MAX:
            connection.close()
        else:
            self._idle.append(connection)
        return response.status, content

    def close(self) -> None:
        """Close what nobody uses; the next call opens a new one."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> HTTPConnection | None:
        """Give an idle connection that the other side has not closed meanwhile."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.sock is not None and not _has_news(connection.sock):
                return connection
            connection.close()

    def _open(self, connect_s: float) -> HTTPConnection:
        if self._is_secure:
            connection: HTTPConnection = HTTPSConnection(
                self._host, self._port, timeout=connect_s, context=ssl.create_default_context()
            )
        else:
            connection = HTTPConnection(self._host, self._port, timeout=connect_s)
        try:
            connection.connect()
        except TimeoutError:
            connection.close()
            raise ConnectionError(f"no connection within {connect_s:g} s") from None
        except BaseException:
            connection.close()
            raise
        return connection


def _has_news(sock: socket.socket) -> bool:
    """Tell whether an idle connection can be read from: it was closed, or holds what nobody asked for."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
