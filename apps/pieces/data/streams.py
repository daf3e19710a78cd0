"""A download in several streams side by side: ranges of one source, each written in its place."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import BinaryIO, Final

from django.utils.translation import gettext_noop

from apps.core.errors import DomainError
from apps.core.marked_texts import gettext
from apps.pieces.data.files import CHUNK_BYTES, room_require
from apps.pieces.data.sources import Body, SourceAway

STREAMS: Final = 4
"""Side by side, of one download."""
SEGMENT_BYTES: Final = 32 << 20
"""Bytes of one range request: a kill costs at most so many for each stream."""


@dataclass(slots=True, eq=False)
class _Segment:
    """Some of the bytes."""

    at: int
    """The first that is not on the disk for certain."""
    end: int
    """Behind the last."""


class _Stop(threading.Event):
    """Is set once the download is to end, or one of its streams has failed."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self.other = other

    def is_set(self) -> bool:
        """Return whether either is."""
        return super().is_set() or self.other.is_set()


class Streams:
    """Writes what a source gives from where it was opened to its end, in several streams.

    Opens further streams by `opened`, from a byte to the one behind the last, and reports to `note` up to
    where all bytes are on the disk for certain.
    """

    def __init__(
        self,
        file: BinaryIO,
        body: Body,
        *,
        size: int,
        opened: Callable[[int, int, threading.Event], AbstractContextManager[Body]],
        note: Callable[[int], None],
        stop: threading.Event,
    ) -> None:
        self.file, self.body, self.opened, self.note = file, body, opened, note
        self.size = size
        self.stop = _Stop(stop)
        self._lock = threading.Lock()
        starts = range(body.first, size, SEGMENT_BYTES)
        self._waiting = [_Segment(at, min(at + SEGMENT_BYTES, size)) for at in starts]
        self._unwritten = list(self._waiting)
        self._errors: list[Exception] = []
        self._is_unsure = False
        """Whether the disk lost bytes: it says so once, whosever they were, and nothing is certain then."""

    def write(self) -> bool:
        """Write all bytes; False, and nothing is written, where the source gives no ranges.

        Raises SourceAway, OSError, DiskFull.
        """
        if len(self._waiting) < 2 or not self.body.takes_ranges:
            return False
        first, second = self._waiting[:2]
        with ExitStack() as held:
            try:
                body = held.enter_context(self.opened(second.at, second.end, self.stop))
                self._check(body, second)
            except SourceAway:
                return False
            del self._waiting[:2]
            room_require(0)
            self.file.truncate(first.at)
            self.body.watch.rate /= STREAMS  # together they may be as slow as one
            helpers = [self._helper(second, body, held.pop_all())]
            helpers += [self._helper() for _ in range(STREAMS - 2)]
            for helper in helpers:
                helper.start()
            try:
                with self.body:  # a source counts connections: one that is read no more takes no place
                    self._copy_or_give_back(first, self.body)
                self._copy_waiting()
            except SourceAway:  # the others go on, and what they leave is asked for once more
                pass
            except BaseException:
                self.stop.set()
                raise
            finally:
                for helper in helpers:
                    helper.join()
                if self._errors:
                    raise self._errors[0]
        self._copy_waiting()  # what was given back, in one stream: nobody else asks the source now
        if self._unwritten:
            raise SourceAway(gettext_noop("the transfer was stopped"))
        self.file.seek(self.size)
        return True

    def _helper(self, *args: object) -> threading.Thread:
        return threading.Thread(target=self._help, args=args, name="stream", daemon=True)

    def _help(
        self, segment: _Segment | None = None, body: Body | None = None, held: ExitStack | None = None
    ) -> None:
        """Write segments until none waits; what the source does not give is left to the others."""
        try:
            if segment is not None and body is not None and held is not None:
                with held:
                    self._copy_or_give_back(segment, body)
            self._copy_waiting()
        except SourceAway:
            pass
        except (OSError, DomainError) as error:  # the caller's thread raises it
            self._errors.append(error)
            self.stop.set()

    def _copy_waiting(self) -> None:
        while (segment := self._take()) is not None:
            try:
                with self.opened(segment.at, segment.end, self.stop) as body:
                    self._check(body, segment)
                    self._copy(segment, body)
            except SourceAway:
                self._give_back(segment)
                raise

    def _check(self, body: Body, segment: _Segment) -> None:
        """Refuse what is no part of the same bytes.  Raises SourceAway."""
        is_same = body.tag in ("", self.body.tag) and body.total in (None, self.size)
        if body.first != segment.at or not is_same:
            raise SourceAway(gettext("the source gives no more ranges"))

    def _copy_or_give_back(self, segment: _Segment, body: Body) -> None:
        try:
            self._copy(segment, body)
        except SourceAway:
            self._give_back(segment)
            raise

    def _take(self) -> _Segment | None:
        with self._lock:
            return self._waiting.pop(0) if self._waiting and not self.stop.is_set() else None

    def _give_back(self, segment: _Segment) -> None:
        with self._lock:
            self._waiting.insert(0, segment)

    def _copy(self, segment: _Segment, body: Body) -> None:
        """Write a segment.  Raises SourceAway, OSError, DiskFull."""
        at = segment.at
        try:
            while at < segment.end:
                if self.stop.is_set():
                    raise SourceAway(gettext_noop("the transfer was stopped"))
                chunk = body.read(min(CHUNK_BYTES, segment.end - at))
                if not chunk:
                    raise SourceAway(
                        gettext("the download ended {length} bytes early").format(length=segment.end - at)
                    )
                view = memoryview(chunk)
                while view:
                    written = os.pwrite(self.file.fileno(), view, at)
                    view, at = view[written:], at + written
        finally:
            self._written(segment, at)
        room_require(0)

    def _written(self, segment: _Segment, at: int) -> None:
        with self._lock:
            if self._is_unsure:
                return
            self._is_unsure = True
            os.fsync(self.file.fileno())
            self._is_unsure = False
            segment.at = at
            if at == segment.end:
                self._unwritten.remove(segment)
            self.note(min((one.at for one in self._unwritten), default=self.size))
