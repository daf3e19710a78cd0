"""Bytes of pieces to where a market wants them: asked for, sent when they are here, tried again."""

from __future__ import annotations

import hashlib
import json
from contextlib import nullcontext
from dataclasses import asdict
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Final

import structlog
from django.db import IntegrityError, transaction

from apps.chain.isolation import for_each_isolated
from apps.core import clock
from apps.core.errors import BadValue, DomainError
from apps.core.transitions import advance
from apps.pieces.data import PieceRange, piece_data
from apps.pieces.destinations import DeliveryRefused, Target, bytes_put
from apps.pieces.models import PieceDelivery
from apps.pieces.selectors import deliveries_due
from apps.pieces.sources import SourceAway
from apps.pieces.states import DeliveryState
from apps.users.encryption import DecryptionFailed, text_decrypt, text_encrypt
from apps.users.services.audit import audit_record
from apps.users.services.tokens import token_lent
from poolsite.filecoin.fr32 import unpadded_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from apps.pieces.models import Piece
    from apps.users.principals import Principal

log = structlog.get_logger(__name__)

WAIT_MAX: Final = timedelta(hours=7)
"""As long as sophon-gateway waits for a storage."""
ATTEMPTS_MAX: Final = 6
PAUSE_FIRST: Final = timedelta(seconds=10)
"""After the first failure; twice as long after each further one."""
TOLD: Final = timedelta(minutes=1)
"""So long the end is told again, should the first answer have been lost; who asks later wants it anew."""
FAILED_KEPT: Final = timedelta(minutes=10)
"""So long a failure is answered before it is tried again."""
ENDED_KEPT: Final = timedelta(days=30)
ZEROS: Final = bytes(1 << 18)
SCOPE: Final = "market"
"""Of the token that the registered market gets with the bytes: good for none of our own methods."""


def delivery_request(
    piece: Piece, target: Target, *, first: int, num_bytes: int, by: Principal, now: datetime
) -> PieceDelivery:
    """Note what a market wants; the same again is the same delivery, also once it has ended, for a while.

    Raises BadValue for a range outside the piece.
    """
    if first < 0 or num_bytes < 1 or first + num_bytes > unpadded_bytes(piece.padded_size):
        raise BadValue(
            f"bytes {first} to {first + num_bytes} are not in a piece of {unpadded_bytes(piece.padded_size)}",
            field="size",
        )
    asked = [str(piece.uuid), first, num_bytes, target.url, target.token, target.is_registered]
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    found = PieceDelivery.objects.filter(digest=digest).first()
    if found is None:
        try:
            return _begin(piece, target, digest=digest, first=first, num_bytes=num_bytes, by=by, now=now)
        except IntegrityError:  # asked for twice at once
            found = PieceDelivery.objects.get(digest=digest)
    if found.state == DeliveryState.WAITING:
        PieceDelivery.objects.filter(pk=found.pk).update(until=now + WAIT_MAX)
        return found
    kept = TOLD if found.state == DeliveryState.DELIVERED else FAILED_KEPT
    if found.told_at is None:
        PieceDelivery.objects.filter(pk=found.pk).update(told_at=now)
    elif now - found.told_at >= kept:
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
    """Send what is due; what has waited too long has failed, and what ended long ago is forgotten."""
    ended = PieceDelivery.objects.exclude(state=DeliveryState.WAITING)
    ended.filter(updated_at__lt=now - ENDED_KEPT).delete()
    for_each_isolated(deliveries_due(now=now), lambda row: _send(row, now=now), event="delivery_not_sent")


def _send(row: PieceDelivery, *, now: datetime) -> None:
    if row.until <= now:
        delivery_fail(row, "it was not unsealed in time")
        return
    try:
        _put(row)
    except (DeliveryRefused, DecryptionFailed) as error:
        delivery_fail(row, str(error))
    except (SourceAway, OSError, DomainError) as error:
        attempts = row.attempts + 1
        if attempts == ATTEMPTS_MAX:
            delivery_fail(row, str(error))
            return
        again = clock.now() + PAUSE_FIRST * 2 ** (attempts - 1)
        values = {"attempts": attempts, "error": str(error)[:1000], "not_before": again}
        PieceDelivery.objects.filter(pk=row.pk).update(**values, updated_at=clock.now())
        log.warning("delivery_put_off", delivery=str(row), reason=str(error)[:200])
    except ValueError:  # its text names the token
        delivery_fail(row, "its address or its token cannot be sent")
    else:
        advance(row, "DELIVER", error="", updated_at=clock.now())
        log.info("piece_delivered", delivery=str(row))


def delivery_fail(row: PieceDelivery, reason: str) -> None:
    """End a delivery."""
    advance(row, "FAIL", error=reason[:1000], updated_at=clock.now())
    log.warning("delivery_failed", delivery=str(row), reason=reason[:200])


def _put(row: PieceDelivery) -> None:
    """Send a delivery's bytes.  Raises SourceAway, DeliveryRefused, PieceSealed, DecryptionFailed."""
    target = Target(**json.loads(text_decrypt(row.target)))
    piece = row.piece
    raw = min(max((piece.payload_size or 0) - row.first, 0), row.num_bytes)
    chunks = chain(
        piece_data(piece, PieceRange(row.first, raw)).chunks if raw else (), _zeros(row.num_bytes - raw)
    )
    tenant = piece.miner.tenant
    lent = target.is_registered and not target.token
    name = f"delivery {row.uuid}"
    with token_lent(tenant=tenant, name=name, scope=SCOPE) if lent else nullcontext(target.token) as token:
        bytes_put(target, chunks, size=row.num_bytes, token=token)


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        yield ZEROS[:count]
        count -= len(ZEROS)
