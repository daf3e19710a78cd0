"""Downloads of pieces from URLs, some side by side; room on the disk is reserved before bytes come."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import BinaryIO, Final, NamedTuple

from django.conf import settings
from django.db import transaction

from apps.chain.node.isolation import for_each_isolated
from apps.core import clock
from apps.core.connection_faults import fault_text
from apps.core.disk import DiskFull
from apps.core.errors import DomainError
from apps.core.locks import transaction_lock
from apps.core.marked_texts import gettext
from apps.core.reasons import reason_of
from apps.core.transitions import advance
from apps.miners.models import Miner
from apps.pieces.data.commitments import GROWING, Commitment
from apps.pieces.data.files import bytes_write, piece_opened, piece_path, piece_unlink
from apps.pieces.data.sources import (
    SLOW_RATE,
    Body,
    SourceAway,
    headers_check,
    size_announced,
    url_check,
    url_opened,
)
from apps.pieces.data.streams import STREAMS, Streams
from apps.pieces.errors import PieceTooLarge
from apps.pieces.models import Piece
from apps.pieces.selectors import headers_decode, pieces_fetchable, pieces_fetching
from apps.pieces.services.checks import piece_repeat
from apps.pieces.services.reservations import Room, RoomAwaited
from apps.pieces.services.retention import piece_finish
from apps.pieces.services.uploads import (
    PieceSpec,
    piece_begin,
    piece_build,
    piece_change_publish,
    piece_fail,
    received_note,
)
from apps.pieces.states import PieceState
from apps.users.rules.encryption import DecryptionFailed, text_encrypt
from apps.users.rules.principals import Principal

TENANTS_AT_ONCE: Final = 4
"""Tenants that may each download `settings.PIECE_DOWNLOADS` pieces side by side."""
FETCH_LOCK: Final = 0x5046
"""Class of the locks on what is to be downloaded: two equal requests at once are one download."""
AGAIN_AFTER: Final = timedelta(minutes=1)
"""A download that failed begins again after that."""
TRIED_FOR: Final = timedelta(hours=1)
"""Since the first failure after which no more bytes came; a source that fails then has failed for good."""
POLL_S: Final = 2.0
"""Pause before further ones are read, and removed ones stopped, while others are under way."""


def piece_fetch_begin(
    miner: Miner,
    *,
    spec: PieceSpec,
    url: str,
    by: Principal,
    headers: Sequence[tuple[str, str]] = (),
) -> tuple[Piece, bool]:
    """Return a piece that is to be downloaded, and whether it is new; the headers are kept encrypted.

    Nothing is downloaded twice: what the miner has, or is downloading, is that.  Raises BadValue, what
    `spec_check` does, PieceQuotaExceeded.
    """
    url_check(url)
    headers_check(headers)
    piece = piece_build(miner, spec=spec, by=by, source_url=url)
    piece.source_headers = text_encrypt(json.dumps([list(pair) for pair in headers])) if headers else ""
    with transaction.atomic():
        transaction_lock(FETCH_LOCK, [f"{miner.pk} {url}"])
        known = piece_repeat(piece, by=by)
        return (piece_begin(piece, by=by), True) if known is None else (known, False)


def pieces_fetch() -> None:
    """Download what is to be downloaded until nothing is; what fails begins again, or ends."""
    fetches = _Fetches()
    try:
        while fetches.begin_due():
            fetches.end_done()
    finally:  # some are left only if the database is away: another pass goes on with them
        fetches.stop()


@dataclass(slots=True)
class _Fetch:
    """One piece that is being downloaded."""

    piece: Piece
    held: ExitStack
    """Its file, locked until the row says how it went, and its room."""
    room: Room
    size: int | None
    """Raw bytes that room is reserved for; None until the source says how many it has."""
    received: int
    """Bytes that are on the disk for certain."""
    tag: str
    """What the source named them."""
    headers: tuple[tuple[str, str], ...]
    """HTTP headers that the client wants sent to the source."""
    stopped: threading.Event = field(default_factory=threading.Event)
    first: int = 0
    """Bytes that were there before, and are not read again."""
    received_before: int = field(init=False)
    """Bytes that were there before."""
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Note what was there before."""
        self.received_before = self.received

    def begin(self, body: Body, *, most: int) -> None:
        """Note what comes, and reserve room for it.  Raises DiskFull, RoomAwaited, PieceTooLarge."""
        self.first, self.began = body.first, time.monotonic()
        self.received, self.tag = body.first, body.tag or (self.tag if body.first else "")
        self.size_check(body.size, most=most)
        self.size = most if body.size is None else body.size
        self.room.reserve(self.size)
        GROWING.begin(piece_path(self.piece), first=body.first)

    def size_check(self, size: int | None, *, most: int) -> None:
        """Refuse a source that says that it has other bytes.  Raises SourceAway, PieceTooLarge."""
        stated = self.piece.payload_size
        if stated is not None and size not in (None, stated):
            raise SourceAway(
                gettext("the source has {size} bytes, but {announced} bytes are announced").format(
                    size=size, announced=stated
                ),
                is_final=True,
            )
        if size is not None and size > most:
            raise PieceTooLarge(most)

    @property
    def is_kept(self) -> bool:
        """Return whether the next try goes on from here."""
        return is_resumable(self.piece, tag=self.tag)

    @property
    def has_advanced(self) -> bool:
        """Return whether this try brought further bytes that the next one does not read again."""
        return self.is_kept and self.first == self.received_before and self.received > self.received_before

    @property
    def rate(self) -> int:
        """Bytes a second since it began."""
        return round((self.received - self.first) / max(time.monotonic() - self.began, 0.001))

    def note(self, received: int) -> None:
        """Note how many bytes are on the disk: called by the thread that writes them."""
        self.received = received
        GROWING.note(piece_path(self.piece), received)


