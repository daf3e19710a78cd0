"""Addresses of ours from which another program sends, too."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from apps.messages.models import Sender

FOREIGN_SHOWN: Final = timedelta(days=1)
"""How long a message that is not ours is spoken of."""


def is_used_elsewhere(sender: Sender, *, now: datetime) -> bool:
    """Return whether a message that we did not make was seen from this address lately."""
    return sender.foreign_at is not None and now - sender.foreign_at < FOREIGN_SHOWN
