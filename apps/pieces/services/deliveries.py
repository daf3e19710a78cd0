"""Bytes of pieces to where a market wants them: asked for, sent when they are here, tried again."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import Final
from urllib.parse import urlsplit

import structlog
from django.db import Error, IntegrityError, transaction

from apps.chain.node.isolation import for_each_isolated
from apps.core import clock
from apps.core.errors import BadValue, DomainError
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason, as_reason, reason_of
from apps.core.transitions import advance
from apps.pieces.data.destinations import DeliveryRefused, Target, bytes_put, longest
from apps.pieces.data.ranges import PieceRange, piece_data
from apps.pieces.data.sources import SourceAway
from apps.pieces.models import Piece, PieceDelivery
from apps.pieces.reasons import TARGET_MALFORMED, UNSEALED_LATE
from apps.pieces.selectors import deliveries_due
from apps.pieces.states import DeliveryState
from apps.users.rules.encryption import DecryptionFailed, text_decrypt, text_encrypt
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from apps.users.services.tokens import token_lend
from poolsite.filecoin.fr32 import unpadded_bytes

log = structlog.get_logger(__name__)

WAIT_MAX: Final = timedelta(hours=7)
"""As long as sophon-gateway waits for a storage."""
ATTEMPTS_MAX: Final = 6
PAUSE_FIRST: Final = timedelta(seconds=10)
"""After the first failure; twice as long after each further one."""
RESULT_REPEATED: Final = timedelta(minutes=1)
"""How long the result is repeated, in case the first answer was lost; a later request starts anew."""
FAILURE_RETENTION: Final = timedelta(minutes=10)
"""How long a failure is reported before it is tried again."""
RETENTION: Final = timedelta(days=30)
AT_ONCE: Final = 4
"""Deliveries side by side."""
AT_ONCE_PER_MARKET: Final = 2
"""To one host: a slow one leaves room for others."""
DELIVERIES_READ: Final = 16
"""Deliveries that are read at a time, of those that are due."""
POLL_S: Final = 2.0
"""Pause before further ones are read while others are being sent."""
ZEROS: Final = bytes(1 << 18)
SCOPE: Final = "market"
"""Of the token that the registered market gets with the bytes: good for none of our own methods."""


def delivery_request(
    piece: Piece, *, target: Target, first: int, num_bytes: int, by: Principal, now: datetime
) -> PieceDelivery:
    """Note what a market wants; the same again is the same delivery, also once it has ended, for a while.

    Raises BadValue for a range outside the piece.
    """
    if first < 0 or num_bytes < 1 or first + num_bytes > unpadded_bytes(piece.padded_size):
        raise BadValue(
            gettext("bytes {first} to {end} are outside a piece of {padded_size} bytes").format(
                first=first, end=first + num_bytes, padded_size=unpadded_bytes(piece.padded_size)
            ),
            field="size",
        )
    request = [str(piece.uuid), first, num_bytes, target.url, target.token, target.is_registered]
    digest = hashlib.sha256(json.dumps(request).encode()).hexdigest()
    found = PieceDelivery.objects.filter(digest=digest).first()
    if found is None:
        try:
            return _begin(piece, target, digest=digest, first=first, num_bytes=num_bytes, by=by, now=now)
        except IntegrityError:  # two equal requests came at once
            found = PieceDelivery.objects.get(digest=digest)
    if found.state == DeliveryState.WAITING:
        PieceDelivery.objects.filter(pk=found.pk).update(until=now + WAIT_MAX)
        return found
    retention = RESULT_REPEATED if found.state == DeliveryState.DELIVERED else FAILURE_RETENTION
    if found.told_at is None:
        PieceDelivery.objects.filter(pk=found.pk).update(told_at=now)
    elif now - found.told_at >= retention:
        fresh = {"attempts": 0, "error": "", "not_before": None, "told_at": None, "until": now + WAIT_MAX}
        advance(found, "REPEAT", **fresh, updated_at=now)
    return found


@transaction.atomic
def _begin(
    piece: Piece, target: Target, *, digest: str, first: int, num_bytes: int, by: Principal, now: datetime
) -> PieceDelivery:
    row = PieceDelivery.objects.create(
        piece=piece,
        digest=digest,
        first=first,
        num_bytes=num_bytes,
        target=text_encrypt(json.dumps(asdict(target))),
        shown=target.shown,
        actor=by.actor[:200],
        until=now + WAIT_MAX,
    )
    after = {"to": target.shown, "first": first, "bytes": num_bytes}
    audit_record(principal=by, action="piece.deliver", target=str(piece.piece_cid), after=after)
    return row


def deliveries_send(*, now: datetime) -> None:
    """Send what is due, some side by side, until nothing is; what has waited too long has failed.

    What ended long ago is forgotten.
    """
    ended = PieceDelivery.objects.exclude(state=DeliveryState.WAITING)
    ended.filter(updated_at__lt=now - RETENTION).delete()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="delivery") as threads:
        sendings = _Sendings(threads, began=now)
        try:
            while sendings.begin_due():
                sendings.end_done()
        finally:  # some are left only if the database is away: all are sent again
            sendings.stop()


@dataclass(slots=True)
class _Sending:
    """One delivery that is being sent."""

    row: PieceDelivery
    market: str
    token_stack: ExitStack
    """Its token, if it was lent one."""


class _Sendings:
    """Deliveries side by side: threads send, and only the caller's thread uses the database."""

    def __init__(self, threads: ThreadPoolExecutor, *, began: datetime) -> None:
        self.threads = threads
        self.began = began
        self.in_progress: dict[Future[None], _Sending] = {}
        self.passed_over: set[int] = set()
        """Rows that failed unexpectedly: left to another pass."""
        self.stopped = threading.Event()
        self._began_s = time.monotonic()

    def now(self) -> datetime:
        """Return the time, by the clock of who began."""
        return self.began + timedelta(seconds=time.monotonic() - self._began_s)

    def begin_due(self) -> bool:
        """Begin what is due while there is room; return whether anything is under way."""
        now, seen = self.now(), set(self.passed_over)
        while len(self.in_progress) < AT_ONCE:
            rows = deliveries_due(
                now=now,
                without=seen | {one.row.pk for one in self.in_progress.values()},
                markets=self._markets_full(),
                limit=DELIVERIES_READ,
            )
            for_each_isolated(rows, lambda row: self._begin(row, now=now), event="delivery_not_begun")
            seen.update(row.pk for row in rows)
            if len(rows) < DELIVERIES_READ:
                break
        return bool(self.in_progress)

    def _markets_full(self) -> list[str]:
        """Return the hosts to which no more is sent at once."""
        counts = Counter(one.market for one in self.in_progress.values())
        return [market for market, count in counts.items() if count >= AT_ONCE_PER_MARKET]

    def _begin(self, row: PieceDelivery, *, now: datetime) -> None:
        if len(self.in_progress) >= AT_ONCE:
            return
        if row.until <= now:
            delivery_fail(row, reason=UNSEALED_LATE())
            return
        market = urlsplit(row.shown).netloc
        if market in self._markets_full():
            return
        token_stack = ExitStack()
        self.passed_over.add(row.pk)
        try:
            future = self.threads.submit(_prepared(row, token_stack, self.stopped))
        except (DomainError, DecryptionFailed, OSError, ValueError) as error:
            _note_failure(row, error, now=now)
        else:
            self.in_progress[future] = _Sending(row, market, token_stack)
        self.passed_over.discard(row.pk)

    def end_done(self) -> None:
        """Wait for one or more to end, a moment at most, and note how they went."""
        done, _ = wait(self.in_progress, timeout=POLL_S, return_when=FIRST_COMPLETED)
        for_each_isolated(done, self._end, event="delivery_not_sent")

    def _end(self, future: Future[None]) -> None:
        sending = self.in_progress.pop(future)
        row = sending.row
        sending.token_stack.close()
        self.passed_over.add(row.pk)
        if (error := future.exception()) is not None:
            _note_failure(row, error, now=self.now())
        else:
            advance(row, "DELIVER", error="", updated_at=clock.now())
            log.info("piece_delivered", delivery=str(row))
        self.passed_over.discard(row.pk)

    def stop(self) -> None:
        """End what is under way."""
        self.stopped.set()
        for sending in self.in_progress.values():
            with suppress(Error):  # a token that stays is of no use once its time is over
                sending.token_stack.close()


