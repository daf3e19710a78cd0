"""The clock of epochs, counted from the newest head."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from apps.chain.models import Head
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current

NULL_EPOCHS_MAX: Final = 10
"""How far the clock runs ahead of the newest head: a chain that stands still has no new epochs."""


def epoch_now(now: datetime) -> int:
    """Return the epoch that runs at `now`, counted from the newest head; -1 before the first head.

    Epochs without a block pass too, but no more than `NULL_EPOCHS_MAX`: the clock stands still with
    the chain.  It never asks the genesis time, which means nothing on a chain that was paused.
    """
    head = head_current()
    return -1 if head is None else epoch_at(head, now=now, epoch_s=network_current().epoch_s)


def epoch_at(head: Head, *, now: datetime, epoch_s: int) -> int:
    """Return the epoch that runs at `now` if `head` is the newest."""
    arrived = head.arrived_at.timestamp()
    # A head that came late (we were away, or the chain was) starts its epoch with its arrival.
    start = head.timestamp if 0 <= arrived - head.timestamp <= epoch_s else arrived
    passed = int((now.timestamp() - start) // epoch_s)
    return head.height + min(max(passed, 0), NULL_EPOCHS_MAX)
