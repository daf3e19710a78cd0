"""What is deleted of connections that ended long ago, whether heads come or not."""

from __future__ import annotations

from typing import Final

from celery import shared_task

from apps.core import clock
from apps.core.locks import single_flight
from apps.gateway.services.connections import connections_expire

ROWS_MAX: Final = 10_000
"""Rows of each kind that one run deletes; it runs every ten minutes."""


@shared_task(name="gateway.expire")
@single_flight
def gateway_expire() -> None:
    """Delete connections that nobody has held for a month."""
    connections_expire(now=clock.now(), limit=ROWS_MAX)
