"""Storing answers to requests that are carried out once; a body may hold a new token and is encrypted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError, transaction

from apps.users.models import IdempotentAnswer
from apps.users.rules.encryption import text_encrypt

IN_PROGRESS_MAX: Final = timedelta(minutes=2)
"""A request that has not been answered for so long was killed with its process, if nobody holds its lock."""

CLAIMS_MAX: Final = 10
"""Times that a key is claimed while others free it in between."""

LIFETIME: Final = timedelta(days=7)
"""Longer than an outage after which a client repeats its requests; later the same key is a new request.

What costs or creates something keeps the key itself for good, as `Pledge.key`: see `docs/api.md`.
"""


def idempotent_answer_claim(*, caller: str, key: str, request: str) -> tuple[IdempotentAnswer, bool]:
    """Return the row of a caller's key, locked, and whether this request made it.

    The caller's transaction holds the lock: a second request with the key waits until that ends.  A row that
    is there when this one is inserted may be freed before it is read: then the key is claimed anew.
    """
    rows = IdempotentAnswer.objects.select_for_update()
    for _ in range(CLAIMS_MAX - 1):
        with suppress(IntegrityError):
            return rows.get_or_create(caller=caller, key=key, defaults={"request": request})
    return rows.get_or_create(caller=caller, key=key, defaults={"request": request})


@contextmanager
def idempotent_answer_keep(*, caller: str, key: str, request: str) -> Iterator[tuple[IdempotentAnswer, bool]]:
    """Yield the row of a caller's key, locked, and whether this request made it, as it is claimed.

    What is done inside stays only if the answer is completed: a refused request changed nothing, and its key
    stays free.
    """
    with transaction.atomic():
        row, is_new = idempotent_answer_claim(caller=caller, key=key, request=request)
        yield row, is_new
        if is_new and not row.status:
            transaction.set_rollback(True)


def idempotent_answer_complete(row: IdempotentAnswer, *, status: int, body: str) -> None:
    """Store the answer of the request that claimed the row."""
    IdempotentAnswer.objects.filter(pk=row.pk).update(status=status, body=text_encrypt(body))
    row.status = status


@transaction.atomic
def idempotent_answer_reserve(
    *, caller: str, key: str, request: str, now: datetime
) -> tuple[IdempotentAnswer, bool]:
    """Return the row of a caller's key, and whether this request is to be carried out: it made the row.

    Or the one that did has not answered for so long that its process may be gone.
    """
    row, is_new = idempotent_answer_claim(caller=caller, key=key, request=request)
    if is_new or row.status or row.request != request or row.created_at > now - IN_PROGRESS_MAX:
        return row, is_new
    IdempotentAnswer.objects.filter(pk=row.pk).update(created_at=now)
    return row, True


def idempotent_answer_read(row: IdempotentAnswer) -> IdempotentAnswer | None:
    """Return a row as it is now; None if its key was freed."""
    return IdempotentAnswer.objects.filter(pk=row.pk).first()


def idempotent_answer_release(row: IdempotentAnswer) -> None:
    """Free the key of a request that changed nothing."""
    IdempotentAnswer.objects.filter(pk=row.pk, status=0).delete()


def idempotent_answers_expire(*, now: datetime, limit: int) -> int:
    """Delete the oldest answers whose lifetime is over; returns how many.

    A key that was reserved and never answered is as old as the others then: nothing carries it out any more.
    """
    over = IdempotentAnswer.objects.filter(created_at__lt=now - LIFETIME).order_by("created_at")
    return IdempotentAnswer.objects.filter(pk__in=over.values("pk")[:limit]).delete()[0]
