"""The locks of the messager: one worker at a time for each sender, and for the tracker.

They only save double work; that no nonce is given twice rests on the sender's version (`services.select`).
"""

from __future__ import annotations

from typing import Final

from apps.core.locks import held

__all__ = ["SENDER_LOCK", "TRACK_LOCK", "held"]

SENDER_LOCK: Final = 0x4D53
"""Lock class of senders."""

TRACK_LOCK: Final = 0x4D54
"""Lock class of the tracker."""