def is_resumable(piece: Piece, *, tag: str) -> bool:
    """Return whether a download may go on where it was cut off: its source names the bytes that it has.

    Where size and commitment are announced, that is not needed: other bytes would be noticed at the end.
    """
    return bool(tag) or bool(piece.payload_size and piece.announced_cid)


class _Downloaded(NamedTuple):
    """Outcome of a download."""

    size: int
    commitment: Commitment | None
    """None: it was not computed on the way."""


class _Fetches:
    """Downloads side by side: threads write, and only the caller's thread uses the database."""

    def __init__(self) -> None:
        self.per_tenant = max(settings.PIECE_DOWNLOADS, 1)
        self.most = self.per_tenant * TENANTS_AT_ONCE
        self.threads = ThreadPoolExecutor(self.most, thread_name_prefix="fetch")
        self.in_progress: dict[Future[_Downloaded], _Fetch] = {}
        self.passed_over: set[int] = set()
        """Rows that are under way, that another process has, or that failed unexpectedly: the last two are
        left to another pass."""
        self.sizes: dict[int, int] = {}
        """Raw bytes of rows whose source said how many it has, and that wait for room."""
        self.turns: dict[int, int] = {}
        """Tenants by their last turn: who had none for longest is next."""
        self._turn = count(1)

    def begin_due(self) -> bool:
        """Begin what is due while there is room; return whether anything is under way."""
        waiting: set[int] = set()
        # Again while rows are passed over: one that cannot be begun holds up no later one of its tenant.
        while rows := self._next_rows(waiting):
            for_each_isolated(rows[:1], lambda piece: self._begin(piece, waiting), event="piece_not_fetched")
        return bool(self.in_progress)

    def _next_rows(self, waiting: set[int]) -> list[Piece]:
        """Return the next piece of each tenant that has a place: first of those with the fewest under way.

        The last places are for tenants of whom nothing is under way; `waiting` are left out.
        """
        counts = Counter(one.piece.miner.tenant_id for one in self.in_progress.values())
        free = self.most - len(self.in_progress)
        if not free:
            return []
        may_more = free > self.per_tenant
        full = {tenant for tenant, number in counts.items() if number >= self.per_tenant or not may_more}
        rows = pieces_fetchable(
            without=self.passed_over, tenants=full | waiting, failed_before=clock.now() - AGAIN_AFTER
        )

        def turn(piece: Piece) -> tuple[int, int, int]:
            tenant = piece.miner.tenant_id
            return counts[tenant], self.turns.get(tenant, 0), piece.pk

        return sorted(rows, key=turn)

    def _begin(self, piece: Piece, waiting: set[int]) -> None:
        """Begin a download; while one waits for room, no later one of its tenant passes it."""
        tenant = piece.miner.tenant_id
        self.passed_over.add(piece.pk)
        with ExitStack() as stack:
            file = stack.enter_context(piece_opened(piece))
            if not pieces_fetching([piece.pk]):  # removed, or downloaded, by another process
                return
            stated = piece.most_bytes if piece.payload_size or piece.padded_size else None
            size = self.sizes.get(piece.pk, stated)
            is_here = file.seek(0, os.SEEK_END) >= piece.received
            is_here = is_here and is_resumable(piece, tag=piece.source_tag)
            first = piece.received if is_here else 0
            room = stack.enter_context(Room(piece_path(piece)))
            try:
                if size is not None:
                    room.reserve(size)
            except DiskFull as error:
                self._failed(piece, error)
                return
            except RoomAwaited:
                waiting.add(tenant)
                self.passed_over.discard(piece.pk)
                return
            try:
                headers = headers_decode(piece)
            except DecryptionFailed as error:
                piece_fail(piece, reason=reason_of(error))
                return
            self.turns[tenant] = next(self._turn)
            fetch = _Fetch(piece, stack.pop_all(), room, size, first, piece.source_tag, headers)
        self.in_progress[self.threads.submit(_download, fetch, file)] = fetch

    def end_done(self) -> None:
        """Wait for one or more to end, a moment at most, and note how all of them go; stop those removed."""
        done, others = wait(self.in_progress, timeout=POLL_S, return_when=FIRST_COMPLETED)
        for_each_isolated(done, self._end, event="piece_not_fetched")
        wanted = pieces_fetching([self.in_progress[one].piece.pk for one in others])
        for one in others:
            fetch = self.in_progress[one]
            if fetch.piece.pk not in wanted:
                fetch.stopped.set()
            elif (fetch.received, fetch.tag) != (fetch.piece.received, fetch.piece.source_tag):
                received_note(
                    fetch.piece,
                    received=fetch.received,
                    source_tag=fetch.tag,
                    rate=fetch.rate,
                    ends_error=fetch.has_advanced,
                )
                piece_change_publish(fetch.piece)

    def _end(self, future: Future[_Downloaded]) -> None:
        fetch = self.in_progress.pop(future)
        piece = fetch.piece
        fetch.room.release()
        with fetch.held:
            try:
                size, commitment = future.result()
            except RoomAwaited:
                self.sizes[piece.pk] = fetch.size or 0
                self.passed_over.discard(piece.pk)
                return
            except (DomainError, SourceAway) as error:
                if pieces_fetching([piece.pk]):
                    self._failed(piece, error, fetch=fetch)
                return
            values = {"received": size, "payload_size": size, "source_tag": "", "rate": None, "error": ""}
            advance(piece, "RECEIVE", **values, state_since=clock.now(), updated_at=clock.now())
            piece_change_publish(piece)
            self.passed_over.discard(piece.pk)
            if commitment is not None:  # else a head computes it
                piece_finish(piece, commitment=commitment)

    def _failed(self, piece: Piece, error: Exception, *, fetch: _Fetch | None = None) -> None:
        """Retry a download later, or end it: the source refuses, or failed for long without a further byte.

        It goes on from where it was cut off if it can; else from the start, and so it
        does where the disk is full: what came so far may be what fills it.
        """
        now = clock.now()
        if fetch is not None and fetch.has_advanced:
            piece.error = ""
        is_final = error.is_final if isinstance(error, SourceAway) else not isinstance(error, DiskFull)
        if is_final or (piece.error and now - piece.state_since >= TRIED_FOR):
            piece_fail(piece, reason=reason_of(error))
            return
        is_kept = fetch is not None and fetch.is_kept and isinstance(error, SourceAway)
        values = {"error": reason_of(error), "received": 0, "source_tag": "", "rate": None, "updated_at": now}
        if fetch is not None and is_kept:
            values |= {"received": fetch.received, "source_tag": fetch.tag}
        if not piece.error:  # from this failure on its time runs
            values["state_since"] = now
        Piece.objects.filter(pk=piece.pk, state=PieceState.FETCHING).update(**values)
        if not is_kept:
            piece_unlink(piece)
        piece_change_publish(piece)
        self.passed_over.discard(piece.pk)

    def stop(self) -> None:
        """End what is under way."""
        for fetch in self.in_progress.values():
            fetch.stopped.set()
        self.threads.shutdown()
        for fetch in self.in_progress.values():
            fetch.held.close()


