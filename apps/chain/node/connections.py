"""Connections to one node that are kept between calls: plain HTTP/1.1, one POST at a time on each.

Written for small calls: a general client spends more on each than a node does.
The time of a call is that of the whole call: `settimeout` alone begins anew with each byte that comes, and a
node that sends one a second would hold a thread for days.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from apps.core.marked_texts import gettext
from apps.core.sessions import has_news


class AnswerTooLarge(OSError):
    """An answer passed its limit; its connection is closed with the rest unread."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(gettext("the response is larger than {limit} bytes").format(limit=limit))


IDLE_MAX: Final = 32
"""Connections that are kept open while nobody uses them."""


class TimedReader(io.RawIOBase):
    """Reads a socket until a moment; every read may take what is left until then."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._until = until
        """Monotonic time."""
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open as long as this is

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read once.  Raises TimeoutError when the moment has come."""
        self._sock.settimeout(seconds_left(self._until))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class TimedSocket:
    """Stands where `HTTPResponse` expects a socket, of which it takes the file and nothing else."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._until = until

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the answer as a file."""
        return io.BufferedReader(TimedReader(self._sock, self._until))


def timed_response(until: float, sock: socket.socket, method: str | None = None) -> HTTPResponse:
    """Return the response that is read from a socket until a moment of the monotonic clock."""
    return HTTPResponse(TimedSocket(sock, until), method=method)  # type: ignore[arg-type]  # see TimedSocket


def seconds_left(until: float) -> float:
    """Return the seconds until a moment of the monotonic clock.  Raises TimeoutError if there are none."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class Connections:
    """Requests to one address.  Threads may share it."""

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
        """Send a body; returns status and body of the answer, all within `answer_s`.  Raises as `request`."""
        return self.request("POST", body, connect_s=connect_s, answer_s=answer_s)

    def request(
        self, method: str, body: bytes | None, *, connect_s: float, answer_s: float
    ) -> tuple[int, bytes]:
        """Send a request; returns status and body of the answer, all within `answer_s`.

        Raises OSError (TimeoutError and AnswerTooLarge among them) and http.client.HTTPException.
        """
        until = time.monotonic() + answer_s
        connection = self._take() or self._open(connect_s)
        try:
            sock: socket.socket = connection.sock
            sock.settimeout(seconds_left(until))  # for all that is sent, see socket.sendall
            connection.response_class = partial(timed_response, until)  # type: ignore[assignment]  # only called
            connection.request(method, self._target, body=body, headers=self._headers)
            with connection.getresponse() as response:  # one that ends with its answer has let the socket go
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
        """Return an idle connection that the other side has not closed meanwhile."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.sock is not None and not has_news(connection.sock):
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
            raise ConnectionError(
                gettext("no connection within {connect_s:g} s").format(connect_s=connect_s)
            ) from None
        except BaseException:
            connection.close()
            raise
        return connection
