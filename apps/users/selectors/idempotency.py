"""Reading answers to requests that are carried out once."""

from __future__ import annotations

from apps.users.models import IdempotentAnswer


def idempotent_answer_exists(*, caller: str, key: str) -> bool:
    """Return whether this caller's key was used before."""
    return IdempotentAnswer.objects.filter(caller=caller, key=key).exists()
