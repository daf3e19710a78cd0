"""Storing answers to requests that are carried out once; a body may hold a new token and is encrypted."""

from __future__ import annotations

from apps.users.encryption import text_encrypt
from apps.users.models import IdempotentAnswer


def idempotent_answer_claim(*, caller: str, key: str, request: str) -> tuple[IdempotentAnswer, bool]:
    """Return the row of a caller's key, locked, and whether this request made it.

    The caller's transaction holds the lock: a second request with the key waits until that ends.
    """
    return IdempotentAnswer.objects.select_for_update().get_or_create(
        caller=caller, key=key, defaults={"request": request}
    )


def idempotent_answer_complete(row: IdempotentAnswer, *, status: int, body: str) -> None:
    """Store the answer of the request that claimed the row."""
    IdempotentAnswer.objects.filter(pk=row.pk).update(status=status, body=text_encrypt(body))


def idempotent_answer_store(*, caller: str, key: str, request: str, status: int, body: str) -> None:
    """Store an answer without a claim; one that was stored meanwhile stays."""
    row = IdempotentAnswer(caller=caller, key=key, request=request, status=status, body=text_encrypt(body))
    IdempotentAnswer.objects.bulk_create([row], ignore_conflicts=True)