def _prepared(row: PieceDelivery, token_stack: ExitStack, stop: threading.Event) -> Callable[[], None]:
    """Return what sends a delivery's bytes and leaves the database alone.

    Raises PieceSealed, DecryptionFailed.
    """
    target = Target(**json.loads(text_decrypt(row.target)))
    piece, token = row.piece, target.token
    raw = min(max((piece.payload_size or 0) - row.first, 0), row.num_bytes)
    chunks = chain(
        piece_data(piece, PieceRange(row.first, raw)).chunks if raw else (), _zeros(row.num_bytes - raw)
    )
    if target.is_registered and not token:
        name = f"delivery {row.uuid}"
        token = token_stack.enter_context(
            token_lend(tenant=piece.miner.tenant, name=name, scope=SCOPE, lasts=longest(row.num_bytes))
        )
    return partial(bytes_put, target, chunks, size=row.num_bytes, token=token, stop=stop)


def _note_failure(row: PieceDelivery, error: BaseException, *, now: datetime) -> None:
    """Postpone a delivery, or end it; what nobody has foreseen is raised."""
    if isinstance(error, DeliveryRefused | DecryptionFailed):
        delivery_fail(row, reason=reason_of(error))
    elif isinstance(error, SourceAway | OSError | DomainError):
        attempts = row.attempts + 1
        if attempts == ATTEMPTS_MAX:
            delivery_fail(row, reason=reason_of(error))
            return
        again = now + PAUSE_FIRST * 2 ** (attempts - 1)
        values = {"attempts": attempts, "error": reason_of(error), "not_before": again}
        PieceDelivery.objects.filter(pk=row.pk).update(**values, updated_at=clock.now())
        log.warning("delivery_put_off", delivery=str(row), reason=str(error)[:200])
    elif isinstance(error, ValueError):  # the error's text names the token
        delivery_fail(row, reason=TARGET_MALFORMED())
    else:
        raise error


def delivery_fail(row: PieceDelivery, *, reason: Reason | str) -> None:
    """End a delivery."""
    advance(row, "FAIL", error=as_reason(reason), updated_at=clock.now())
    log.warning("delivery_failed", delivery=str(row), reason=reason[:200])


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        yield ZEROS[:count]
        count -= len(ZEROS)
