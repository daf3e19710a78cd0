"""What a head moves here: deals whose data are to come, or whose piece has gone on."""

from __future__ import annotations

from celery import shared_task

from apps.core import clock
from apps.core.locks import single_flight
from apps.market.services.follow import deals_advance


@shared_task(name="market.advance")
@single_flight
def market_advance(*, height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Start downloads, put uploads together, and note how far deals have come."""
    deals_advance(height=height, now=clock.now())
