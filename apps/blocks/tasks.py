"""What a head makes due of what tenants are charged: days that are over and final, and months; and prices."""

from __future__ import annotations

from celery import shared_task

from apps.blocks.services.charges import charges_book, corrections_book
from apps.blocks.services.prices import prices_read
from apps.blocks.services.statements import statements_close
from apps.core import clock
from apps.core.locks import single_flight


@shared_task(name="blocks.charges")
@single_flight
def charges_follow(**_head: object) -> None:
    """Charge the days that are settled, and close the months of which all are."""
    charges_book()
    corrections_book()
    statements_close(now=clock.now())


@shared_task(name="blocks.prices")
@single_flight
def prices_follow(**_head: object) -> None:
    """Read what a FIL was worth on each day."""
    prices_read(now=clock.now())
