"""A deadline for bytes on a socket: so many in a second, however they drip.

A socket's own timeout begins anew with each record of TLS and each byte of an answer.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from django.utils.translation import gettext_noop

POLL_S: Final = 1.0
"""How often the stop is checked."""
SOURCE_SLOW: Final = gettext_noop("the source sends too slowly")
DESTINATION_SLOW: Final = gettext_noop("the destination receives too slowly")
LOCAL_COPY_SLOW: Final = gettext_noop("the local copy is read too slowly")


class SocketWatch:
    """Ends a socket that is too slow, whatever its reader or writer waits for."""

    def __init__(
        self, sock: socket.socket, *, rate: float, slow_s: float, stop: threading.Event | None = None
    ) -> None:
        self.sock = sock
        self.rate, self.slow_s = rate, slow_s
        """Bytes a second over all, and seconds beside; none of its steps may take those alone."""
        self.stop = stop or threading.Event()
        self.reason = ""
        """Why the socket was ended; empty while it was not."""
        self.began = time.monotonic()
        self._over = threading.Event()
        self._count = 0
        self._end = self.began + slow_s
        self._paused_at: float | None = None

    def pause(self) -> None:
        """Stop the clock: what comes now is not the other side's doing."""
        self._paused_at = time.monotonic()

    def resume(self) -> None:
        """Go on with the time that was left."""
        if self._paused_at is not None:
            paused_s = time.monotonic() - self._paused_at
            self.began += paused_s
            self._end += paused_s
            self._paused_at = None

    @contextmanager
    def started(self) -> Iterator[None]:
        """Watch until the block ends."""
        thread = threading.Thread(target=self._watch, name="socket-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def extend(self, count: int) -> None:
        """Count bytes that went: the next have their time."""
        self._count += count
        self._end = min(time.monotonic(), self.began + self._count / self.rate) + self.slow_s

    def slow_text(self, now: float) -> str:  # noqa: ARG002  # another watch reads it
        """Return who was too slow."""
        return SOURCE_SLOW

    def _watch(self) -> None:
        while not self._over.wait(min(max(self._end - time.monotonic(), 0.0), POLL_S)):
            if self.stop.is_set():
                self.reason = gettext_noop("the transfer was stopped")
            elif self._paused_at is None and (now := time.monotonic()) >= self._end:
                self.reason = self.slow_text(now)
            if self.reason:
                with suppress(OSError):  # SSLSocket.shutdown would forget its keys under the writer
                    socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
                return


class PutWatch(SocketWatch):
    """The same for bytes that are sent, which a source of ours gives and another host takes."""

    def __init__(
        self, sock: socket.socket, *, rate: float, slow_s: float, stop: threading.Event | None = None
    ) -> None:
        super().__init__(sock, rate=rate, slow_s=slow_s, stop=stop)
        self._is_reading = False
        """Whether the source is waited for, or the destination."""
        self._step_began = self.began
        self._source_s = 0.0
        """For how long the source was waited for, but for the present step."""

    def counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the chunks; to give each, and to take it, has its time."""
        while True:
            self._step(is_reading=True)
            chunk = next(chunks, None)
            self._step(is_reading=False)
            if chunk is None:
                break
            self.extend(len(chunk))
            yield chunk
        self._end = time.monotonic() + self.slow_s

    def _step(self, *, is_reading: bool) -> None:
        now = time.monotonic()
        if self._is_reading:
            self._source_s += now - self._step_began
        self._is_reading, self._step_began = is_reading, now
        self.extend(0)

    def slow_text(self, now: float) -> str:
        """Return who was too slow: the side waited for now, else the one that took more time in all."""
        step_s = now - self._step_began
        source_s = self._source_s + (step_s if self._is_reading else 0.0)
        is_source = self._is_reading if step_s >= self.slow_s else source_s > (now - self.began) / 2
        return LOCAL_COPY_SLOW if is_source else DESTINATION_SLOW
