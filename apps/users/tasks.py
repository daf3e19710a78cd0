"""What is deleted of people and callers once it is over, whether heads come or not."""

from __future__ import annotations

from typing import Final

from celery import shared_task

from apps.core import clock
from apps.core.locks import single_flight
from apps.users.services.idempotency import idempotent_answers_expire
from apps.users.services.sessions import sessions_expire

ROWS_MAX: Final = 10_000
"""Rows of each kind that one run deletes; it runs every ten minutes."""


@shared_task(name="users.expire")
@single_flight
def users_expire() -> None:
    """Delete sessions that are over and answers to repeated requests whose lifetime is."""
    now = clock.now()
    sessions_expire(now=now, limit=ROWS_MAX)
    idempotent_answers_expire(now=now, limit=ROWS_MAX)