def _streams(fetch: _Fetch, file: BinaryIO, body: Body) -> Streams:
    """Return the streams in which a source is read that gives ranges, and says how many bytes it has.

    They are none without a tag or a commitment: parts of what changes meanwhile would not be noticed.
    """

    def opened(first: int, end: int, stop: threading.Event) -> AbstractContextManager[Body]:
        # Together they may be as slow as one.
        return url_opened(
            fetch.piece.source_url,
            first=first,
            last=end - 1,
            tag=fetch.tag,
            headers=fetch.headers,
            rate=SLOW_RATE // STREAMS,
            stop=stop,
        )

    is_sure = bool(fetch.tag or fetch.piece.announced_cid)
    size = body.first if body.size is None or not is_sure else body.size
    return Streams(file, body, size=size, opened=opened, note=fetch.note, stop=fetch.stopped)


def _download(fetch: _Fetch, file: BinaryIO) -> _Downloaded:
    """Write a piece's bytes.  Raises SourceAway, PieceTooLarge, DiskFull, RoomAwaited."""
    with GROWING.transfer():
        size = _bytes_fetch(fetch, file)
        return _Downloaded(size, GROWING.commitment(piece_path(fetch.piece)))


def _bytes_fetch(fetch: _Fetch, file: BinaryIO) -> int:
    """Write a piece's bytes; returns how many.  Raises what `_download` does."""
    piece = fetch.piece
    most, first = piece.most_bytes, fetch.received
    if first and first == piece.payload_size:  # a kill came before the row said that it is whole
        return first
    url, headers, stop = piece.source_url, fetch.headers, fetch.stopped
    if not first:  # before a byte is pulled
        fetch.size_check(size_announced(url, headers=headers, stop=stop), most=most)
    with url_opened(url, first=first, tag=fetch.tag, headers=headers, stop=stop) as body:
        fetch.begin(body, most=most)
        try:
            fits = _streams(fetch, file, body).write() or bytes_write(
                file, body, at=body.first, most=most, note=fetch.note
            )
        except OSError as error:
            raise SourceAway(
                gettext("the download could not be written: {error}").format(error=fault_text(error))
            ) from None
        if not fits:
            raise PieceTooLarge(most)
    size = file.tell()
    if not size or (piece.payload_size or size) != size:
        raise SourceAway(
            gettext("{size} of {payload_size} bytes were received").format(
                size=size, payload_size=piece.payload_size or gettext("an unknown number of")
            )
        )
    return size
