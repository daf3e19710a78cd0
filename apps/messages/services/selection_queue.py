"""Asking Celery to choose a sender's messages now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import structlog
from celery import current_app
from kombu.exceptions import OperationalError as BrokerAway

log = structlog.get_logger(__name__)

SELECT_EXPIRES_S: Final = 30
"""A selection that waited longer is dropped: the next head asks again."""


def selection_enqueue(address: str) -> None:
    """Enqueue the selection of this sender's messages; without a broker the next head does it."""
    selections_enqueue([address])


def selections_enqueue(addresses: Iterable[str]) -> None:
    """Do the same for several senders; a broker that is away is waited for once."""
    for address in addresses:
        try:
            current_app.send_task(
                "messages.select_sender",
                kwargs={"address": address},
                queue="messages",
                retry=False,
                expires=SELECT_EXPIRES_S,
            )
        except (BrokerAway, OSError) as error:
            log.warning("selection_not_asked", sender=address, reason=str(error)[:200])
            return
