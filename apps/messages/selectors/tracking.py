"""How far the chain was read for messages."""

from __future__ import annotations

from apps.messages.models import Tracker


def tracked_height() -> int:
    """Give the height of the newest head whose landings are written; -1 before the first."""
    height = Tracker.objects.values_list("height", flat=True).first()
    return -1 if height is None else height
